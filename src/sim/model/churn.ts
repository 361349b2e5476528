import type { Clock } from '../../lib/clock.ts';
import type { SeededRandom } from '../random/seeded-random.ts';

export interface ChurnRates {
  /** How long a node is up at a time on average, ms; exponential, so that how long it has been up says nothing. */
  readonly meanUpMs: number;
  /** How long it stays away on average, ms; exponential. */
  readonly meanAwayMs: number;
  /** New nodes an hour on average, one by one at any time (a Poisson process). */
  readonly joinsPerHour: number;
}

/** What happens to a node, by its number. */
export interface ChurnEvents {
  readonly onLeave: (node: number) => void;
  readonly onReturn: (node: number) => void;
  readonly onJoin: (node: number) => void;
}

export interface ChurnModules {
  readonly clock: Pick<Clock, 'schedule'>;
  readonly random: SeededRandom;
}

const HOUR_MS = 3_600_000;

/** Nodes that leave without a word, come back and join for the first time, for as long as it runs. */
export class Churn {
  readonly #modules: ChurnModules;
  readonly #rates: ChurnRates;
  readonly #events: ChurnEvents;
  readonly #counts = { left: 0, returned: 0, joined: 0 };
  #isRunning = true;

  constructor(modules: ChurnModules, rates: ChurnRates, events: ChurnEvents) {
    this.#modules = modules;
    this.#rates = rates;
    this.#events = events;
  }

  /** So many as happened until now. */
  get counts(): { readonly left: number; readonly returned: number; readonly joined: number } {
    return { ...this.#counts };
  }

  /** @param up those that are there @param joiners those that come, in this order, for as many as there are */
  begin(up: readonly number[], joiners: readonly number[]): void {
    for (const node of up) this.#planLeave(node);
    this.#planJoin(joiners, 0);
  }

  stop(): void {
    this.#isRunning = false;
  }

  #planLeave(node: number): void {
    this.#after(this.#rates.meanUpMs, () => {
      this.#counts.left += 1;
      this.#events.onLeave(node);
      this.#planReturn(node);
    });
  }

  #planReturn(node: number): void {
    this.#after(this.#rates.meanAwayMs, () => {
      this.#counts.returned += 1;
      this.#events.onReturn(node);
      this.#planLeave(node);
    });
  }

  #planJoin(joiners: readonly number[], next: number): void {
    const node = joiners[next];
    if (node === undefined || this.#rates.joinsPerHour <= 0) return;
    this.#after(HOUR_MS / this.#rates.joinsPerHour, () => {
      this.#counts.joined += 1;
      this.#events.onJoin(node);
      this.#planLeave(node);
      this.#planJoin(joiners, next + 1);
    });
  }

  #after(meanMs: number, task: () => void): void {
    const delayMs = -Math.log(1 - this.#modules.random.uniform()) * meanMs;
    this.#modules.clock.schedule(delayMs, () => {
      if (this.#isRunning) task();
    });
  }
}
