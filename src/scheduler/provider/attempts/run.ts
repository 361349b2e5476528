import type { BlobId, LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { Priority } from '../../../domain/job.ts';
import type { GpuUnit } from '../../../sandbox/gpu/interface.ts';
import type { QueueEntry } from '../queue/fair-queue.ts';
import type { Footprint } from '../queue/host-gauge.ts';
import type { Attempt } from './attempt.ts';
import type { AttemptFeed } from './attempt-feed.ts';

export interface RunOptions {
  readonly requester: PeerKey;
  /** True for jobs that were submitted together: their receipts are signed together. */
  readonly isBatch: boolean;
  /** That it is paid for: of the terms of its offer. */
  readonly priority: Priority;
  /** When its offer was taken, monotonic ms. */
  readonly sinceMs: number;
  /** Within which time its first attempt was promised to start, ms; null is at once. */
  readonly startsWithinMs: number | null;
  /** Of one attempt at most. */
  readonly footprint: Footprint;
  /** Blobs that came with the lease request, not yet checked against their ids. */
  readonly inlineBlobs: ReadonlyMap<BlobId, Uint8Array>;
  /** Of jobs whose snapshots are sealed. */
  readonly snapshotKeys: ReadonlyMap<LeaseId, Uint8Array>;
  /** That its offer held; absent: none. */
  readonly gpus?: readonly GpuUnit[];
}

/** The attempts of one lease request. They start in order, each when the queue gives it a slot. */
export class Run implements QueueEntry {
  readonly options: RunOptions;
  /** Leased to it until it is over: one with GPUs has one attempt. */
  gpus: readonly GpuUnit[];
  /** Attempts that have not ended. */
  readonly live = new Set<Attempt>();
  /** One entry for each attempt that is being executed now. */
  readonly lanes = new Set<Attempt>();
  /** Slots that its offer held and that it has not used yet. */
  readonly #claim: number;
  /** False until its leases are journalled; it holds what its offer held before that and runs nothing. */
  isStarted = false;
  /** The open answer to the lease request of a batch; null once its stream has gone. */
  feed: AttemptFeed | null = null;
  readonly #journalled = Promise.withResolvers<void>();
  readonly #checkedBlobs = new Set<BlobId>();
  /** In order. What has left is not held: a batch that is not read would keep all that it came to. */
  #waiting = new Set<Attempt>();

  constructor(claim: number, options: RunOptions) {
    this.#claim = claim;
    this.options = options;
    this.gpus = options.gpus ?? [];
  }

  get owner(): string {
    return this.options.requester;
  }

  get priority(): Priority {
    return this.options.priority;
  }

  get form(): QueueEntry['form'] {
    return this.options.isBatch ? 'batch' : 'single';
  }

  get sinceMs(): number {
    return this.options.sinceMs;
  }

  /** Resolves when the leases are on disk, or could not be written. */
  get journalled(): Promise<void> {
    return this.#journalled.promise;
  }

  markJournalled(): void {
    this.#journalled.resolve();
  }

  /** Called once, before the run is dispatched. */
  load(attempts: readonly Attempt[]): void {
    this.#waiting = new Set(attempts);
    for (const attempt of attempts) this.live.add(attempt);
  }

  /** Slots that it holds for its start. */
  get claimedSlots(): number {
    return this.isStarted ? 0 : Math.min(this.#claim, this.#waiting.size);
  }

  /** True once nothing of it waits, runs or is being concluded. */
  get isOver(): boolean {
    return this.live.size === 0 && this.lanes.size === 0;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The next attempt that still waits; it does so until it is withdrawn. */
  peekNext(): Attempt | undefined {
    const [next] = this.#waiting;
    return next;
  }

  /** Bytes that came inline, if they are what their id says; each is checked once. */
  readInline(blob: BlobId, isBlob: (blob: BlobId, bytes: Uint8Array) => boolean): Uint8Array | undefined {
    const bytes = this.options.inlineBlobs.get(blob);
    if (bytes === undefined || this.#checkedBlobs.has(blob)) return bytes;
    if (!isBlob(blob, bytes)) return undefined;
    this.#checkedBlobs.add(blob);
    return bytes;
  }

  /** Takes an attempt out of the queue; false if it is not in it any more. */
  withdraw(attempt: Attempt): boolean {
    return this.#waiting.delete(attempt);
  }
}
