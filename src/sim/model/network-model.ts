import type { SeededRandom } from '../random/seeded-random.ts';
import { findRoundTripMs, REGIONS, type Region } from './regions.ts';

export interface NetworkModelOptions {
  readonly nodes: number;
  /** Share of messages that are lost once, and again when sent again. */
  readonly loss: number;
}

/** RFC 6298, section 2.1: the first retransmission timeout, ms; it doubles with each. */
const RETRANSMISSION_MS = 1_000;
/** Between a node and its region's backbone and back, ms: a data centre at best, a home line at worst (assumed). */
const ACCESS_MS = { least: 1, most: 25 } as const;
/** What one message may take longer than the path's average, as a share (assumed). */
const JITTER = 0.1;
const MOST_RETRANSMISSIONS = 6;

/** Who reaches whom, and how long a message takes. Nodes are numbered from 0. */
export class NetworkModel {
  readonly #random: SeededRandom;
  readonly #loss: number;
  readonly #regions: Region[];
  readonly #accessMs: Float64Array;
  readonly #isUp: Uint8Array;
  /** Which part of a divided network a node is in; all 0 while it is whole. */
  readonly #part: Uint8Array;

  constructor(random: SeededRandom, options: NetworkModelOptions) {
    const { nodes } = options;
    this.#random = random;
    this.#loss = options.loss;
    this.#regions = Array.from({ length: nodes }, () => REGIONS[random.below(REGIONS.length)] as Region);
    this.#accessMs = Float64Array.from(
      { length: nodes },
      () => ACCESS_MS.least + random.uniform() * (ACCESS_MS.most - ACCESS_MS.least),
    );
    this.#isUp = new Uint8Array(nodes).fill(1);
    this.#part = new Uint8Array(nodes);
  }

  get nodes(): number {
    return this.#isUp.length;
  }

  isUp(node: number): boolean {
    return this.#isUp[node] === 1;
  }

  setUp(node: number, state: 'up' | 'down'): void {
    this.#isUp[node] = state === 'up' ? 1 : 0;
  }

  /** Parts that do not hear each other; an empty list heals. */
  divide(parts: readonly (readonly number[])[]): void {
    this.#part.fill(0);
    for (const [index, nodes] of parts.entries()) for (const node of nodes) this.#part[node] = index;
  }

  canReach(from: number, to: number): boolean {
    return this.isUp(from) && this.isUp(to) && this.#part[from] === this.#part[to];
  }

  /** Round trip without load or loss, ms. */
  roundTripMs(from: number, to: number): number {
    const backbone = findRoundTripMs(this.#regions[from] as Region, this.#regions[to] as Region);
    return backbone + (this.#accessMs[from] ?? 0) + (this.#accessMs[to] ?? 0);
  }

  /** How long one message takes, ms: half a round trip, jitter, and what was lost and sent again, as TCP does. */
  drawDelayMs(from: number, to: number): number {
    let delayMs = (this.roundTripMs(from, to) / 2) * (1 + JITTER * this.#random.uniform());
    if (this.#loss === 0) return delayMs;
    for (let again = 0; again < MOST_RETRANSMISSIONS && this.#random.isBelow(this.#loss); again += 1) {
      delayMs += RETRANSMISSION_MS * 2 ** again;
    }
    return delayMs;
  }
}
