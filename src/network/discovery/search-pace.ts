/** Turns left out after a search that found nobody new: 1, 3, 7, and then always so many. */
const MAX_LEFT_OUT = 15;

/**
 * Which turns of a regular search are taken. Of a network that is known a search finds nothing, and asks twenty peers for
 * each class: each one in vain doubles the wait. Whoever knows fewer than before, or finds somebody, searches at each turn.
 */
export class SearchPace {
  #leftOut = 0;
  #toLeaveOut = 0;
  #knownBefore = 0;

  /** Whether this turn is taken, by how many are known. */
  isDue(known: number): boolean {
    if (known < this.#knownBefore) this.#toLeaveOut = 0;
    this.#knownBefore = known;
    if (this.#leftOut >= this.#toLeaveOut) return true;
    this.#leftOut += 1;
    return false;
  }

  noteSearched(newcomers: number): void {
    this.#leftOut = 0;
    this.#toLeaveOut = newcomers > 0 ? 0 : Math.min(MAX_LEFT_OUT, 2 * this.#toLeaveOut + 1);
  }
}
