import type { Clock } from '../../lib/clock.ts';

interface Deadline extends Disposable {
  readonly atMs: number;
  readonly expire: () => void;
}

/** Deadlines of one length, which therefore expire in the order in which they were set. */
class Lane {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #deadlines = new Set<Deadline>();
  #timer: Disposable | null = null;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get isEmpty(): boolean {
    return this.#deadlines.size === 0;
  }

  add(expire: () => void): Disposable {
    const atMs = this.#clock.monotonicMs() + this.#timeoutMs;
    const deadline: Deadline = { atMs, expire, [Symbol.dispose]: () => void this.#deadlines.delete(deadline) };
    this.#deadlines.add(deadline);
    this.#timer ??= this.#clock.schedule(this.#timeoutMs, () => this.#expireDue());
    return deadline;
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#deadlines.clear();
  }

  /** The timer is set for one deadline at a time; those that were met meanwhile are gone. */
  #expireDue(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonicMs();
    for (const deadline of this.#deadlines) {
      if (deadline.atMs > nowMs + EARLY_MS) {
        this.#timer = this.#clock.schedule(deadline.atMs - nowMs, () => this.#expireDue());
        return;
      }
      this.#deadlines.delete(deadline);
      deadline.expire();
    }
  }
}

/** Timers may fire this much before the clock has come to their time, in ms. */
const EARLY_MS = 1;
/** Different lengths that are kept at once; beyond them each deadline has a timer of its own. */
const MAX_LANES = 64;

/** Many short-lived deadlines for the price of one timer for each length. */
export class DeadlineQueue {
  readonly #clock: Clock;
  readonly #lanes = new Map<number, Lane>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(timeoutMs: number, expire: () => void): Disposable {
    let lane = this.#lanes.get(timeoutMs);
    if (lane === undefined) {
      if (this.#lanes.size >= MAX_LANES) this.#dropEmptyLanes();
      if (this.#lanes.size >= MAX_LANES) return this.#clock.schedule(timeoutMs, expire);
      lane = new Lane(this.#clock, timeoutMs);
      this.#lanes.set(timeoutMs, lane);
    }
    return lane.add(expire);
  }

  /** Nothing expires any more. */
  stop(): void {
    for (const lane of this.#lanes.values()) lane.stop();
    this.#lanes.clear();
  }

  #dropEmptyLanes(): void {
    for (const [timeoutMs, lane] of this.#lanes) {
      if (!lane.isEmpty) continue;
      lane.stop();
      this.#lanes.delete(timeoutMs);
    }
  }
}
