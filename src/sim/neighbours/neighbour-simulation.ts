import { FixedBeacon } from '../../beacon/computed-beacon.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { NeighbourRequest, NeighbourResponse } from '../../domain/messages.ts';
import { CandidateTable } from '../../network/neighbours/candidates/candidate-table.ts';
import { createNeighbourMetrics } from '../../network/neighbours/metrics.ts';
import { CANDIDATE_TABLE_DEFAULTS, NEIGHBOUR_DEFAULTS } from '../../network/neighbours/options.ts';
import { VrfNeighbours } from '../../network/neighbours/vrf-neighbours.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../telemetry/noop-metrics.ts';
import { type DiversityCaps, encodeSelectionInput } from '../../vrf/selection.ts';
import { VirtualClock } from '../clock/virtual-clock.ts';
import { createGraph, type Graph } from '../graph/graph.ts';
import { NetworkModel } from '../model/network-model.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { MemorySlotStore } from './memory-slot-store.ts';
import { type Member, Population } from './population.ts';
import { SharedCandidates } from './shared-candidates.ts';
import { VirtualLinks, VirtualNet } from './virtual-host.ts';

export interface NeighbourSimulationOptions {
  readonly nodes: number;
  readonly adversaries: number;
  readonly adversaryGroups: number | null;
  readonly caps: DiversityCaps;
  /** Pairs of one address group that the table takes. */
  readonly maxPerGroup: number;
  readonly loss: number;
  readonly vrf: 'ideal' | 'real';
  /** What adversaries say when they are claimed; they take every claim. */
  readonly reportedSize: (trueSize: number) => number;
  /** Nodes beyond `nodes`, honest, that are not there and known to nobody until they join. */
  readonly joiners?: number;
  /** What nodes have on disk survives that they leave. */
  readonly keepsSlots?: boolean;
}

export const SIMULATED_NETWORK = 'simulation';
export const EPOCH_MS = 3_600_000;
const ROUND_MS = 30_000;
const START_EPOCH = 500_000;
/** Epochs for which everybody was known before the simulation begins: nobody is young. */
const AGED_EPOCHS = 3;
/** Records are not renewed: they outlive the simulation. */
const LONGEST_EPOCHS = 24;
const BEACON_SEED_BYTES = 32;

interface HonestNode {
  readonly member: Member;
  readonly links: VirtualLinks;
  readonly core: VrfNeighbours;
}

/** Many nodes with the daemon's own choice of neighbours, on a virtual network. Adversaries do as they like. */
export class NeighbourSimulation {
  readonly clock = new VirtualClock({ startMs: START_EPOCH * EPOCH_MS + ROUND_MS });
  readonly network: NetworkModel;
  readonly population: Population;
  readonly table: SharedCandidates;
  readonly #options: NeighbourSimulationOptions;
  readonly #random: SeededRandom;
  readonly #net: VirtualNet;
  readonly #beacon: FixedBeacon;
  readonly #metrics = createNeighbourMetrics(new NoopMetricsRegistry());
  readonly #nodes: ReadonlyMap<number, HonestNode>;

  constructor(random: SeededRandom, options: NeighbourSimulationOptions) {
    const { nodes, loss, joiners = 0 } = options;
    this.#random = random;
    this.#options = options;
    this.network = new NetworkModel(random.fork('network'), { nodes: nodes + joiners, loss });
    const expiresAtMs = (START_EPOCH + LONGEST_EPOCHS) * EPOCH_MS;
    this.population = new Population(random.fork('population'), { ...options, expiresAtMs });
    const { clock, network, population } = this;
    this.#net = new VirtualNet({ clock, network, population, random: random.fork('net') });
    const seed = random.fork('beacon').bytes(BEACON_SEED_BYTES);
    const epochRounds = EPOCH_MS / ROUND_MS;
    this.#beacon = new FixedBeacon({ clock }, { networkId: SIMULATED_NETWORK, roundMs: ROUND_MS, epochRounds, seed });
    this.table = this.#createTable();
    this.#nodes = new Map(population.honest.map((member) => [member.number, this.#createNode(member)]));
    for (const number of this.joiners) this.network.setUp(number, 'down');
    for (const member of population.members) if (!member.isHonest) this.#attachAdversary(member);
  }

  get epoch(): number {
    return Math.floor(this.clock.nowMs() / EPOCH_MS);
  }

  /** Numbers of those that may join. */
  get joiners(): readonly number[] {
    const { nodes, joiners = 0 } = this.#options;
    return Array.from({ length: joiners }, (_, index) => nodes + index);
  }

  /** Starts all honest nodes at once, so that nobody is passed over for being late, and lets the first choice come to rest. */
  async start(): Promise<void> {
    for (const number of this.live) void this.core(number).start();
    await this.clock.advance(SETTLING_MS);
  }

