import { BlobError } from '../../blob/errors.ts';
import type { SnapshotEntry, SnapshotKey, SnapshotStore } from '../../blob/interface.ts';
import type { Checkpoint, SnapshotReference } from '../../domain/checkpoint.ts';
import type { JobId, LeaseId, PeerKey } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError, isDaemonError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { SNAPSHOT_BACKOFF_MS, SNAPSHOT_PATIENCE_MS } from '../constants.ts';
import type { HeldPoint } from '../job-resume.ts';
import type { RequesterMetrics } from '../metrics.ts';
import { jobIdOf } from '../object-ids.ts';
import { computeStateLimit } from '../snapshots/state-limit.ts';
import { sleep } from './backoff.ts';
import type { CheckpointBook, CheckpointOwner } from './checkpoint-book.ts';

export interface SnapshotRequest {
  readonly peer: PeerKey;
  readonly reference: SnapshotReference;
  readonly key: SnapshotKey;
  readonly snapshotKey: Uint8Array | null;
  readonly expected: {
    readonly job: JobId;
    readonly step: number;
    readonly stateRoot: Uint8Array;
    readonly fuel: number | null;
    readonly sealed: boolean;
  };
  readonly keptUntilMs: number;
  /** Most bytes of items that are not here yet. */
  readonly maxNewBytes: number;
  /** What is kept here under leases of this job already. */
  readonly isOwn: (entry: Pick<SnapshotEntry, 'lease'>) => boolean;
}

/** Brings snapshots into the store; `SnapshotFetcher` (scheduler/snapshots) satisfies it. */
export interface SnapshotSource {
  fetch(
    request: SnapshotRequest,
    options: AbortOptions & { readonly signal: AbortSignal; readonly onProgress?: () => void },
  ): Promise<unknown>;
}

export type HeldSnapshots = Pick<SnapshotStore, 'find' | 'list' | 'release' | 'keepUntil'>;

export interface SnapshotKeeperModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<RequesterMetrics, 'snapshotsHeld' | 'peerFaults'>;
  readonly book: CheckpointBook;
  readonly source: SnapshotSource;
  readonly snapshots: HeldSnapshots;
}

export interface SnapshotKeeperOptions {
  readonly job: Signed<Job>;
  readonly snapshotKey: Uint8Array | null;
  /** This node. */
  readonly self: PeerKey;
  /** How long after the job's end its snapshots are kept, ms. */
  readonly keepForMs: number;
  /** Every attempt of a replica. */
  readonly listLeases: (replica: number) => ReadonlySet<LeaseId>;
  /** A snapshot is held, or is waited for no more. */
  readonly onChange: () => void;
  /** What it announced is not the state that it signed. */
  readonly onFault: (lease: LeaseId, code: string, reason: string) => void;
  readonly onDefect: (error: unknown) => void;
}

interface Announced {
  readonly owner: CheckpointOwner;
  readonly provider: PeerKey;
  readonly controller: AbortController;
  /** The newest that was announced and not yet begun. */
  next: Checkpoint | null;
  isRunning: boolean;
  /** Runs while the replica waits for it: then it goes on without. */
  patience: Disposable | undefined;
  /** On the monotonic clock: it is not waited for beyond this, whatever arrives. */
  patientUntilMs: number;
  /** How the attempt ended; null while it runs. */
  end: 'paused' | 'failed' | null;
}

/**
 * Holds the snapshots of one job: of each attempt the newest that was announced is fetched, one at a time, and those
 * that were overtaken meanwhile are skipped. Where the job names another holder, that one fetches them, and what the
 * provider says that it has counts as held.
 */
export class SnapshotKeeper {
  readonly #modules: SnapshotKeeperModules;
  readonly #options: SnapshotKeeperOptions;
  readonly #announced = new Map<LeaseId, Announced>();
  #isStopped = false;

  constructor(modules: SnapshotKeeperModules, options: SnapshotKeeperOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get #isHolder(): boolean {
    const holder = this.#options.job.value.checkpoints?.holder ?? null;
    return holder === null || holder === this.#options.self;
  }

