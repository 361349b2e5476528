import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Actor, Stage } from '../demo/stage.ts';
import { ChaosNode, type Death } from './chaos-node.ts';
import { NO_CONTROL } from './control-file.ts';
import { HarmLedger } from './harm.ts';
import { LinkTable } from './link-rules.ts';
import { SmallDisk } from './small-disk.ts';
import { findSocketOwner } from './socket-owner.ts';
import { TcpProxy } from './tcp-proxy.ts';

const ROOT = join(import.meta.dirname, '../..');
const NODE = join(ROOT, 'scripts/node');
const POLL_MS = 20;
const SMALL_DISK_BYTES = 64 * 2 ** 20;
const MIB = 2 ** 20;
/** Before a daemon that ended by itself is started again, ms. */
const OWN_FAULT_PAUSE_MS = 500;
/** Starts in a row that end by themselves; more than a full disk takes. */
const MOST_VAIN_STARTS = 12;

/** Identities and the network's file, made once and copied for each scenario. */
export interface Template {
  readonly folder: string;
  readonly peers: Readonly<Record<string, string>>;
  /** The key that stands in for hardware in the network, and what a policy has to list to accept it. */
  readonly tee: { readonly keyFile: string; readonly measurement: string };
}

export interface FleetSettings {
  readonly requester: Readonly<Record<string, unknown>>;
  readonly provider: Readonly<Record<string, unknown>>;
}

/** Room for few large inputs, and results that go soon. */
export const LITTLE_ROOM: FleetSettings = {
  requester: { 'blobs.maxBytes': 24 * MIB },
  provider: { 'blobs.maxBytes': 32 * MIB, 'results.keepForMs': 60_000 },
};

export interface FleetOptions {
  readonly from: 'dist' | 'src';
  /** New folder for everything that the nodes write. */
  readonly folder: string;
  readonly template: Template;
  readonly requesters: readonly string[];
  readonly providers: readonly string[];
  /** The node whose disk can be filled; undefined is none. */
  readonly onSmallDisk?: string;
  /** Of each daemon, by path, in place of what is set for all. */
  readonly settings?: FleetSettings;
  readonly draw: () => number;
  readonly signal: AbortSignal;
}

/** Makes the identities that `names` need. */
export async function createTemplate(
  folder: string,
  names: readonly string[],
  options: { readonly from: 'dist' | 'src'; readonly signal: AbortSignal },
): Promise<Template> {
  await using stage = await Stage.open({ keep: folder, launcher: NODE });
  const main = join(ROOT, options.from === 'dist' ? 'dist/main.js' : 'src/main.ts');
  const run = async (actor: Actor, line: readonly string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await stage.run(actor, [main, ...line, '--json'], options.signal);
    if (exitCode !== 0) throw new Error(`${line.join(' ')} ended with ${exitCode}: ${stderr}`);
    return stdout;
  };
  const create = 'network create chaos --preset local --no-join --output chaos.json --lease 3s --renewal 500ms';
  // Epochs of a minute: neighbours turn, and attempts are observed every five seconds.
  const rounds = '--beacon-round 2s --epoch-rounds 30';
  const founder = stage.actor('founder');
  const made = await run(founder, `${create} ${rounds} --simulated-tee`.split(' '));
  const { simulatedTee: tee } = JSON.parse(made) as { readonly simulatedTee: Template['tee'] };
  const peers: Record<string, string> = {};
  for (const name of names) {
    const line = 'init --network chaos.json --no-backup --plain'.split(' ');
    const { peer } = JSON.parse(await run(stage.actor(name), line)) as { readonly peer: string };
    peers[name] = peer;
  }
  return { folder, peers, tee: { keyFile: tee.keyFile, measurement: tee.measurement } };
}

