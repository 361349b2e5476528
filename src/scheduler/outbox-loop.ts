import type { Clock } from '../lib/clock.ts';
import { StorageError } from '../storage/errors.ts';
import type { Logger } from '../telemetry/interface.ts';
import { OUTBOX_RETRY_MS } from './constants.ts';

export interface OutboxLoopModules {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Hands over a batch of what is in the outbox. True: there may be more. */
  readonly handOver: () => Promise<boolean>;
}

export interface OutboxLoopOptions {
  /** How long entries are gathered, ms; 0: not at all. */
  readonly delayMs: number;
  /** What is logged when a batch could not be handed over. It is tried again. */
  readonly failure: string;
}

/** When an outbox is emptied: some time after it is told of an entry, at its start, and again after a failure. */
export class OutboxLoop {
  readonly #modules: OutboxLoopModules;
  readonly #options: OutboxLoopOptions;
  #timer: { readonly atMs: number; readonly handle: Disposable } | undefined;
  #working: Promise<boolean> | undefined;
  #isDirty = false;
  #isRunning = false;

  constructor(modules: OutboxLoopModules, options: OutboxLoopOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** When entries of now are handed over, as far as is known. */
  get dueAtMs(): number {
    return this.#timer?.atMs ?? this.#modules.clock.nowMs() + this.#options.delayMs;
  }

  start(): void {
    this.#isRunning = true;
    this.wake();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#clearTimer();
    await this.#working;
  }

  /** There is an entry. */
  wake(): void {
    this.#isDirty = true;
    if (!this.#isRunning || this.#working !== undefined) return;
    if (this.#options.delayMs === 0) void this.#run();
    else if (this.#timer === undefined) this.#schedule(this.#options.delayMs);
  }

  /** Resolves when the entries from before the call are handed over, or could not be for now. */
  async settle(): Promise<void> {
    const isWell = (await this.#working) ?? true;
    if (isWell && this.#isRunning) await this.#run();
  }

  #run(): Promise<boolean> {
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      if (this.#isDirty && this.#timer === undefined) this.wake();
    });
    return this.#working;
  }

  async #work(): Promise<boolean> {
    this.#clearTimer();
    this.#isDirty = false;
    try {
      while (this.#isRunning && (await this.#modules.handOver()));
      return true;
    } catch (error) {
      this.#modules.logger.warn({ error }, this.#options.failure);
      if (this.#isRunning) this.#schedule(OUTBOX_RETRY_MS);
      return false;
    }
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#modules;
    const handle = clock.schedule(delayMs, () => {
      this.#timer = undefined;
      void this.#run();
    });
    this.#timer = { atMs: clock.nowMs() + delayMs, handle };
  }

  #clearTimer(): void {
    this.#timer?.handle[Symbol.dispose]();
    this.#timer = undefined;
  }
}

/**
 * What cannot be read any more must not keep the rest waiting; a disk that fails may be read later.
 * @throws the error, if reading may succeed later
 */
export function assertUnreadable(error: unknown): void {
  if (error instanceof StorageError && error.code !== 'STORAGE_CORRUPT') throw error;
}
