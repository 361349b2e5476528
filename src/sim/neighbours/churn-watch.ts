import { computeMean } from '../statistics/quantile.ts';
import { computeFilledShare } from './measure-neighbours.ts';
import type { NeighbourSimulation } from './neighbour-simulation.ts';

/** What is seen of neighbours while nodes come and go: slots, how long lost ones take, and who chose somebody too young. */
export class ChurnWatch {
  readonly #simulation: NeighbourSimulation;
  readonly #slots: number;
  /** Nodes that lost a neighbour and have not all of them again, and since when (ms). */
  readonly #lacking = new Map<number, number>();
  /** Newcomers, and in which epoch they came. */
  readonly #joined = new Map<number, number>();
  readonly #startedAtMs = new Map<number, number>();
  readonly #beganMs: number;
  readonly samples: (readonly [hours: number, filled: number])[] = [];
  readonly healSeconds: number[] = [];
  youngChosen = 0;

  constructor(simulation: NeighbourSimulation, slots: number) {
    this.#simulation = simulation;
    this.#slots = slots;
    this.#beganMs = simulation.clock.nowMs();
  }

  /** Before it leaves: whoever chose it lacks a neighbour from now on. */
  noteLeave(number: number): void {
    const { clock, live } = this.#simulation;
    this.#lacking.delete(number);
    this.#startedAtMs.delete(number);
    for (const other of live) {
      if (other === number || this.#lacking.has(other) || this.countGood(other) < this.#slots) continue;
      if (this.#simulation.outboundOf(other).includes(number)) this.#lacking.set(other, clock.nowMs());
    }
  }

  noteStart(number: number): void {
    this.#startedAtMs.set(number, this.#simulation.clock.nowMs());
  }

  noteJoin(number: number): void {
    this.#joined.set(number, this.#simulation.epoch);
    this.noteStart(number);
  }

  sample(): void {
    const { clock, epoch, live } = this.#simulation;
    const nowMs = clock.nowMs();
    this.samples.push([(nowMs - this.#beganMs) / HOUR_MS, computeFilledShare(this.#simulation, this.#slots)]);
    for (const [number, sinceMs] of this.#lacking) {
      if (this.countGood(number) < this.#slots) continue;
      this.#lacking.delete(number);
      this.healSeconds.push((nowMs - sinceMs) / 1_000);
    }
    for (const number of live) {
      for (const other of this.#simulation.outboundOf(number)) {
        if (epoch < (this.#joined.get(other) ?? Number.NEGATIVE_INFINITY) + OF_AGE_EPOCHS) this.youngChosen += 1;
      }
    }
  }

  /** Those that lost a neighbour and wait for longer than this. */
  countLacking(longerThanMs: number): number {
    const nowMs = this.#simulation.clock.nowMs();
    return [...this.#lacking.values()].filter((sinceMs) => nowMs - sinceMs > longerThanMs).length;
  }

  /** Nodes that are up for at least so long: they have had the time to choose. */
  listSettled(atLeastMs: number): readonly number[] {
    const { live, clock } = this.#simulation;
    const latestMs = clock.nowMs() - atLeastMs;
    return live.filter((number) => (this.#startedAtMs.get(number) ?? this.#beganMs) <= latestMs);
  }

  /** How often joiners of so many epochs are chosen, against those that were there from the beginning. */
  compareJoiners(ageEpochs: number): number {
    const { live, epoch } = this.#simulation;
    const chosen = new Map<number, number>();
    for (const number of live) {
      for (const other of this.#simulation.outboundOf(number)) chosen.set(other, (chosen.get(other) ?? 0) + 1);
    }
    const meanOf = (numbers: readonly number[]): number =>
      computeMean(numbers.map((number) => chosen.get(number) ?? 0));
    const aged = live.filter((number) => (this.#joined.get(number) ?? epoch) + ageEpochs <= epoch);
    return meanOf(aged) / meanOf(live.filter((number) => !this.#joined.has(number)));
  }

  /** Neighbours that a node chose and that are within its reach. */
  countGood(number: number): number {
    const { network } = this.#simulation;
    return this.#simulation.outboundOf(number).filter((other) => network.canReach(number, other)).length;
  }
}

const HOUR_MS = 3_600_000;
/** The rule that is examined (design section 5), not the constant that implements it. */
const OF_AGE_EPOCHS = 2;
