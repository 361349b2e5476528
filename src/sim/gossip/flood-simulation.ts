import type { Message } from '@libp2p/gossipsub';
import { VirtualClock } from '../clock/virtual-clock.ts';
import { neighboursOf } from '../graph/graph.ts';
import { createRandomRegular } from '../graph/random-regular.ts';
import { NetworkModel } from '../model/network-model.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { announce, createPublisher, type Publisher, wrapBytes } from './announce.ts';
import { GossipNode, type Parcel } from './gossip-node.ts';

export interface FloodOptions {
  readonly nodes: number;
  /** Share of nodes that flood, and pass nothing on. */
  readonly adversaries: number;
  readonly meshDegree: number;
  readonly seconds: number;
  /** Announcements of honest requesters, in all. */
  readonly honestMessages: number;
  /** Messages a second that each flooder sends to each of its neighbours; 0 for the same network in peace. */
  readonly floodPerSecond: number;
  readonly loss: number;
}

export interface FloodResult {
  /** Of what honest nodes should have heard of honest ones. */
  readonly deliveredShare: number;
  /** From publishing to acceptance, ms, sorted. */
  readonly latenciesMs: readonly number[];
  /** Of the links between an honest node and a flooder. */
  readonly cutShare: number;
  /** What judging took, as a share of one core: the busiest node. */
  readonly busiestShare: number;
  /** Flooded messages that one honest node accepted, a second and flooder, on average. */
  readonly acceptedPerFlooder: number;
}

const GARBAGE_BYTES = 512;
const START_MS = 1_800_000_000_000;
/** For what is on its way when the last message was sent. */
const TAIL_SECONDS = 10;

/** Announcements through a mesh of which some flood: each honest node judges with the daemon's own code. */
export class FloodSimulation {
  readonly #clock = new VirtualClock({ startMs: START_MS });
  readonly #random: SeededRandom;
  readonly #options: FloodOptions;
  readonly #network: NetworkModel;
  readonly #links: Set<number>[];
  readonly #honest: number;
  readonly #nodes: GossipNode[];
  readonly #publishers: Publisher[] = [];
  readonly #latenciesMs: number[] = [];
  #numbered = 0;
  #acceptedFlood = 0;

  constructor(random: SeededRandom, options: FloodOptions) {
    const { nodes, meshDegree, adversaries, loss } = options;
    this.#random = random;
    this.#options = options;
    this.#honest = nodes - Math.floor(nodes * adversaries);
    this.#network = new NetworkModel(random.fork('network'), { nodes, loss });
    const mesh = createRandomRegular(random.fork('mesh'), { vertices: nodes, degree: meshDegree });
    this.#links = Array.from({ length: nodes }, (_, node) => new Set(neighboursOf(mesh, node)));
    this.#nodes = Array.from({ length: this.#honest }, () => new GossipNode(this.#clock));
  }

  async run(): Promise<FloodResult> {
    const { nodes, honestMessages, seconds, floodPerSecond } = this.#options;
    const keys = this.#random.fork('keys');
    for (let node = 0; node < nodes; node += 1) this.#publishers.push(await createPublisher(keys));
    const linksToFlooders = this.#countFloodLinks();
    const times = this.#random.fork('times');
    for (let index = 0; index < honestMessages; index += 1) {
      const node = times.below(this.#honest);
      this.#clock.schedule(times.uniform() * seconds * 1_000, () => void this.#publish(node));
    }
    if (floodPerSecond > 0) for (let node = this.#honest; node < nodes; node += 1) this.#beginFlood(node);
    await this.#clock.advance((seconds + TAIL_SECONDS) * 1_000);
    const flooders = nodes - this.#honest;
    return {
      deliveredShare: this.#latenciesMs.length / (honestMessages * (this.#honest - 1)),
      latenciesMs: this.#latenciesMs.toSorted((a, b) => a - b),
      cutShare: linksToFlooders === 0 ? 0 : 1 - this.#countFloodLinks() / linksToFlooders,
      busiestShare: Math.max(...this.#nodes.map((node) => node.workMs)) / (seconds * 1_000),
      acceptedPerFlooder: this.#acceptedFlood / this.#honest / Math.max(1, flooders) / seconds,
    };
  }

  #countFloodLinks(): number {
    const honest = this.#links.slice(0, this.#honest);
    return honest.reduce((sum, links) => sum + [...links].filter((other) => other >= this.#honest).length, 0);
  }

  async #publish(node: number): Promise<void> {
    const publisher = this.#publishers[node] as Publisher;
    const message = await announce(publisher, this.#random, this.#clock.nowMs());
    const parcel = this.#wrap(message, 'honest');
    this.#nodes[node]?.note(parcel);
    this.#forward(node, parcel, node);
  }

  #beginFlood(node: number): void {
    const { floodPerSecond, seconds } = this.#options;
    const everyMs = 1_000 / floodPerSecond;
    const publisher = this.#publishers[node] as Publisher;
    for (let atMs = this.#random.uniform() * everyMs; atMs < seconds * 1_000; atMs += everyMs) {
      this.#clock.schedule(atMs, () => void this.#flood(node, publisher));
    }
  }

  /** Half of a flood is well formed and signed, half is garbage: each flooder keeps to one of them. */
  async #flood(node: number, publisher: Publisher): Promise<void> {
    if ((this.#links[node] as Set<number>).size === 0) return;
    const message =
      node % 2 === 0
        ? await announce(publisher, this.#random, this.#clock.nowMs())
        : wrapBytes(publisher, this.#random.bytes(GARBAGE_BYTES));
    this.#forward(node, this.#wrap(message, 'flood'), node);
  }

  #wrap(message: Message, kind: 'honest' | 'flood'): Parcel {
    this.#numbered += 1;
    return { number: this.#numbered, message, isHonest: kind === 'honest', sentAtMs: this.#clock.monotonicMs() };
  }

  #forward(from: number, parcel: Parcel, except: number): void {
    for (const to of this.#links[from] as Set<number>) {
      if (to === except || to >= this.#honest) continue;
      this.#clock.schedule(this.#network.drawDelayMs(from, to), () => void this.#receive(to, from, parcel));
    }
  }

  async #receive(node: number, from: number, parcel: Parcel): Promise<void> {
    const receiver = this.#nodes[node] as GossipNode;
    const links = this.#links[node] as Set<number>;
    if (!links.has(from) || !receiver.note(parcel)) return;
    const source = (this.#publishers[from] as Publisher).identity.peer;
    const verdict = await receiver.judge(source, parcel);
    if (receiver.isBanned(source)) {
      links.delete(from);
      this.#links[from]?.delete(node);
    }
    if (verdict.kind !== 'accept') return;
    if (parcel.isHonest) this.#latenciesMs.push(this.#clock.monotonicMs() - parcel.sentAtMs);
    else this.#acceptedFlood += 1;
    this.#forward(node, parcel, from);
  }
}
