import type { LeaseId } from '../../../domain/ids.ts';
import type { InlineBlob, JobResponse, SequencedEvent } from '../../../domain/messages.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { packSigned } from '../../../proofs/signed-object.ts';
import {
  FRAME_BUDGET_BYTES,
  FRAME_EAGER_BYTES,
  FRAME_INTERVAL_MS,
  MAX_FOLLOWERS_PER_ATTEMPT,
  MAX_FRAME_EVENTS,
} from '../constants.ts';
import { type EventLog, estimateEntryBytes, type LogEntry } from './event-log.ts';
import type { UnreadAnswer, UnreadAnswers } from './unread-answers.ts';

/** Something with events to follow: a live attempt, or what is kept of an ended one. */
export interface FeedSource {
  readonly id: LeaseId;
  /** Of its newest event, where that is known without opening it. */
  readonly lastSequence: number;
  /** True once no more events will come. */
  readonly isOver: boolean;
  readonly followers: Set<AttemptFollower>;
  /** Memory that it takes once it is over and only an answer holds it. */
  readonly heldBytes: number;
  /** Its events; undefined where nothing is kept of it any more. */
  open(): EventLog | Promise<EventLog | undefined>;
}

/** Told of every event of a source that it follows. */
export interface AttemptFollower {
  onEvent(source: FeedSource, sizeBytes: number, urgency: 'now' | 'soon'): void;
  /** It hears no more of this source. */
  leave(source: FeedSource): void;
}

interface LoggedEntry {
  readonly lease: LeaseId;
  readonly entry: LogEntry;
}

/** Receipts that were signed together, with the outputs that ride with them. */
export interface ReceiptGroup {
  readonly sources: readonly FeedSource[];
  readonly receipts: readonly Signed<Receipt>[];
  readonly inlineBlobs: readonly InlineBlob[];
}

export interface AttemptFeedModules {
  readonly clock: Clock;
  /** Where checkpoints are that a log no longer holds. */
  readonly journal: { readLink(lease: LeaseId, index: number): Promise<SignedWire | undefined> };
  readonly unread: Pick<UnreadAnswers, 'note'>;
}

/**
 * One open answer to `lease` or `attach`: the events of its attempts as frames, until all have ended. Logs and metrics
 * wait up to 50 ms for more of them; the rest goes out at once. It reads from the attempts' bounded logs when the other
 * side takes a frame, so a slow reader of live attempts costs no memory; what has ended and waits here is counted.
 */
export class AttemptFeed implements AttemptFollower, UnreadAnswer {
  readonly #clock: Clock;
  readonly #journal: AttemptFeedModules['journal'];
  readonly #unread: AttemptFeedModules['unread'];
  /** Sequence of the last event sent, for each source that has more to come. */
  readonly #cursors = new Map<FeedSource, number>();
  readonly #dirty = new Set<FeedSource>();
  readonly #groups: ReceiptGroup[] = [];
  /** What waits here of each source that has ended. */
  readonly #held = new Map<FeedSource, number>();
  #heldBytes = 0;
  #waitingBytes = 0;
  #isUrgent = false;
  #lastFrameAtMs = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => undefined;

  constructor({ clock, journal, unread }: AttemptFeedModules) {
    this.#clock = clock;
    this.#journal = journal;
    this.#unread = unread;
  }

  follow(source: FeedSource, afterSequence: number): void {
    this.#cursors.set(source, Math.min(afterSequence, source.lastSequence));
    source.followers.add(this);
    this.#dirty.add(source);
    this.#isUrgent = true;
    const [oldest] = source.followers;
    if (source.followers.size > MAX_FOLLOWERS_PER_ATTEMPT) oldest?.leave(source);
  }

  leave(source: FeedSource): void {
    this.#unfollow(source);
    this.#isUrgent = true;
    this.#wake();
  }

  onEvent(source: FeedSource, sizeBytes: number, urgency: 'now' | 'soon'): void {
    this.#dirty.add(source);
    this.#waitingBytes += sizeBytes;
    this.#isUrgent ||= urgency === 'now';
    this.#wake();
    this.#count([source]);
  }

