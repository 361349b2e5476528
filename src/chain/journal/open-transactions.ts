import type { JournalStore } from './journal-store.ts';
import { isTerminal, type StoredTransaction } from './stored-transaction.ts';

/**
 * The transactions that are not terminal, in memory as they are on disk: a record changes here only after it was
 * written. Changes of one key happen one after the other.
 */
export class OpenTransactions {
  readonly #store: JournalStore;
  readonly #records = new Map<string, StoredTransaction>();
  readonly #changes = new Map<string, PromiseWithResolvers<void>>();
  readonly #tails = new Map<string, Promise<unknown>>();

  constructor(modules: { readonly store: JournalStore }) {
    this.#store = modules.store;
  }

  get size(): number {
    return this.#records.size;
  }

  /** As they are now. */
  list(): readonly StoredTransaction[] {
    return [...this.#records.values()];
  }

  find(key: string): StoredTransaction | undefined {
    return this.#records.get(key);
  }

  /** Takes in what is on disk. */
  async load(): Promise<void> {
    for await (const record of this.#store.open()) {
      if (this.#records.has(record.key)) continue;
      this.#records.set(record.key, record);
      this.#announce(record.key);
    }
  }

  /** On disk when it resolves, then seen by all. */
  async put(record: StoredTransaction): Promise<StoredTransaction> {
    await this.#store.put(record);
    if (isTerminal(record)) this.#records.delete(record.key);
    else this.#records.set(record.key, record);
    this.#announce(record.key);
    return record;
  }

  /** Resolves at the next change of that record; take it before reading the record. */
  nextChange(key: string): Promise<void> {
    let change = this.#changes.get(key);
    if (change === undefined) {
      change = Promise.withResolvers();
      this.#changes.set(key, change);
    }
    return change.promise;
  }

  /** Runs `task` when all earlier ones of that key have ended. */
  async exclusive<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const { promise: tail, resolve } = Promise.withResolvers<void>();
    this.#tails.set(key, tail);
    try {
      await before;
      return await task();
    } finally {
      resolve();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  #announce(key: string): void {
    this.#changes.get(key)?.resolve();
    this.#changes.delete(key);
  }
}