/** The daemons of one scenario with the network between them; each is started again whenever it has ended. */
export class Fleet implements AsyncDisposable {
  readonly links: LinkTable;
  readonly nodes: readonly ChaosNode[];
  readonly disk: SmallDisk | undefined;
  readonly stage: Stage;
  /** What was done to which of them, and when. */
  readonly harms: HarmLedger;
  /** Every life that ended, in order. */
  readonly deaths: Death[] = [];
  readonly #stack: AsyncDisposableStack;
  readonly #signal: AbortSignal;
  readonly #keeping = new Set<Promise<void>>();
  readonly #heldDown = new Set<ChaosNode>();
  #isEnding = false;
  /** How long a node stays down after it died, ms. */
  restartAfterMs: () => number = () => 0;
  onDeath: (death: Death) => void = () => undefined;

  private constructor(parts: FleetParts, stack: AsyncDisposableStack, signal: AbortSignal) {
    this.#signal = signal;
    this.links = parts.links;
    this.nodes = parts.nodes;
    this.disk = parts.disk;
    this.stage = parts.stage;
    this.harms = parts.harms;
    this.#stack = stack;
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    await using stack = new AsyncDisposableStack();
    await mkdir(options.folder, { recursive: true });
    const isSmall = options.onSmallDisk !== undefined;
    const disk = isSmall ? stack.use(await SmallDisk.open({ sizeBytes: SMALL_DISK_BYTES })) : undefined;
    const stage = stack.use(await Stage.open({ keep: join(options.folder, 'stage'), launcher: NODE }));
    const harms = new HarmLedger();
    const parts: FleetParts = { links: new LinkTable(harms), nodes: [], disk, stage, harms };
    for (const name of [...options.requesters, ...options.providers]) {
      parts.nodes.push(await createNode(name, options, { parts, stack }));
    }
    return new Fleet(parts, stack.move(), options.signal);
  }

