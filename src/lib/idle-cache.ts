import { LRUCache } from 'lru-cache';
import type { Clock } from './clock.ts';

/** Long enough for the jobs of one batch and for who comes back after a lost connection, in ms. */
export const CACHE_IDLE_MS = 300_000;

export interface IdleCacheOptions<Value> {
  /** Of all entries together; the one asked for longest ago goes first. */
  readonly maxBytes: number;
  /** A larger one is not kept; `maxBytes` by default. */
  readonly maxEntryBytes?: number;
  /** One that nobody asked for in so long goes, in ms; CACHE_IDLE_MS by default. */
  readonly idleMs?: number;
  /** Positive, also of an empty value. */
  readonly sizeOf: (value: Value) => number;
}

/**
 * Bytes in memory that are somewhere else, too: bounded, and given back when they are not used. Without the second a daemon
 * keeps for weeks what one busy hour needed.
 */
export class IdleCache<Key extends string, Value extends object> implements Disposable {
  readonly #entries: LRUCache<Key, Value>;
  readonly #clock: Clock;
  readonly #idleMs: number;
  #timer: Disposable | null = null;

  constructor(modules: { readonly clock: Clock }, options: IdleCacheOptions<Value>) {
    const { clock } = modules;
    const { maxBytes, maxEntryBytes = maxBytes, idleMs = CACHE_IDLE_MS, sizeOf } = options;
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      maxEntrySize: maxEntryBytes,
      sizeCalculation: sizeOf,
      ttl: idleMs,
      updateAgeOnGet: true,
      // By default it remembers the time for a moment, by a timer of its own.
      ttlResolution: 0,
      // Of a clock that begins at 0 the first moment would mean: never.
      perf: { now: () => clock.monotonicMs() + 1 },
    });
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  set(key: Key, value: Value): void {
    this.#entries.set(key, value);
    this.#timer ??= this.#clock.schedule(this.#idleMs, () => this.#sweep());
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }

  /** Entries, those included that are about to go. */
  get size(): number {
    return this.#entries.size;
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#entries.clear();
  }

  #sweep(): void {
    this.#entries.purgeStale();
    this.#timer = this.#entries.size === 0 ? null : this.#clock.schedule(this.#idleMs, () => this.#sweep());
  }
}
