import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import { COMPILE_CACHE } from './compile-cache.ts';
import type { NamespaceHost, Topology } from './netns.ts';
import type { NetnsCommand, NetnsNodeSetup, NetnsPeer, NetnsReport, NetnsState } from './netns-node.ts';

const PROGRAM = fileURLToPath(new URL('./netns-node.ts', import.meta.url));
/** On which every node listens. */
export const NETNS_PORT = 4717;

type CommandOf<Op extends NetnsCommand['op']> = Omit<Extract<NetnsCommand, { op: Op }>, 'id' | 'op'>;

/** A node's network in a process on a host of a topology; it ends with the topology. */
export class NetnsNode {
  readonly host: NamespaceHost;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #listeners = new Set<() => void>();
  readonly #log: string[] = [];
  #state: NetnsState | null = null;
  #nextId = 1;

  /** @param options `listen` is a port of the host's own address unless it is given */
  constructor(topology: Topology, host: NamespaceHost, options: Partial<NetworkOptions>) {
    this.host = host;
    const setup: NetnsNodeSetup = {
      options: { listen: [`/ip4/${host.address}/tcp/${NETNS_PORT}`], ...options },
      hurry: 4,
    };
    this.#child = topology.spawn(host, [process.execPath, PROGRAM, JSON.stringify(setup)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#log.push(text));
    }
    this.#child.on('message', (report: NetnsReport) => this.#take(report));
    this.#child.once('exit', () => this.#end());
  }

  get state(): NetnsState {
    if (this.#state === null) throw new TypeError('the node is not ready');
    return this.#state;
  }

  get peer(): PeerKey {
    return this.state.self;
  }

  /** What somebody who started it would give to others; it need not tell it itself. */
  get address(): string {
    return `/ip4/${this.host.address}/tcp/${NETNS_PORT}/p2p/${this.peer}`;
  }

  get isReady(): boolean {
    return this.#state !== null;
  }

  /** What its process wrote. */
  get log(): string {
    return this.#log.join('');
  }

  find(other: NetnsNode): NetnsPeer | undefined {
    return this.state.peers.find(({ peer }) => peer === other.peer);
  }

  isConnectedTo(other: NetnsNode): boolean {
    return this.find(other)?.isConnected === true;
  }

  /** @throws Error with the code of what the node threw */
  call<Op extends NetnsCommand['op']>(op: Op, fields: CommandOf<Op>): Promise<unknown> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#child.send({ id, op, ...fields });
    return answer.promise;
  }

  onState(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #take(report: NetnsReport): void {
    if (report.kind === 'state') {
      this.#state = report.state;
      for (const listener of this.#listeners) listener();
      return;
    }
    const waiting = this.#waiting.get(report.id);
    this.#waiting.delete(report.id);
    if (report.kind === 'answer') waiting?.resolve(report.value);
    else waiting?.reject(new Error(report.code));
  }

  #end(): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`the node ended:\n${this.log}`));
    this.#waiting.clear();
  }
}

/** Resolves once all that the nodes tell makes `check` true. */
export async function untilAll(
  nodes: readonly NetnsNode[],
  what: string,
  check: () => boolean,
  timeoutMs = 45_000,
): Promise<void> {
  const done = Promise.withResolvers<void>();
  const look = (): void => {
    if (nodes.every((node) => node.isReady) && check()) done.resolve();
  };
  const timer = setTimeout(() => done.reject(new Error(describeWait(nodes, what, timeoutMs))), timeoutMs);
  const listeners = nodes.map((node) => node.onState(look));
  look();
  try {
    await done.promise;
  } finally {
    clearTimeout(timer);
    for (const listener of listeners) listener[Symbol.dispose]();
  }
}

function describeWait(nodes: readonly NetnsNode[], what: string, timeoutMs: number): string {
  const views = nodes.map((node) => `${node.host.address} ${node.isReady ? JSON.stringify(node.state) : node.log}`);
  return `waited ${timeoutMs} ms in vain until ${what}:\n${views.join('\n')}`;
}
