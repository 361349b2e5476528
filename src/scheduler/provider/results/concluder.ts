import { COMMITMENT, type Commitment } from '../../../domain/commitment.ts';
import { type LeaseId, UnixMs } from '../../../domain/ids.ts';
import type { AttemptEvent, InlineBlob } from '../../../domain/messages.ts';
import { encodeObject } from '../../../domain/object-type.ts';
import { RECEIPT, type Receipt } from '../../../domain/receipt.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Random } from '../../../lib/random.ts';
import { computeCommitmentDigest, computeOutputRoot } from '../../../proofs/commitment.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject, signObjects } from '../../../proofs/signed-object.ts';
import type { WriteOperation } from '../../../storage/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { AttemptNotes } from '../../attempt-notes.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { AttemptFeed, ReceiptGroup } from '../attempts/attempt-feed.ts';
import type { AttemptTable } from '../attempts/attempt-table.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import type { AttemptJournal } from '../checkpoints/attempt-journal.ts';
import type { CheckpointDesk } from '../checkpoints/checkpoint-desk.ts';
import type { LeaseRecord } from '../leases/lease-record.ts';
import type { LeaseEntry, LeaseStore } from '../leases/lease-store.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { DecisionLog } from '../policy/decision-log.ts';
import type { UsageLedger } from '../policy/usage-ledger.ts';
import { addUsage, type Conclusion, concludeFailure } from './conclusion.ts';
import { createReceipt } from './receipts.ts';
import type { ResultKeeper } from './result-keeper.ts';

export interface ConcluderModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly keeper: ResultKeeper;
  readonly table: AttemptTable;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
  /** Absent where nobody observes requesters. */
  readonly attemptNotes?: AttemptNotes | undefined;
  readonly usage: UsageLedger;
  readonly decisions: Pick<DecisionLog, 'ended'>;
  readonly journal: Pick<AttemptJournal, 'forget' | 'leases'>;
  readonly checkpoints: Pick<CheckpointDesk, 'end' | 'waitForHolder'>;
}

export interface ConcludedAttempt {
  readonly attempt: Attempt;
  readonly conclusion: Conclusion;
}

/** Records that wait for a journal that takes them; a restart ends the others. */
const MAX_UNWRITTEN = 1_024;

/** Bytes of a salt (domain/receipt.ts). */
const SALT_BYTES = 32;

/** Ends attempts: commits to or signs what they came to, journals it, and only then tells the requester. */
export class Concluder {
  readonly #modules: ConcluderModules;
  readonly #networkId: string;
  readonly #tally = { completed: 0, failed: 0 };
  /** Of attempts whose requesters were told that they ended, while the journal took nothing. The oldest goes first. */
  readonly #unwritten = new Map<LeaseId, LeaseRecord>();

  constructor(modules: ConcluderModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#networkId = options.networkId;
  }

  get tally(): { readonly completed: number; readonly failed: number } {
    return this.#tally;
  }

  /** Never rejects. */
  async conclude(concluded: ConcludedAttempt): Promise<void> {
    try {
      if (isPaused(concluded)) await this.#modules.checkpoints.waitForHolder(concluded.attempt);
      if (needsCommitment(concluded)) await this.#commit(concluded);
      else await this.#signReceipts([concluded]);
    } catch (error) {
      await this.#giveUp([concluded], error);
    }
    if (concluded.attempt.isPausable) await this.#modules.checkpoints.end(concluded.attempt.id);
  }

  /** Signs and journals receipts together. Never rejects. @param group of one run, none of which is committed to */
  async concludeGroup(group: readonly ConcludedAttempt[]): Promise<void> {
    try {
      await this.#signReceipts(group);
    } catch (error) {
      await this.#giveUp(group, error);
    }
  }

  /** Commit, then reveal (design section 7): salt and result are on disk before the commitment leaves this node. */
  async #commit({ attempt, conclusion }: ConcludedAttempt): Promise<void> {
    const { clock, random, identity, store } = this.#modules;
    const salt = random.bytes(SALT_BYTES);
    const nowMs = UnixMs(clock.nowMs());
    const draft = this.#createReceipt({ attempt, conclusion }, salt);
    const opening = { lease: attempt.id, outputRoot: computeOutputRoot(conclusion.result), salt };
    const value: Commitment = {
      type: 'fogproof/commitment@1',
      job: attempt.jobId,
      lease: attempt.id,
      provider: identity.peer,
      digest: computeCommitmentDigest(opening),
      committedAtMs: nowMs,
    };
    const commitment = await signObject(COMMITMENT, value, identity);
    const record: LeaseRecord = {
      ...describeEnded({ attempt, conclusion }, nowMs),
      phase: 'committed',
      commitment: { wire: commitment.wire, draft: encodeObject(RECEIPT, draft) },
    };
    await store.write([[attempt.id, record]], this.#note([{ attempt, conclusion }]));
    this.#modules.attemptNotes?.wake();
    this.#log([{ attempt, conclusion }]);
    this.#end({ attempt, conclusion }, record);
    this.#tell(attempt, { kind: 'committed', commitment: commitment.wire }, null);
  }