  announce(owner: CheckpointOwner, checkpoint: Checkpoint, provider: PeerKey): void {
    if (this.#isStopped || checkpoint.snapshot === null || !this.#isHolder) return;
    const slot = this.#slot(owner, provider);
    slot.next = checkpoint;
    if (!slot.isRunning) this.#run(slot).catch(this.#options.onDefect);
  }

  /** The provider's word that a third party holds a snapshot: believed, for a false one fails when it is claimed. */
  async confirm(owner: CheckpointOwner, index: number): Promise<void> {
    const { book } = this.#modules;
    const latest = book.held.findLast(({ lease }) => lease === owner.lease)?.index ?? -1;
    // Of no use, and a provider could say it endlessly.
    if (this.#isHolder || index <= latest || index > (book.newest(owner.lease)?.index ?? -1)) return;
    const checkpoint = await book.find(owner.lease, index);
    if (checkpoint !== undefined && checkpoint.snapshot !== null) await this.#hold(owner, checkpoint);
  }

  /** Points that a provider can go on from now. */
  listPoints(provider: PeerKey): readonly HeldPoint[] {
    const { book, snapshots } = this.#modules;
    if (!this.#isHolder) return book.listReachable(provider);
    return book.held.filter((point) => snapshots.find(point.snapshot.blob) !== undefined);
  }

  /**
   * True while a replica that is to be leased again waits for the snapshot of its last attempt. From the first time that
   * it is asked for, it is waited for only as long as something of it arrives now and then, and not for ever: a provider
   * that gives it drop by drop must not keep the replica from others.
   */
  isAwaited(replica: number): boolean {
    const slot = [...this.#announced.values()].find((other) => other.owner.replica === replica && other.end !== null);
    if (slot === undefined || !slot.isRunning || slot.controller.signal.aborted) return false;
    if (slot.patience === undefined) this.#waitFor(slot);
    return true;
  }

  #waitFor(slot: Announced): void {
    const { clock } = this.#modules;
    const nowMs = clock.monotonicMs();
    if (slot.patience === undefined) slot.patientUntilMs = nowMs + SNAPSHOT_PATIENCE_MS.longest;
    slot.patience?.[Symbol.dispose]();
    const waitMs = Math.min(SNAPSHOT_PATIENCE_MS[slot.end ?? 'failed'], slot.patientUntilMs - nowMs);
    slot.patience = clock.schedule(Math.max(0, waitMs), () => {
      slot.controller.abort();
      this.#options.onChange();
    });
  }

  /** The attempt is over: what is under way is gone on with, if its provider may still hand it out. */
  end(lease: LeaseId, how: 'paused' | 'failed' | 'lost'): void {
    const slot = this.#announced.get(lease);
    if (slot === undefined) return;
    if (!slot.isRunning) return void this.#announced.delete(lease);
    slot.end = how === 'lost' ? 'failed' : how;
    if (how === 'lost') slot.controller.abort();
  }

  /** After a restart: what was announced last and did not arrive is fetched; what nobody knows of is let go of. */
  recover(attempts: readonly (CheckpointOwner & { readonly provider: PeerKey; readonly isPaused: boolean })[]): void {
    for (const { lease, replica, provider, isPaused } of attempts) {
      const newest = this.#modules.book.newest(lease);
      if (newest !== null && !this.#isHeld(lease, newest.index)) this.announce({ lease, replica }, newest, provider);
      if (isPaused) this.end(lease, 'paused');
      if (this.#isHolder) this.#sweep(lease, newest);
    }
  }

  #sweep(lease: LeaseId, newest: Checkpoint | null): void {
    for (const { role, step } of this.#modules.snapshots.list({ role: 'holder', lease })) {
      const isKnown = this.#modules.book.held.some((point) => point.lease === lease && point.step === step);
      if (!isKnown && step !== newest?.step) this.#release({ role, lease, step });
    }
  }

  #isHeld(lease: LeaseId, index: number): boolean {
    return this.#modules.book.held.some((point) => point.lease === lease && point.index === index);
  }

  /** The job has ended: what is held is kept as long as it may be challenged. */
  close(): void {
    this.stop();
    if (!this.#isHolder) return;
    const { book, snapshots, clock } = this.#modules;
    const untilMs = clock.nowMs() + this.#options.keepForMs;
    for (const { lease, step } of book.held) {
      snapshots.keepUntil({ role: 'holder', lease, step }, untilMs).catch(this.#options.onDefect);
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const slot of this.#announced.values()) {
      slot.controller.abort();
      slot.patience?.[Symbol.dispose]();
    }
    this.#announced.clear();
  }

  #slot(owner: CheckpointOwner, provider: PeerKey): Announced {
    let slot = this.#announced.get(owner.lease);
    if (slot === undefined) {
      const controller = new AbortController();
      slot = {
        owner,
        provider,
        controller,
        next: null,
        isRunning: false,
        patience: undefined,
        patientUntilMs: 0,
        end: null,
      };
      this.#announced.set(owner.lease, slot);
    }
    return slot;
  }

  async #run(slot: Announced): Promise<void> {
    slot.isRunning = true;
    let backoffMs: number = SNAPSHOT_BACKOFF_MS.first;
    try {
      while (slot.next !== null && !slot.controller.signal.aborted) {
        const checkpoint = slot.next;
        slot.next = null;
        const outcome = await this.#fetch(slot, checkpoint);
        if (outcome === 'held') backoffMs = SNAPSHOT_BACKOFF_MS.first;
        if (outcome !== 'later') continue;
        slot.next ??= checkpoint;
        await sleep(this.#modules.clock, backoffMs, slot.controller.signal);
        backoffMs = Math.min(backoffMs * 2, SNAPSHOT_BACKOFF_MS.longest);
      }
    } finally {
      slot.isRunning = false;
      slot.patience?.[Symbol.dispose]();
      if (slot.end !== null) this.#announced.delete(slot.owner.lease);
      if (!this.#isStopped) this.#options.onChange();
    }
  }

  async #fetch(slot: Announced, checkpoint: Checkpoint): Promise<'held' | 'later' | 'never'> {
    const { owner, provider, controller } = slot;
    const { snapshot: reference, step, stateRoot, fuel } = checkpoint;
    if (reference === null) return 'never';
    const { job, snapshotKey, keepForMs } = this.#options;
    const sealed = job.value.checkpoints?.sealed === true;
    const request: SnapshotRequest = {
      peer: provider,
      reference,
      key: { role: 'holder', lease: owner.lease, step },
      snapshotKey,
      expected: { job: jobIdOf(job), step, stateRoot, fuel, sealed },
      keptUntilMs: job.value.deadlineMs + keepForMs,
      maxNewBytes: computeStateLimit(job.value),
      isOwn: ({ lease }) => this.#modules.book.newest(lease) !== null,
    };
    try {
      await this.#modules.source.fetch(request, {
        signal: controller.signal,
        onProgress: () => {
          if (slot.patience !== undefined) this.#waitFor(slot);
        },
      });
    } catch (error) {
      if (controller.signal.aborted) return 'never';
      return this.#judgeFailure(owner, checkpoint, error);
    }
    await this.#hold(owner, checkpoint);
    return 'held';
  }

  /** A full store of ours passes; a snapshot that is not what was signed is its maker's fault. */
  #judgeFailure({ lease }: CheckpointOwner, { job, step }: Checkpoint, error: unknown): 'later' | 'never' {
    if (!isDaemonError(error)) throw error;
    const { logger, metrics } = this.#modules;
    const fields = { jobId: job, lease, step, code: error.code, reason: describeError(error) };
    if (error.code === 'SNAPSHOT_INVALID') {
      metrics.peerFaults.increment({ code: error.code });
      this.#options.onFault(lease, error.code, error.message);
      return 'never';
    }
    if (error instanceof BlobError) logger.warn(fields, 'a snapshot cannot be kept');
    else logger.debug(fields, 'a snapshot did not arrive');
    return error.code === 'SNAPSHOT_TOO_LARGE' ? 'never' : 'later';
  }

  async #hold(owner: CheckpointOwner, checkpoint: Checkpoint): Promise<void> {
    const { book, metrics } = this.#modules;
    const dropped = await book.hold(owner, checkpoint, this.#options.listLeases(owner.replica));
    metrics.snapshotsHeld.increment();
    if (this.#isHolder) for (const { lease, step } of dropped) this.#release({ role: 'holder', lease, step });
    if (!this.#isStopped) this.#options.onChange();
  }

  #release(key: SnapshotKey): void {
    this.#modules.snapshots.release(key).catch(this.#options.onDefect);
  }
}