  /** To the middle of a later epoch. */
  async advanceEpochs(count: number): Promise<void> {
    const middleMs = (this.epoch + count + 0.5) * EPOCH_MS;
    await this.clock.advance(middleMs - this.clock.nowMs());
  }

  /** What every VRF of this epoch is computed over: known to all once the epoch has begun. */
  async selectionInput(): Promise<Uint8Array> {
    const { value } = await this.#beacon.value(this.#beacon.firstRoundOfEpoch(this.epoch));
    return encodeSelectionInput({ network: SIMULATED_NETWORK, epoch: this.epoch, beacon: value });
  }

  core(number: number): VrfNeighbours {
    return (this.#nodes.get(number) as HonestNode).core;
  }

  /** Numbers of those that an honest node chose. */
  outboundOf(number: number): readonly number[] {
    const peers = [...(this.#nodes.get(number) as HonestNode).links.outbound];
    return peers.flatMap((peer) => this.population.find(peer)?.number ?? []);
  }

  /** Honest nodes that are up. */
  get live(): readonly number[] {
    return [...this.#nodes.keys()].filter((number) => this.network.isUp(number));
  }

  /** Who is whose neighbour, among all. */
  drawGraph(): Graph {
    const pairs = this.live.flatMap((number) => this.outboundOf(number).map((other) => [number, other] as const));
    return createGraph(this.population.members.length, pairs);
  }

  /** They are gone at once, without a word. */
  vanish(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.network.setUp(number, 'down');
      void this.#nodes.get(number)?.core.stop();
    }
    this.#net.breakConnections((a, b) => !this.network.canReach(a, b));
  }

  /** One is gone without a word, for a while. */
  leave(number: number): void {
    this.network.setUp(number, 'down');
    const node = this.#nodes.get(number) as HonestNode;
    void node.core.stop();
    node.links.forgetAll();
    this.#net.breakConnectionsOf(number);
  }

  /** One that had left starts again. */
  comeBack(number: number): void {
    this.network.setUp(number, 'up');
    void this.core(number).start();
  }

  /** One of the joiners is there for the first time, and its record spreads. */
  join(number: number): void {
    this.table.join((this.#nodes.get(number) as HonestNode).member.facts, this.epoch);
    this.comeBack(number);
  }

  /** Parts that do not hear each other any more; none heals. */
  divide(parts: readonly (readonly number[])[]): void {
    this.network.divide(parts);
    this.#net.breakConnections((a, b) => !this.network.canReach(a, b));
  }

  /** Sends a request as anybody, such as a key that was made just now. */
  request(from: Member, to: PeerKey, request: NeighbourRequest): Promise<NeighbourResponse> {
    return this.#net.request(from, to, { request, signal: new AbortController().signal });
  }

  #createTable(): SharedCandidates {
    const random = this.#random.fork('table');
    const table = new CandidateTable(
      { random },
      { ...CANDIDATE_TABLE_DEFAULTS, maxPerGroup: this.#options.maxPerGroup, usesPrivate: false },
    );
    // Two tellers: nobody's word stands alone.
    for (const teller of ['first', 'second']) {
      for (const { facts } of this.population.members.slice(0, this.#options.nodes)) {
        table.note({ node: facts, teller, epoch: START_EPOCH - AGED_EPOCHS });
      }
    }
    return new SharedCandidates(table);
  }

  #createNode(member: Member): HonestNode {
    const links = new VirtualLinks(this.#net, member);
    const { vrf, facts, peer, number } = member;
    const core = new VrfNeighbours(
      {
        clock: this.clock,
        random: this.#random.fork(`node-${number}`),
        beacon: this.#beacon,
        vrf,
        table: this.table,
        links,
        openNode: this.population.openNode,
        logger: new NoopLogger(),
        metrics: this.#metrics,
        ...(this.#options.keepsSlots === true && { store: new MemorySlotStore() }),
      },
      {
        ...NEIGHBOUR_DEFAULTS,
        self: peer,
        vrfPublicKey: facts.vrfPublicKey,
        networkId: SIMULATED_NETWORK,
        caps: this.#options.caps,
      },
    );
    this.#net.attach(number, core);
    return { member, links, core };
  }

  #attachAdversary(member: Member): void {
    const { nodes, reportedSize } = this.#options;
    this.#net.attach(member.number, {
      answer: async (_from, request): Promise<NeighbourResponse> =>
        request.op === 'claim'
          ? { kind: 'accepted', networkSize: Math.max(1, Math.round(reportedSize(nodes))) }
          : { kind: 'done' },
      noteConnection: () => {},
    });
  }
}

/** Until claims, refusals and second tries are over, ms. */
const SETTLING_MS = 180_000;
