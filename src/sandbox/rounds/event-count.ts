/** Events of a program (log lines, metrics), counted in order and against the job's limit of their bytes. */
export class EventCount {
  readonly #maxBytes: number;
  readonly #onExcess: () => void;
  #ordinal = 0;
  #usedBytes = 0;
  #isOver = false;

  /** `onExcess` is called once, when the program gives more; nothing is told after that. */
  constructor({ maxBytes, onExcess }: { readonly maxBytes: number; readonly onExcess: () => void }) {
    this.#maxBytes = maxBytes;
    this.#onExcess = onExcess;
  }

  /** Events that were told so far. */
  get ordinal(): number {
    return this.#ordinal;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The ordinal of the next event, from 1; null if it may not be told. */
  take(bytes: number): number | null {
    this.spend(bytes);
    if (this.#isOver) return null;
    this.#ordinal += 1;
    return this.#ordinal;
  }

  /** Counts bytes that become no event: reading them is work all the same. */
  spend(bytes: number): void {
    if (this.#isOver) return;
    this.#usedBytes += bytes;
    if (this.#usedBytes <= this.#maxBytes) return;
    this.#isOver = true;
    this.#onExcess();
  }
}
