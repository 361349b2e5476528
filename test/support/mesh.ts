import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Actor, type CommandResult, LAUNCHER, type RunningDaemon, Stage } from '../../scripts/demo/stage.ts';
import type { LocalChainStatus } from '../../src/localnet/interface.ts';
import type { RpcClient } from '../../src/rpc/client.ts';
import type { NodeStatus } from '../../src/rpc/interface.ts';
import type { JsonForm } from '../../src/rpc/json-form.ts';
import { connectSocket } from '../../src/rpc/socket-client.ts';
import type { JobView } from '../../src/scheduler/interface.ts';

const ROOT = join(import.meta.dirname, '../..');
const READY_TIMEOUT_MS = 60_000;
/** Of the log of a daemon that did not start. */
const MAX_SAID_CHARS = 2000;
const POLL_MS = 20;

export interface MeshNode extends RunningDaemon {
  readonly client: RpcClient;
  readonly status: JsonForm<NodeStatus>;
}

export interface MeshOptions {
  /** Lease and renewal of the network, such as `2s` and `500ms`. */
  readonly lease?: string;
  readonly renewal?: string;
  /** Of the network; `local` if absent. */
  readonly preset?: 'local' | 'production';
  /** More flags of `network create`. */
  readonly flags?: readonly string[];
  /** With a local chain of its own. */
  readonly hasChain?: boolean;
  /** A new or empty folder that keeps homes and logs; a temporary one if absent. */
  readonly keep?: string | undefined;
  /** How long a daemon may take until it answers, ms. */
  readonly readyTimeoutMs?: number;
}

export interface MeshChain extends RunningDaemon {
  readonly status: LocalChainStatus;
}

/** Real daemons as processes on loopback, driven through the built command line and their control sockets only. */
export class Mesh implements AsyncDisposable {
  readonly stage: Stage;
  readonly #signal: AbortSignal;
  readonly #readyTimeoutMs: number;
  readonly #nodes = new Set<MeshNode>();
  #bootstrap: string | undefined;
  #chain: MeshChain | undefined;

  private constructor(stage: Stage, options: { readonly signal: AbortSignal; readonly readyTimeoutMs: number }) {
    this.stage = stage;
    this.#signal = options.signal;
    this.#readyTimeoutMs = options.readyTimeoutMs;
  }

  static async open(options: MeshOptions, signal: AbortSignal): Promise<Mesh> {
    const stage = await Stage.open({ launcher: LAUNCHER, keep: options.keep });
    const { lease = '4s', renewal = '1s', preset = 'local', readyTimeoutMs = READY_TIMEOUT_MS } = options;
    const mesh = new Mesh(stage, { signal, readyTimeoutMs });
    const create = `network create e2e --preset ${preset} --no-join --output e2e.json --lease ${lease} --renewal ${renewal}`;
    const chain = options.hasChain === true ? await mesh.startChain(0) : undefined;
    const endpoints = chain === undefined ? [] : ['--rpc-url', chain.status.url];
    await mesh.expect(stage.actor('founder'), [...create.split(' '), ...endpoints, ...(options.flags ?? [])]);
    return mesh;
  }