  node(name: string): ChaosNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new TypeError(`no node ${name}`);
    return found;
  }

  get requesters(): readonly ChaosNode[] {
    return this.nodes.filter(({ provides }) => !provides);
  }

  get providers(): readonly ChaosNode[] {
    return this.nodes.filter(({ provides }) => provides);
  }

  /** Starts all of them, and keeps them up from now on. */
  start(): void {
    for (const node of this.nodes) this.#keeping.add(this.#keepUp(node));
  }

  async #keepUp(node: ChaosNode): Promise<void> {
    while (!this.#isEnding) {
      const others = this.nodes.filter((other) => other !== node).map(({ address }) => address);
      const death = await node.start(others);
      this.deaths.push(death);
      if (!this.#isEnding) this.onDeath(death);
      if (!this.#isEnding) await sleep(isOwnFault(death) ? OWN_FAULT_PAUSE_MS : this.restartAfterMs());
      while (this.#heldDown.has(node) && !this.#isEnding) await sleep(POLL_MS);
    }
  }

  /** Not started again until `release`. */
  holdDown(node: ChaosNode): void {
    this.#heldDown.add(node);
  }

  release(node: ChaosNode): void {
    this.#heldDown.delete(node);
  }

  /** Undoes everything that was done to them; they come up by themselves. */
  heal(): void {
    this.links.heal();
    this.#heldDown.clear();
    this.restartAfterMs = () => 0;
    for (const node of this.nodes) {
      node.control(NO_CONTROL);
      node.thaw();
      if (node.home === this.disk?.home) this.disk.free(node.pid);
    }
    this.harms.endAll('full disk');
  }

  /** @throws Error if it does not answer in time */
  async untilUp(node: ChaosNode, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (node.client === undefined) {
      this.#assertStartable(node);
      if (performance.now() > deadlineMs) throw new Error(`${node.name} does not answer after ${timeoutMs} ms`);
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  #assertStartable({ name }: ChaosNode): void {
    const last = this.deaths.filter((death) => death.name === name).slice(-MOST_VAIN_STARTS);
    if (last.length < MOST_VAIN_STARTS || !last.every((death) => isOwnFault(death) && !death.wasUp)) return;
    throw new Error(`${name} does not start: ${readFileSync(last[0]?.logFile ?? '', 'utf8').slice(0, 2_000)}`);
  }

  /** Every requester is connected to every provider. */
  async untilConnected(timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    for (const requester of this.requesters) {
      for (;;) {
        const { peers } = (await requester.client?.call('peers.list', {}).catch(() => undefined)) ?? { peers: [] };
        const known = peers.filter(({ record, isConnected }) => isConnected && record?.provides === true);
        if (known.length >= this.providers.length) break;
        if (performance.now() > deadlineMs) {
          throw new Error(`${requester.name} knows ${known.length} of ${this.providers.length} providers`);
        }
        await sleep(POLL_MS * 5, undefined, { signal: this.#signal });
      }
    }
  }

  /** Names of the nodes that have these peer ids. */
  namesOf(peers: readonly string[]): readonly string[] {
    return this.nodes.filter(({ peer }) => peers.includes(peer)).map(({ name }) => name);
  }

  /** The strongest isolation that each provider has, which is the one that it runs jobs at. */
  async readIsolation(): Promise<readonly string[]> {
    const [requester] = this.requesters;
    const { peers } = (await requester?.client?.call('peers.list', {}).catch(() => undefined)) ?? { peers: [] };
    const executors = peers.flatMap(({ record }) => record?.executors ?? []);
    // Such as `wasm (process, bubblewrap) × 2`, the strongest last.
    return executors.flatMap((text) => /(\w+)\)/.exec(text)?.[1] ?? []);
  }

  /** What is on the small disk is gone with the fleet: copied to where the data folders of the others are. */
  async keepSmallDisk(): Promise<void> {
    const node = this.nodes.find(({ home }) => home === this.disk?.home);
    if (node !== undefined) await cp(node.home, this.stage.actor(node.name).home, { recursive: true });
  }

  /** Ends all of them in order. @returns those that had to be killed */
  async stop(): Promise<readonly string[]> {
    this.#isEnding = true;
    const stopped = await Promise.all(this.nodes.map(async (node) => ((await node.stop()) ? [] : [node.name])));
    await Promise.all(this.#keeping);
    return stopped.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    for (const node of this.nodes) node.kill();
    await Promise.all(this.#keeping);
    await this.#stack.disposeAsync();
  }
}

/** It ended by itself, and not because it was asked to. */
function isOwnFault({ exitCode }: Death): boolean {
  return exitCode !== null && exitCode !== 0;
}

interface FleetParts {
  readonly links: LinkTable;
  readonly nodes: ChaosNode[];
  readonly disk: SmallDisk | undefined;
  readonly stage: Stage;
  readonly harms: HarmLedger;
}

async function createNode(
  name: string,
  options: FleetOptions,
  { parts, stack }: { readonly parts: FleetParts; readonly stack: AsyncDisposableStack },
): Promise<ChaosNode> {
  const { links, nodes, stage, disk, harms } = parts;
  const provides = options.providers.includes(name);
  const port = await findFreePort();
  const findSource = (from: number): string | undefined => {
    const pid = findSocketOwner(
      from,
      nodes.flatMap((node) => node.pid ?? []),
    );
    return nodes.find((node) => node.pid !== undefined && node.pid === pid)?.name;
  };
  const modules = { links, draw: options.draw, findSource };
  const proxy = stack.use(await TcpProxy.open(modules, { name, port: () => port }));
  const actor = stage.actor(name);
  const home = name === options.onSmallDisk && disk !== undefined ? disk.home : actor.home;
  await cp(join(options.template.folder, name), home, { recursive: true });
  return new ChaosNode({
    stage,
    actor: { ...actor, home },
    from: options.from,
    folder: join(options.folder, 'control', name),
    port,
    proxy,
    peer: options.template.peers[name] ?? '',
    harms,
    settings: {
      'provide.enabled': provides,
      'blobs.maxBytes': 128 * MIB,
      'snapshots.maxBytes': 64 * MIB,
      'snapshots.hold.for': 'anyone',
      ...(provides ? { 'attest.simulatedKeyFile': options.template.tee.keyFile } : {}),
      ...options.settings?.[provides ? 'provider' : 'requester'],
    },
  });
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