  /** Gives receipts of a batch in place of the `receipt` events of their attempts. */
  deliver(group: ReceiptGroup): void {
    if (!group.sources.some((source) => this.#cursors.has(source))) return;
    this.#groups.push(group);
    this.#isUrgent = true;
    this.#wake();
    this.#count(group.sources);
  }

  close(): void {
    for (const source of this.#cursors.keys()) source.followers.delete(this);
    this.#cursors.clear();
    this.#dirty.clear();
    this.#groups.splice(0);
    this.#held.clear();
    this.#heldBytes = 0;
    this.#unread.note(this, 0);
    this.#wake();
  }

  async *frames(signal: AbortSignal): AsyncGenerator<JobResponse> {
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted && this.#cursors.size > 0) {
        await this.#waitForWork(signal);
        if (signal.aborted) return;
        yield* this.#drain();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.close();
    }
  }

  async #waitForWork(signal: AbortSignal): Promise<void> {
    const isIdle = (): boolean => this.#dirty.size === 0 && this.#groups.length === 0;
    while (!signal.aborted && this.#cursors.size > 0 && isIdle()) await this.#nextWake();
    while (!signal.aborted && !this.#isUrgent && this.#waitingBytes < FRAME_EAGER_BYTES) {
      const waitMs = this.#lastFrameAtMs + FRAME_INTERVAL_MS - this.#clock.monotonicMs();
      if (waitMs <= 0) return;
      using _timer = this.#clock.schedule(waitMs, () => this.#wake());
      await this.#nextWake();
    }
  }

  #nextWake(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }

  async *#drain(): AsyncGenerator<JobResponse> {
    this.#isUrgent = false;
    this.#waitingBytes = 0;
    for (;;) {
      while (this.#dirty.size > 0) {
        const events = await this.#complete(await this.#collect());
        if (events.length === 0) continue;
        this.#lastFrameAtMs = this.#clock.monotonicMs();
        yield { kind: 'events', events };
      }
      // All that its attempts told before they ended has gone out.
      const group = this.#groups.shift();
      if (group === undefined) return;
      for (const source of group.sources) this.#unfollow(source);
      yield { kind: 'receipts', receipts: packSigned(group.receipts), inlineBlobs: [...group.inlineBlobs] };
    }
  }

  /** Fetches the checkpoints that were only noted; one whose journal is gone is left out. */
  async #complete(entries: readonly LoggedEntry[]): Promise<SequencedEvent[]> {
    const events: SequencedEvent[] = [];
    for (const { lease, entry } of entries) {
      if (!('recall' in entry)) {
        events.push(entry);
        continue;
      }
      const checkpoint = await this.#journal.readLink(lease, entry.recall);
      const { sequence, atMs } = entry;
      if (checkpoint !== undefined) events.push({ lease, sequence, atMs, event: { kind: 'checkpoint', checkpoint } });
    }
    return events;
  }

  async #collect(): Promise<LoggedEntry[]> {
    const events: LoggedEntry[] = [];
    let leftBytes = FRAME_BUDGET_BYTES;
    for (const source of this.#dirty) {
      if (events.length >= MAX_FRAME_EVENTS || (leftBytes <= 0 && events.length > 0)) break;
      const opened = source.open();
      const log = opened instanceof Promise ? await opened : opened;
      const cursor = this.#cursors.get(source);
      if (cursor === undefined || log === undefined) {
        this.#unfollow(source);
        continue;
      }
      const taken = log.after(cursor, MAX_FRAME_EVENTS - events.length, leftBytes);
      const last = taken.at(-1)?.sequence ?? cursor;
      const takenBytes = taken.reduce((sum, entry) => sum + estimateEntryBytes(entry), 0);
      if (events.length > 0 && takenBytes > leftBytes) break;
      events.push(...taken.map((entry) => ({ lease: source.id, entry })));
      leftBytes -= takenBytes;
      this.#cursors.set(source, last);
      if (last < log.lastSequence) break;
      this.#dirty.delete(source);
      if (source.isOver) this.#unfollow(source);
    }
    return events;
  }

  #unfollow(source: FeedSource): void {
    this.#cursors.delete(source);
    this.#dirty.delete(source);
    source.followers.delete(this);
    const heldBytes = this.#held.get(source);
    if (heldBytes === undefined) return;
    this.#held.delete(source);
    this.#heldBytes -= heldBytes;
    this.#unread.note(this, this.#heldBytes);
  }

  /** Counts what of these has ended; where that is too much, this answer may be closed by it. */
  #count(sources: readonly FeedSource[]): void {
    const before = this.#heldBytes;
    for (const source of sources) {
      const { heldBytes } = source;
      if (heldBytes === 0) continue;
      this.#heldBytes += heldBytes - (this.#held.get(source) ?? 0);
      this.#held.set(source, heldBytes);
    }
    if (this.#heldBytes !== before) this.#unread.note(this, this.#heldBytes);
  }
}
