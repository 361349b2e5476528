import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import type { Clock } from '../../../lib/clock.ts';
import { AttemptFeed, type AttemptFollower, type FeedSource } from '../attempts/attempt-feed.ts';
import type { AttemptTable } from '../attempts/attempt-table.ts';
import { EventLog } from '../attempts/event-log.ts';
import type { UnreadAnswers } from '../attempts/unread-answers.ts';
import type { AttemptJournal } from '../checkpoints/attempt-journal.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { LeaseStore } from './lease-store.ts';

export interface LeaseFollowerModules {
  readonly table: AttemptTable;
  readonly store: LeaseStore;
  readonly journal: AttemptJournal;
  readonly clock: Clock;
  readonly unread: UnreadAnswers;
}

export interface FollowRequest {
  readonly lease: LeaseId;
  readonly fromSequence: number;
}

/** Finds what there is to follow of a lease: its live attempt, the events kept of it, or only how it ended. */
export class LeaseFollower {
  readonly #modules: LeaseFollowerModules;

  constructor(modules: LeaseFollowerModules) {
    this.#modules = modules;
  }

  /** The feed of these leases, and those of which this requester has none here. */
  async follow(
    requester: PeerKey,
    requests: readonly FollowRequest[],
  ): Promise<{ readonly feed: AttemptFeed; readonly unknown: readonly LeaseId[] }> {
    const feed = new AttemptFeed(this.#modules);
    const unknown: LeaseId[] = [];
    // Of a lease that is named twice the last counts.
    for (const request of new Map(requests.map((each) => [each.lease, each])).values()) {
      const source = await this.#find(requester, request);
      if (source === undefined) unknown.push(request.lease);
      else feed.follow(source, request.fromSequence);
    }
    return { feed, unknown };
  }

  async #find(requester: PeerKey, { lease, fromSequence }: FollowRequest): Promise<FeedSource | undefined> {
    const record = await this.#modules.store.get(lease);
    // Looked up after the record: an attempt that ended meanwhile is in the record.
    const attempt = this.#modules.table.get(lease);
    if (attempt !== undefined) return attempt.requester === requester ? attempt : undefined;
    const ended = record?.endedAtMs === null ? await this.#modules.store.get(lease) : record;
    if (ended === undefined || ended.requester !== requester || ended.endedAtMs === null) return undefined;
    return new EndedAttempt(lease, () => this.#open(lease, fromSequence));
  }

  async #open(lease: LeaseId, fromSequence: number): Promise<EventLog | undefined> {
    const log = this.#modules.table.endedLog(lease);
    if (log !== undefined) return log;
    const record = await this.#modules.store.get(lease);
    return record && (await this.#recall(lease, record, fromSequence));
  }

  /** A log that holds the checkpoints, which of them is held, the last progress and the last event, under a sequence that its reader has not seen. */
  async #recall(lease: LeaseId, record: LeaseRecord, fromSequence: number): Promise<EventLog> {
    // One that was heard would count as played again.
    const lastProgress = fromSequence < (record.progressEvent ?? Infinity) ? record.lastProgress : undefined;
    const before = record.lastSequence - (lastProgress === undefined ? 1 : 2);
    const log = new EventLog(lease, Math.max(before, fromSequence));
    log.recall(await this.#modules.journal.recall(lease));
    const { heldIndex = null } = (await this.#modules.journal.readSign(lease)) ?? {};
    const atMs = record.endedAtMs ?? this.#modules.clock.nowMs();
    if (heldIndex !== null) log.append({ kind: 'held', index: heldIndex }, atMs);
    if (lastProgress !== undefined) log.append({ kind: 'progress', progress: lastProgress }, atMs);
    const last = describeLastEvent(record);
    if (last !== undefined) log.append(last, atMs);
    return log;
  }
}

/** Its events are read when it is their turn: an answer may be about thousands, with their outputs. */
class EndedAttempt implements FeedSource {
  readonly id: LeaseId;
  readonly isOver = true;
  /** Its log begins above what its reader has seen. */
  readonly lastSequence = Number.POSITIVE_INFINITY;
  readonly followers = new Set<AttemptFollower>();
  readonly heldBytes = 0;
  readonly #read: () => Promise<EventLog | undefined>;
  #log: Promise<EventLog | undefined> | null = null;

  constructor(id: LeaseId, read: () => Promise<EventLog | undefined>) {
    this.id = id;
    this.#read = read;
  }

  /** Read once, since its sequences depend on what had been seen. */
  open(): Promise<EventLog | undefined> {
    this.#log ??= this.#read();
    return this.#log;
  }
}

function describeLastEvent(record: LeaseRecord): AttemptEvent | undefined {
  if (record.commitment !== null) return { kind: 'committed', commitment: record.commitment.wire };
  if (record.receipt === null) return undefined;
  return { kind: 'receipt', receipt: record.receipt, inlineBlobs: record.inline };
}
