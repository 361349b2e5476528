import type { SnapshotEntry, SnapshotStore } from '../../../blob/interface.ts';
import { type BlobId, type LeaseId, UnixMs } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { WriteOperation } from '../../../storage/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { BlobGrants } from '../../blob-access.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { SWEEP_INTERVAL_MS } from '../constants.ts';
import type { SnapshotOptions } from '../options.ts';
import { chooseThinned } from './choose-thinned.ts';
import type { SnapshotDuties, SnapshotDuty } from './snapshot-duties.ts';

export interface SnapshotKeeperModules {
  /** Null where this node keeps no snapshots. */
  readonly store: SnapshotStore | null;
  readonly duties: SnapshotDuties;
  readonly grants: BlobGrants;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface KeptLease {
  duty: SnapshotDuty;
  isRunning: boolean;
  /** Rights to read, by step. */
  readonly grants: Map<number, Disposable>;
}

/**
 * Keeps the snapshots that attempts of this provider made: of a running attempt up to a number, evenly apart; of an ended
 * one until its result can no longer be challenged. The requester and the holder may read what is kept.
 */
export class SnapshotKeeper implements Disposable {
  readonly #modules: SnapshotKeeperModules;
  readonly #options: SnapshotOptions;
  readonly #kept = new Map<LeaseId, KeptLease>();
  #timer: Disposable | null = null;
  #isStopped = false;

  constructor(modules: SnapshotKeeperModules, options: SnapshotOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Takes over what the process before kept. @param running attempts that will be gone on with */
  async load(running: ReadonlySet<LeaseId>): Promise<void> {
    const { store, duties } = this.#modules;
    if (store === null) return;
    for await (const [lease, duty] of duties.entries()) {
      const kept: KeptLease = { duty, isRunning: running.has(lease), grants: new Map() };
      this.#kept.set(lease, kept);
      if (!kept.isRunning) await this.end(lease);
    }
    for (const entry of store.list({ role: 'provider' })) {
      const kept = this.#kept.get(entry.lease);
      // A crash between a snapshot and the link that names it: nobody was told.
      if (kept === undefined) await this.#release(entry);
      else this.#grant(kept, entry);
    }
    this.#schedule();
  }

  /** Until when a snapshot of a running attempt is kept, whatever becomes of this process. */
  keptUntilMs(attempt: Attempt): UnixMs {
    return UnixMs(attempt.lease.value.deadlineMs + this.#options.keepForMs);
  }

  /** To be written with the first link that names a snapshot; nothing if that has been done. */
  dutyOperations(attempt: Attempt): readonly WriteOperation[] {
    if (this.#kept.has(attempt.id)) return [];
    return [this.#modules.duties.putOperation(attempt.id, this.#describeDuty(attempt))];
  }

  /** From now on the snapshot may be read; others of the attempt make room for it. */
  async add(attempt: Attempt, entry: SnapshotEntry): Promise<void> {
    const known = this.#kept.get(attempt.id);
    const kept: KeptLease = known ?? { duty: this.#describeDuty(attempt), isRunning: true, grants: new Map() };
    this.#kept.set(attempt.id, kept);
    this.#grant(kept, entry);
    await this.#thin(attempt.id, kept);
  }

  /** What an attempt went on from, kept as its own first snapshot. */
  async addStart(attempt: Attempt, entry: SnapshotEntry): Promise<void> {
    if (!this.#kept.has(attempt.id)) await this.#modules.duties.put(attempt.id, this.#describeDuty(attempt));
    await this.add(attempt, entry);
  }

  /** Newest first. */
  list(lease: LeaseId): readonly SnapshotEntry[] {
    return this.#modules.store?.list({ role: 'provider', lease }).toReversed() ?? [];
  }

  /** A snapshot that is kept under a lease, with whom it is kept for. */
  find(lease: LeaseId, snapshot: BlobId): { readonly entry: SnapshotEntry; readonly duty: SnapshotDuty } | undefined {
    const duty = this.#kept.get(lease)?.duty;
    const entry = this.list(lease).find(({ reference }) => reference.blob === snapshot);
    return duty === undefined || entry === undefined ? undefined : { entry, duty };
  }

  /** The attempt has ended: its snapshots are kept for as long as its result can be challenged. Never rejects. */
  async end(lease: LeaseId): Promise<void> {
    const kept = this.#kept.get(lease);
    const { store, duties, clock } = this.#modules;
    if (kept === undefined || store === null) return;
    kept.isRunning = false;
    const keptUntilMs = UnixMs(Math.min(kept.duty.keptUntilMs, clock.nowMs() + this.#options.keepForMs));
    kept.duty = { ...kept.duty, keptUntilMs };
    this.#schedule();
    await this.#quietly('snapshots of an ended attempt are kept longer than they need be', async () => {
      await duties.put(lease, kept.duty);
      for (const { step } of this.list(lease)) await store.keepUntil({ role: 'provider', lease, step }, keptUntilMs);
    });
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    for (const kept of this.#kept.values()) {
      for (const grant of kept.grants.values()) grant[Symbol.dispose]();
    }
    this.#kept.clear();
  }

  #describeDuty(attempt: Attempt): SnapshotDuty {
    const { provider, snapshotHolder, resume } = attempt.lease.value;
    return {
      version: 1,
      job: attempt.jobId,
      requester: attempt.requester,
      provider,
      holder: snapshotHolder ?? attempt.requester,
      startStep: resume?.step ?? 0,
      keptUntilMs: this.keptUntilMs(attempt),
    };
  }

  #grant(kept: KeptLease, { step, reference }: SnapshotEntry): void {
    kept.grants.get(step)?.[Symbol.dispose]();
    const stack = new DisposableStack();
    for (const peer of new Set([kept.duty.requester, kept.duty.holder])) {
      stack.use(this.#modules.grants.grant(peer, [reference.blob]));
    }
    kept.grants.set(step, stack);
  }

  async #thin(lease: LeaseId, kept: KeptLease): Promise<void> {
    const entries = this.list(lease).toReversed();
    const steps = entries.map(({ step }) => step);
    const thinned = new Set(chooseThinned(steps, kept.duty.startStep, this.#options.maxPerAttempt));
    for (const entry of entries) {
      if (thinned.has(entry.step)) await this.#release(entry);
    }
  }

  async #release({ lease, step }: SnapshotEntry): Promise<void> {
    const kept = this.#kept.get(lease);
    kept?.grants.get(step)?.[Symbol.dispose]();
    kept?.grants.delete(step);
    await this.#quietly('a snapshot could not be released', async () => {
      await this.#modules.store?.release({ role: 'provider', lease, step });
    });
  }

  #schedule(): void {
    if (this.#isStopped || this.#kept.size === 0) return;
    const waitMs = Math.max(1, Math.min(SWEEP_INTERVAL_MS, this.#options.keepForMs));
    this.#timer ??= this.#modules.clock.schedule(waitMs, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    this.#timer = null;
    const nowMs = this.#modules.clock.nowMs();
    for (const [lease, kept] of this.#kept) {
      if (kept.isRunning || kept.duty.keptUntilMs > nowMs) continue;
      for (const entry of this.list(lease)) await this.#release(entry);
      this.#kept.delete(lease);
      await this.#quietly('a duty could not be forgotten', () => this.#modules.duties.delete(lease));
    }
    this.#schedule();
  }

  /** What goes wrong here costs disk space, and the next start tries again. */
  async #quietly(consequence: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#modules.logger.warn({ error }, consequence);
    }
  }
}
