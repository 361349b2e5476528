import type { Clock } from '../../../lib/clock.ts';
import type { CandidateSaverOptions } from '../options.ts';
import type { CandidateChanges, StoredCandidates } from '../ports.ts';

export interface CandidateSaverModules {
  readonly clock: Clock;
  readonly table: {
    readonly unsaved: number;
    readonly beganEpoch: number | null;
    takeChanges(): CandidateChanges;
    putBackChanges(changes: CandidateChanges): void;
  };
  readonly store: {
    saveCandidates(changes: CandidateChanges & Pick<StoredCandidates, 'beganEpoch'>): Promise<void>;
  };
  /** Reports what fails. */
  readonly inBackground: (task: () => Promise<void>) => void;
}

/** However many change, so much time lies between two batches that are written because of that, ms. */
const SAVE_GAP_MS = 1_000;

/**
 * Writes the ages of candidates in batches: when many have changed, some time after the first change, and when told to. A
 * node that is killed loses the ages of a few minutes at most; what a failed write was to hold is in the next one.
 */
export class CandidateSaver {
  readonly #modules: CandidateSaverModules;
  readonly #options: CandidateSaverOptions;
  #next: { readonly dueMs: number; readonly timer: Disposable } | null = null;
  #writing: Promise<void> = Promise.resolve();
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #isStopped = true;

  constructor(modules: CandidateSaverModules, options: CandidateSaverOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  start(): void {
    this.#isStopped = false;
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.save();
  }

  /** Something in the table is not on disk. */
  noteChange(): void {
    if (this.#isStopped) return;
    const { clock, table, inBackground } = this.#modules;
    const { saveAfterMs, saveAfterChanges } = this.#options;
    const nowMs = clock.monotonicMs();
    const dueMs = Math.max(this.#notBeforeMs, table.unsaved >= saveAfterChanges ? nowMs : nowMs + saveAfterMs);
    if (this.#next !== null && this.#next.dueMs <= dueMs) return;
    this.#cancel();
    this.#next = { dueMs, timer: clock.schedule(dueMs - nowMs, () => inBackground(() => this.save())) };
  }

  /** All changes until now in one batch, after those that are being written. */
  save(): Promise<void> {
    this.#cancel();
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { clock, table, store } = this.#modules;
    this.#cancel();
    this.#notBeforeMs = clock.monotonicMs() + SAVE_GAP_MS;
    const changes = table.takeChanges();
    try {
      await store.saveCandidates({ ...changes, beganEpoch: table.beganEpoch });
    } catch (error) {
      table.putBackChanges(changes);
      this.#notBeforeMs = clock.monotonicMs() + this.#options.saveAfterMs;
      this.noteChange();
      throw error;
    }
  }

  #cancel(): void {
    this.#next?.timer[Symbol.dispose]();
    this.#next = null;
  }
}
