/** Ids that were seen, each until a time; of too many the oldest are forgotten. */
export class SeenUntil {
  readonly #capacity: number;
  readonly #until = new Map<string, number>();

  constructor(options: { readonly capacity: number }) {
    this.#capacity = options.capacity;
  }

  get size(): number {
    return this.#until.size;
  }

  /** False if it is known already. */
  add(id: string, times: { readonly untilMs: number; readonly nowMs: number }): boolean {
    const knownUntilMs = this.#until.get(id);
    if (knownUntilMs !== undefined && knownUntilMs > times.nowMs) return false;
    // Entered anew, so that the order of the map is that of entering.
    this.#until.delete(id);
    if (this.#until.size >= this.#capacity) this.#makeRoom(times.nowMs);
    this.#until.set(id, times.untilMs);
    return true;
  }

  /** From the oldest on: what has passed, and as much as must go. */
  #makeRoom(nowMs: number): void {
    for (const [id, untilMs] of this.#until) {
      if (untilMs > nowMs && this.#until.size < this.#capacity) return;
      this.#until.delete(id);
    }
  }
}
