import { MAX_LINKS } from './constants.ts';

/** At which reported training rounds checkpoints are made (docs/stepping.md section 7). */
export class RoundPlan {
  private readonly every: number;
  private threshold: number;
  /** The start is the first link. */
  private links = 1;

  /** `round` is that of the state the program begins with; 0 is none. */
  constructor(every: number, round: number) {
    this.every = every;
    this.threshold = computeThreshold(every, round);
  }

  /** Whether one falls behind a round, if there is room for another link. */
  isDue(round: number): boolean {
    return round >= this.threshold;
  }

  /** Whether one is made behind a round; asked once for each. */
  advance(round: number): boolean {
    if (!this.isDue(round)) return false;
    this.threshold = computeThreshold(this.every, round);
    if (this.links >= MAX_LINKS) return false;
    this.links++;
    return true;
  }
}

/** The next multiple of `every` above a round: a program may leave rounds out. */
function computeThreshold(every: number, round: number): number {
  return Math.min((Math.floor(round / every) + 1) * every, Number.MAX_SAFE_INTEGER);
}