  /** The chain of this mesh; set by `startChain`. @throws TypeError if it has none */
  get chain(): MeshChain {
    if (this.#chain === undefined) throw new TypeError('this mesh has no chain');
    return this.#chain;
  }

  /** Starts the local chain, anew or from where it stopped. */
  async startChain(port: number): Promise<MeshChain> {
    const line = ['localnet', '--port', String(port), '--slot-ms', '100', '--json'];
    const daemon = this.stage.startDaemon(this.stage.actor('chain'), line);
    let status: LocalChainStatus | undefined;
    await this.until('the chain is ready', READY_TIMEOUT_MS, async () => {
      const log = await readFile(daemon.logFile, 'utf8').catch(() => '');
      if (daemon.process.exitCode !== null) throw new Error(`the chain ended at once:\n${log}`);
      const ready = log.split('\n').find((text) => text.startsWith('{"url"') && text.endsWith('}'));
      if (ready !== undefined) status = JSON.parse(ready) as LocalChainStatus;
      return status !== undefined;
    });
    if (status === undefined) throw new Error('unreachable');
    this.#chain = { ...daemon, status };
    return this.#chain;
  }

  /** SIGKILL, and the exit awaited. */
  async killChain(): Promise<void> {
    const { process: child } = this.chain;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Runs the command line to its end in the home of `actor`. */
  run(actor: Actor, line: readonly string[]): Promise<CommandResult> {
    return this.stage.run(actor, line, this.#signal);
  }

  /** The same with `--json`, and what it printed; fails the test if it fails. */
  async expect<Value>(actor: Actor, line: readonly string[]): Promise<Value> {
    const { exitCode, stdout, stderr } = await this.run(actor, [...line, '--json']);
    if (exitCode !== 0) throw new Error(`fogproof ${line.join(' ')} ended with ${exitCode}:\n${stderr}${stdout}`);
    return JSON.parse(stdout) as Value;
  }

  async createIdentity(name: string): Promise<Actor> {
    const actor = this.stage.actor(name);
    await this.expect(actor, ['init', '--network', 'e2e.json', '--no-backup', '--plain']);
    return actor;
  }

  /** Makes an identity and starts its daemon; all but the first bootstrap to the first. */
  async addNode(name: string, flags: readonly string[] = []): Promise<MeshNode> {
    return this.startNode(await this.createIdentity(name), flags);
  }

  async startNode(actor: Actor, flags: readonly string[] = []): Promise<MeshNode> {
    const bootstrap = this.#bootstrap === undefined ? [] : ['--bootstrap', this.#bootstrap];
    const line = ['node', 'start', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0', ...bootstrap, ...flags];
    const daemon = this.stage.startDaemon(actor, line);
    const client = await this.#connect(daemon).catch(async (error: unknown) => {
      const said = await readFile(daemon.logFile, 'utf8').catch(() => '');
      // It may become ready later, when nobody looks after it any more.
      if (daemon.process.pid !== undefined && daemon.process.exitCode === null)
        process.kill(-daemon.process.pid, 'SIGKILL');
      throw new Error(`${daemon.name} did not start; it said at last:\n${said.slice(-MAX_SAID_CHARS)}`, {
        cause: error,
      });
    });
    const node = { ...daemon, client, status: await client.call('node.status', {}) };
    this.#bootstrap ??= node.status.network.listen[0];
    this.#nodes.add(node);
    return node;
  }

  async #connect(daemon: RunningDaemon): Promise<RpcClient> {
    let client: RpcClient | undefined;
    await this.until(`${daemon.name} is ready`, this.#readyTimeoutMs, async () => {
      if (daemon.process.exitCode !== null) {
        throw new Error(`${daemon.name} ended at once:\n${await readFile(daemon.logFile, 'utf8')}`);
      }
      client = await connectSocket(daemon.socket).catch(() => undefined);
      return client !== undefined;
    });
    if (client === undefined) throw new Error('unreachable');
    return client;
  }

  /** SIGKILL, and the exit awaited. */
  async kill(node: MeshNode): Promise<void> {
    this.#nodes.delete(node);
    const exited = once(node.process, 'exit');
    // The whole group: a machine that loses power loses the children too.
    process.kill(-(node.process.pid ?? 0), 'SIGKILL');
    await exited;
    await node.client[Symbol.asyncDispose]();
  }

  async stop(node: MeshNode): Promise<number> {
    this.#nodes.delete(node);
    const exited = once(node.process, 'exit');
    await this.expect(node, ['node', 'stop']);
    await node.client[Symbol.asyncDispose]();
    const [exitCode] = (await exited) as [number | null];
    return exitCode ?? -1;
  }

  /** Waits until something is so that has no event of its own. */
  async until(what: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await isSo())) {
      this.#signal.throwIfAborted();
      if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, POLL_MS);
      await promise;
    }
  }

  async untilProviders(node: MeshNode, count: number): Promise<void> {
    await this.until(`${node.name} knows ${count} providers`, this.#readyTimeoutMs, async () => {
      const { peers } = await node.client.call('peers.list', {});
      return peers.filter(({ record, isConnected }) => isConnected && record?.provides === true).length >= count;
    });
  }

  async submit(node: MeshNode, file: string): Promise<JobView> {
    return this.expect<JobView>(node, ['job', 'submit', file, '--detach']);
  }

  async wait(node: MeshNode, job: JobView): Promise<JobView> {
    return node.client.call('job.wait', { job: job.job }, { signal: this.#signal });
  }

  /** A copy of an example's job in the folder of the mesh, its text changed line by line; gives its path. */
  async writeJob(example: 'hello' | 'digits', name: string, change: (text: string) => string): Promise<string> {
    const folder = this.stage.path(name);
    await mkdir(folder, { recursive: true });
    const source = join(ROOT, 'examples', example);
    await cp(join(source, 'build'), join(folder, 'build'), { recursive: true });
    if (example === 'digits') await cp(join(source, 'data'), join(folder, 'data'), { recursive: true });
    await writeFile(join(folder, 'job.yaml'), change(await readFile(join(source, 'job.yaml'), 'utf8')));
    return join(folder, 'job.yaml');
  }

  /** The digits job with another number of rounds and replicas. */
  async writeTraining(
    name: string,
    options: { readonly rounds: number; readonly replicas: number },
    change: (text: string) => string = (text) => text,
  ): Promise<string> {
    const file = await this.writeJob('digits', name, (text) =>
      change(text.replace(/^replicas: .*$/m, `replicas: ${options.replicas}`).replace(/^ {2}fuel: .*$/m, '  fuel: 2T')),
    );
    const settings = join(this.stage.path(name), 'data/settings.txt');
    const text = await readFile(settings, 'utf8');
    await writeFile(settings, text.replace(/^rounds = .*$/m, `rounds = ${options.rounds}`));
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#nodes].map(({ client }) => client[Symbol.asyncDispose]()));
    await this.stage[Symbol.asyncDispose]();
  }
}
