import type { ChainStore, StoreChange, StoreRange } from './interface.ts';

/** Forgets with the process. */
export class MemoryChainStore implements ChainStore {
  readonly #values = new Map<string, Uint8Array>();
  /** Sorted. */
  readonly #keys: string[] = [];

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#values.get(key);
  }

  async *range({ gte, lt, reverse, limit }: StoreRange): AsyncIterable<readonly [string, Uint8Array]> {
    const keys = this.#keys.slice(this.#position(gte), this.#position(lt));
    if (reverse === true) keys.reverse();
    let count = 0;
    for (const key of keys) {
      const value = this.#values.get(key);
      if (value === undefined) continue;
      if (count >= (limit ?? Number.POSITIVE_INFINITY)) return;
      count += 1;
      yield [key, value];
    }
  }

  async write(changes: readonly StoreChange[]): Promise<void> {
    for (const { key, value } of changes) {
      const position = this.#position(key);
      const isKnown = this.#keys[position] === key;
      if (value === null) {
        this.#values.delete(key);
        if (isKnown) this.#keys.splice(position, 1);
      } else {
        this.#values.set(key, value);
        if (!isKnown) this.#keys.splice(position, 0, key);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Index of the first key that is not below `key`. */
  #position(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
