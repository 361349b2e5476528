import type { BlobId, LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { Attempt } from './attempt.ts';
import type { AttemptFeed } from './attempt-feed.ts';

export interface RunOptions {
  readonly requester: PeerKey;
  /** True for jobs that were submitted together: their receipts are signed together. */
  readonly isBatch: boolean;
  /** Blobs that came with the lease request, not yet checked against their ids. */
  readonly inlineBlobs: ReadonlyMap<BlobId, Uint8Array>;
  /** Of jobs whose snapshots are sealed. */
  readonly snapshotKeys: ReadonlyMap<LeaseId, Uint8Array>;
}

/** The attempts of one lease request. They run in order, in as many lanes as slots are granted. */
export class Run {
  readonly options: RunOptions;
  /** Attempts that have not ended. */
  readonly live = new Set<Attempt>();
  /** One entry for each attempt that is being executed now. */
  readonly lanes = new Set<Attempt>();
  grantedSlots: number;
  /** False until its leases are journalled; it holds its slots before that and runs nothing. */
  isStarted = false;
  /** The open answer to the lease request of a batch; null once its stream has gone. */
  feed: AttemptFeed | null = null;
  readonly #journalled = Promise.withResolvers<void>();
  #queue: readonly Attempt[] = [];
  readonly #checkedBlobs = new Set<BlobId>();
  #next = 0;
  #waiting = new Set<Attempt>();

  constructor(grantedSlots: number, options: RunOptions) {
    this.grantedSlots = grantedSlots;
    this.options = options;
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
    this.#queue = attempts;
    this.#waiting = new Set(attempts);
    for (const attempt of attempts) this.live.add(attempt);
  }

  /** Slots that this run holds now: recomputed, never counted. */
  get heldSlots(): number {
    return Math.max(this.lanes.size, Math.min(this.grantedSlots, this.lanes.size + this.#waiting.size));
  }

  /** True once nothing of it waits, runs or is being concluded. */
  get isOver(): boolean {
    return this.live.size === 0 && this.lanes.size === 0;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The next attempt that still waits. */
  takeNext(): Attempt | undefined {
    while (this.#next < this.#queue.length) {
      const attempt = this.#queue[this.#next];
      this.#next += 1;
      if (attempt !== undefined && this.#waiting.delete(attempt)) return attempt;
    }
    return undefined;
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
