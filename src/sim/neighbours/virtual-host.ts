import type { PeerKey } from '../../domain/ids.ts';
import type { NeighbourRequest, NeighbourResponse } from '../../domain/messages.ts';
import type { SignedWire } from '../../domain/signed.ts';
import { CONNECTION_PING_MS } from '../../network/constants.ts';
import { NetworkError } from '../../network/errors.ts';
import type { NeighbourDirection } from '../../network/interface.ts';
import type { NeighbourLinks } from '../../network/neighbours/ports.ts';
import { PROTOCOLS } from '../../network/reqresp/protocols.ts';
import type { VirtualClock } from '../clock/virtual-clock.ts';
import type { NetworkModel } from '../model/network-model.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import type { Member, Population } from './population.ts';

/** What answers at the other end. */
export interface Responder {
  answer(from: PeerKey, request: NeighbourRequest): Promise<NeighbourResponse>;
  noteConnection(peer: PeerKey, isConnected: boolean): void;
}

export interface VirtualNetModules {
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly network: NetworkModel;
  readonly population: Population;
}

/** Connections and requests between the nodes of a population, in virtual time. In place of libp2p. */
export class VirtualNet {
  readonly #modules: VirtualNetModules;
  readonly #responders = new Map<number, Responder>();
  readonly #connected = new Map<number, Set<number>>();

  constructor(modules: VirtualNetModules) {
    this.#modules = modules;
  }

  attach(number: number, responder: Responder): void {
    this.#responders.set(number, responder);
  }

  isConnected(from: number, peer: PeerKey): boolean {
    const to = this.#modules.population.find(peer);
    return to !== undefined && this.#connectionsOf(from).has(to.number);
  }

  /** Where it connects from: from where its newest record says. */
  addressesOf(peer: PeerKey): readonly string[] {
    return this.#modules.population.find(peer)?.facts.addresses ?? [];
  }

  /** One request, one response; connects first. A peer that cannot be reached answers with silence. */
  async request(
    from: Member,
    to: PeerKey,
    { request, signal }: { readonly request: NeighbourRequest; readonly signal: AbortSignal },
  ): Promise<NeighbourResponse> {
    const { clock, population } = this.#modules;
    const target = population.find(to);
    if (target === undefined)
      throw new NetworkError({ code: 'NETWORK_UNREACHABLE', target: to, reason: 'no such peer' });
    const { firstResponseMs } = PROTOCOLS.neighbour;
    const { promise, resolve, reject } = Promise.withResolvers<NeighbourResponse>();
    const timeout = { peer: to, protocol: 'neighbour', timeoutMs: firstResponseMs };
    const timer = clock.schedule(firstResponseMs, () =>
      reject(new NetworkError({ code: 'NETWORK_TIMEOUT', ...timeout })),
    );
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#send(from.number, target.number, () => {
      void this.#answer(from, target, request).then((response) =>
        this.#send(target.number, from.number, () => resolve(response)),
      );
    });
    try {
      return await promise;
    } finally {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A node goes, or is cut off: those connected to it notice within a ping. */
  breakConnections(isBroken: (a: number, b: number) => boolean): void {
    for (const [from, peers] of this.#connected) {
      for (const to of peers) if (from < to && isBroken(from, to)) this.#disconnect(from, to);
    }
  }

  /** The same for one node. */
  breakConnectionsOf(number: number): void {
    for (const other of this.#connectionsOf(number)) this.#disconnect(number, other);
  }

  #send(from: number, to: number, deliver: () => void): void {
    const { clock, network } = this.#modules;
    clock.schedule(network.drawDelayMs(from, to), () => {
      if (network.canReach(from, to)) deliver();
    });
  }

  async #answer(from: Member, target: Member, request: NeighbourRequest): Promise<NeighbourResponse> {
    this.#connect(from, target);
    const responder = this.#responders.get(target.number);
    return responder?.answer(from.peer, request) ?? { kind: 'refused', code: 'stopping', detail: 'nobody is there' };
  }

  #connect(a: Member, b: Member): void {
    if (this.#connectionsOf(a.number).has(b.number)) return;
    this.#connectionsOf(a.number).add(b.number);
    this.#connectionsOf(b.number).add(a.number);
    this.#responders.get(a.number)?.noteConnection(b.peer, true);
    this.#responders.get(b.number)?.noteConnection(a.peer, true);
  }

  #disconnect(a: number, b: number): void {
    const { clock, random, network, population } = this.#modules;
    clock.schedule(random.uniform() * CONNECTION_PING_MS, () => {
      this.#connectionsOf(a).delete(b);
      this.#connectionsOf(b).delete(a);
      const [first, second] = [population.members[a], population.members[b]];
      if (first === undefined || second === undefined) return;
      if (network.isUp(a)) this.#responders.get(a)?.noteConnection(second.peer, false);
      if (network.isUp(b)) this.#responders.get(b)?.noteConnection(first.peer, false);
    });
  }

  #connectionsOf(number: number): Set<number> {
    let connections = this.#connected.get(number);
    if (connections === undefined) {
      connections = new Set();
      this.#connected.set(number, connections);
    }
    return connections;
  }
}

/** The links of one node, as the daemon's neighbours want them. */
export class VirtualLinks implements NeighbourLinks {
  readonly #net: VirtualNet;
  readonly #self: Member;
  readonly #outbound = new Set<PeerKey>();

  constructor(net: VirtualNet, self: Member) {
    this.#net = net;
    this.#self = self;
  }

  /** Whom this node chose and keeps. */
  get outbound(): ReadonlySet<PeerKey> {
    return this.#outbound;
  }

  isConnected(peer: PeerKey): boolean {
    return this.#net.isConnected(this.#self.number, peer);
  }

  request(
    peer: PeerKey,
    request: NeighbourRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<NeighbourResponse> {
    return this.#net.request(this.#self, peer, { request, signal });
  }

  ownRecord(): SignedWire {
    return this.#self.record;
  }

  observedAddresses(peer: PeerKey): readonly string[] {
    return this.#net.addressesOf(peer);
  }

  keep(peer: PeerKey, direction: NeighbourDirection | null): void {
    if (direction === 'outbound') this.#outbound.add(peer);
    else this.#outbound.delete(peer);
  }

  /** The node stops, and its host with it. */
  forgetAll(): void {
    this.#outbound.clear();
  }

  seekCandidates(): void {}

  penalise(): void {}
}