  async #signReceipts(group: readonly ConcludedAttempt[]): Promise<void> {
    const { clock, identity, store } = this.#modules;
    const nowMs = UnixMs(clock.nowMs());
    const receipts = await signObjects(
      RECEIPT,
      group.map((concluded) => this.#createReceipt(concluded, null)),
      identity,
    );
    const entries = group.map((concluded, index): LeaseEntry => {
      const record = describeEnded(concluded, nowMs);
      return [concluded.attempt.id, { ...record, phase: 'ended', receipt: receipts[index]?.wire ?? null }];
    });
    await store.write(entries, this.#note(group));
    this.#modules.attemptNotes?.wake();
    this.#log(group);
    this.#publish(group, receipts, entries);
    await this.catchUp();
  }

  /** Writes what the journal refused, now that it may take it. Never rejects. */
  async catchUp(): Promise<void> {
    const entries = [...this.#unwritten];
    try {
      await this.#modules.store.write(entries);
      for (const [lease] of entries) this.#unwritten.delete(lease);
    } catch (error) {
      this.#modules.logger.warn({ error, attempts: entries.length }, 'ended attempts could still not be journalled');
    }
  }

  /** What they used counts towards their quotas, and requesters whose jobs came to a result are to be observed. */
  #note(group: readonly ConcludedAttempt[]): readonly WriteOperation[] {
    const { attemptNotes, usage, clock } = this.#modules;
    const requester = group[0]?.attempt.requester;
    const cpuTimeMs = group.reduce((sum, concluded) => sum + computeCpuTime(concluded), 0);
    const used = requester === undefined || cpuTimeMs === 0 ? [] : usage.add(requester, { cpuTimeMs }, clock.nowMs());
    if (attemptNotes === undefined) return used;
    const done = group.filter(({ conclusion }) => conclusion.result.outcome.kind !== 'attempt-failed');
    return [...used, ...done.flatMap(({ attempt }) => attemptNotes.noteServed(attempt.lease))];
  }

  #log(group: readonly ConcludedAttempt[]): void {
    const ended = group.map((concluded) => {
      const { requester, jobId: job, id: lease } = concluded.attempt;
      const { outcome } = concluded.conclusion.result;
      return { requester, job, lease, outcome, cpuTimeMs: computeCpuTime(concluded) };
    });
    this.#modules.decisions.ended(ended);
  }

