import type { BlobStore } from '../../../blob/interface.ts';
import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { BlobGrants } from '../../blob-access.ts';
import type { AttemptJournal } from '../checkpoints/attempt-journal.ts';
import { MAX_KEPT_RESULTS, SWEEP_INTERVAL_MS } from '../constants.ts';
import type { LeaseRecord } from '../leases/lease-record.ts';
import type { LeaseStore } from '../leases/lease-store.ts';

export interface ResultKeeperModules {
  readonly store: LeaseStore;
  /** Its links are kept as long as the record of their lease. */
  readonly journal: Pick<AttemptJournal, 'forget'>;
  readonly blobs: Pick<BlobStore, 'pin'>;
  readonly grants: BlobGrants;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface KeptResult {
  readonly requester: PeerKey;
  readonly endedAtMs: number;
  readonly keptUntilMs: number;
  readonly stored: LeaseRecord['stored'];
  readonly pins: readonly Disposable[];
  /** False for a commitment that waits for its reveal. */
  isRevealed: boolean;
  grant: Disposable | null;
}

/** Keeps ended attempts for their requesters: records, pinned outputs and the right to read them, for a while. */
export class ResultKeeper implements Disposable {
  readonly #modules: ResultKeeperModules;
  readonly #keptForMs: number;
  /** In the order in which they ended. */
  readonly #kept = new Map<LeaseId, KeptResult>();
  #timer: Disposable | null = null;

  constructor(modules: ResultKeeperModules, options: { readonly resultsKeptForMs: number }) {
    this.#modules = modules;
    this.#keptForMs = options.resultsKeptForMs;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Whose result is kept under this lease, without a look at the disk; undefined if none is kept. */
  requesterOf(lease: LeaseId): PeerKey | undefined {
    return this.#kept.get(lease)?.requester;
  }

  /** Commitments made after `sinceMs` that wait for their reveal. */
  countUnrevealed(sinceMs: number): number {
    return [...this.#kept.values()].filter((kept) => !kept.isRevealed && kept.endedAtMs > sinceMs).length;
  }

  /** From the moment of the commitment or the receipt. The outputs of a commitment are readable once it is revealed. */
  keep(lease: LeaseId, record: LeaseRecord): void {
    this.#release(lease);
    const pins = record.stored.map((blob) => this.#modules.blobs.pin(blob));
    const endedAtMs = record.endedAtMs ?? this.#modules.clock.nowMs();
    this.#kept.set(lease, {
      requester: record.requester,
      endedAtMs,
      // What was promised when the lease was accepted stands, whatever the setting is now.
      keptUntilMs: endedAtMs + (record.keptForMs ?? this.#keptForMs),
      stored: record.stored,
      pins,
      isRevealed: false,
      grant: null,
    });
    if (record.receipt !== null) this.reveal(lease, record);
    if (this.#kept.size > MAX_KEPT_RESULTS) this.#dropOldest();
    this.#timer ??= this.#modules.clock.schedule(this.#sweepIntervalMs(), () => void this.#sweep());
  }

  /** Commit, then reveal: before the receipt is handed out, nobody may read the outputs (design section 7). */
  reveal(lease: LeaseId, record: LeaseRecord): void {
    const kept = this.#kept.get(lease);
    if (kept === undefined || kept.isRevealed) return;
    kept.isRevealed = true;
    if (kept.stored.length > 0) kept.grant = this.#modules.grants.grant(record.requester, kept.stored);
  }

  /** Forgets results for good, on disk too. */
  async drop(leases: readonly LeaseId[]): Promise<void> {
    for (const lease of leases) this.#release(lease);
    await this.#modules.store.delete(leases);
    await this.#modules.journal.forget(leases);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    for (const lease of this.#kept.keys()) this.#release(lease);
  }

  #release(lease: LeaseId): void {
    const kept = this.#kept.get(lease);
    if (kept === undefined) return;
    this.#kept.delete(lease);
    for (const pin of kept.pins) pin[Symbol.dispose]();
    kept.grant?.[Symbol.dispose]();
  }

  #sweepIntervalMs(): number {
    return Math.min(SWEEP_INTERVAL_MS, this.#keptForMs);
  }

  async #sweep(): Promise<void> {
    this.#timer = null;
    const nowMs = this.#modules.clock.nowMs();
    const over = [...this.#kept].filter(([, kept]) => kept.keptUntilMs <= nowMs).map(([lease]) => lease);
    if (this.#kept.size > over.length) {
      this.#timer = this.#modules.clock.schedule(this.#sweepIntervalMs(), () => void this.#sweep());
    }
    await this.#dropQuietly(over);
  }

  #dropOldest(): void {
    const oldest = this.#kept.keys().next();
    if (oldest.done !== true) void this.#dropQuietly([oldest.value]);
  }

  async #dropQuietly(leases: readonly LeaseId[]): Promise<void> {
    try {
      await this.drop(leases);
    } catch (error) {
      this.#modules.logger.warn({ error, results: leases.length }, 'kept results could not be dropped');
    }
  }
}