  #publish(
    group: readonly ConcludedAttempt[],
    receipts: readonly Signed<Receipt>[],
    entries: readonly LeaseEntry[],
  ): void {
    const feed = group[0]?.attempt.run.feed ?? null;
    group.forEach((concluded, index) => {
      const [receipt, record] = [receipts[index], entries[index]?.[1]];
      if (receipt === undefined || record === undefined) return;
      const event: AttemptEvent = {
        kind: 'receipt',
        receipt: receipt.wire,
        inlineBlobs: [...concluded.conclusion.inline],
      };
      this.#end(concluded, record);
      this.#tell(concluded.attempt, event, feed);
    });
    feed?.deliver(describeGroup(group, receipts));
  }

  #createReceipt({ attempt, conclusion }: ConcludedAttempt, salt: Uint8Array | null): Receipt {
    const subject = {
      network: this.#networkId,
      lease: attempt.id,
      requester: attempt.requester,
      provider: this.#modules.identity.peer,
      startedAtMs: attempt.startedAtMs,
      finishedAtMs: this.#modules.clock.nowMs(),
      salt,
    };
    return createReceipt(subject, addUsage(conclusion, attempt.usedBefore));
  }

  #end({ attempt, conclusion }: ConcludedAttempt, record: LeaseRecord): void {
    const { table, keeper, dispatcher, clock, metrics } = this.#modules;
    const { kind } = conclusion.result.outcome;
    this.#tally[kind === 'attempt-failed' ? 'failed' : 'completed'] += 1;
    metrics.attempts.increment({ outcome: kind });
    metrics.attemptSeconds.observe((clock.nowMs() - attempt.options.acceptedAtMs) / 1000);
    if (attempt.log.dropped > 0) metrics.droppedEvents.increment({}, attempt.log.dropped);
    keeper.keep(attempt.id, record);
    attempt.releasePins();
    attempt.phase = 'ended';
    table.remove(attempt);
    dispatcher.end(attempt);
  }

  /** The last event of an attempt. `feed` gets the receipt as part of its group. */
  #tell(attempt: Attempt, event: AttemptEvent, feed: AttemptFeed | null): void {
    attempt.emit(event, this.#modules.clock.nowMs(), { except: feed ?? undefined });
    // A batch's receipts are in its records; its logs are worth memory only where there is more to tell.
    if (!attempt.run.options.isBatch || attempt.log.lastSequence > 1) this.#modules.table.keepLog(attempt);
  }

  /**
   * The journal refused. The record on disk still says that the attempt is live, and a restart would end it as failed:
   * the requester is told the same now, so that it need not wait for the lease to run out, and the record follows.
   */
  async #giveUp(group: readonly ConcludedAttempt[], cause: unknown): Promise<void> {
    this.#modules.logger.error({ error: cause, attempts: group.length }, 'results could not be journalled');
    for (const { attempt } of group) {
      if (attempt.phase === 'ended') continue;
      try {
        await this.#refuseResult(attempt);
      } catch (error) {
        this.#modules.logger.error({ error, lease: attempt.id }, 'an attempt ended without a receipt');
        this.#abandon(attempt);
      }
    }
  }

  async #refuseResult(attempt: Attempt): Promise<void> {
    const conclusion = concludeFailure(attempt.subject, {
      code: 'INTERNAL',
      detail: 'the provider could not store the result',
    });
    const concluded = { attempt, conclusion };
    const receipt = await signObject(RECEIPT, this.#createReceipt(concluded, null), this.#modules.identity);
    const record = describeEnded(concluded, UnixMs(this.#modules.clock.nowMs()));
    const entry: LeaseEntry = [attempt.id, { ...record, phase: 'ended', receipt: receipt.wire }];
    await this.#forgetOrigin(attempt);
    this.#log([concluded]);
    this.#publish([concluded], [receipt], [entry]);
    this.#unwritten.set(...entry);
    for (const oldest of this.#unwritten.keys()) {
      if (this.#unwritten.size <= MAX_UNWRITTEN) break;
      this.#unwritten.delete(oldest);
    }
  }

  /** Its record still says that it runs: the next process must not go on with what its requester was told has ended. */
  async #forgetOrigin({ id }: Attempt): Promise<void> {
    try {
      await this.#modules.journal.forget([id]);
    } catch (error) {
      this.#modules.logger.error({ error, lease: id }, 'the journal of an ended attempt could not be removed');
    }
  }

  #abandon(attempt: Attempt): void {
    attempt.phase = 'ended';
    attempt.releasePins();
    this.#modules.table.remove(attempt);
    this.#modules.dispatcher.end(attempt);
    const text = '[fogproof] the provider could not sign a receipt';
    const last: AttemptEvent = attempt.isConfidential
      ? { kind: 'phase', phase: 'finished' }
      : { kind: 'log', stream: 'log', text };
    attempt.emit(last, this.#modules.clock.nowMs());
  }
}

/** In all processes, ms. */
function computeCpuTime({ attempt, conclusion }: ConcludedAttempt): number {
  return conclusion.usage.cpuTimeMs + attempt.usedBefore.cpuTimeMs;
}

/** Failed attempts give no result, so there is nothing to commit to. */
export function needsCommitment({ attempt, conclusion }: ConcludedAttempt): boolean {
  return attempt.lease.value.commitReveal && conclusion.result.outcome.kind !== 'attempt-failed';
}

function isPaused({ conclusion }: ConcludedAttempt): boolean {
  const { outcome } = conclusion.result;
  return outcome.kind === 'attempt-failed' && outcome.code === 'PAUSED';
}

function describeEnded({ attempt, conclusion }: ConcludedAttempt, endedAtMs: UnixMs): LeaseRecord {
  return {
    ...attempt.describeAccepted(),
    endedAtMs,
    lastSequence: attempt.log.lastSequence + 1,
    inline: [...conclusion.inline],
    stored: [...conclusion.stored],
    ...(attempt.lastProgress === null ? {} : { lastProgress: attempt.lastProgress }),
    ...(attempt.progressEvent === null ? {} : { progressEvent: attempt.progressEvent }),
  };
}

function describeGroup(group: readonly ConcludedAttempt[], receipts: readonly Signed<Receipt>[]): ReceiptGroup {
  const inline = new Map<string, InlineBlob>();
  for (const { conclusion } of group) {
    for (const blob of conclusion.inline) inline.set(blob.blob, blob);
  }
  return { sources: group.map(({ attempt }) => attempt), receipts, inlineBlobs: [...inline.values()] };
}
