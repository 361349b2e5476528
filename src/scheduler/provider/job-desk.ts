import type { LeaseId } from '../../domain/ids.ts';
import type { JobRequest, JobResponse } from '../../domain/messages.ts';
import type { Refusal } from '../../domain/refusal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { HandlerContext } from '../../network/interface.ts';
import type { Attempt, StopReason } from './attempts/attempt.ts';
import { AttemptFeed } from './attempts/attempt-feed.ts';
import type { AttemptTable } from './attempts/attempt-table.ts';
import type { Run } from './attempts/run.ts';
import type { UnreadAnswers } from './attempts/unread-answers.ts';
import type { AttemptJournal } from './checkpoints/attempt-journal.ts';
import type { SnapshotHolder } from './holder/snapshot-holder.ts';
import type { LeaseDesk, LeaseRequest } from './leases/lease-desk.ts';
import type { LeaseFollower } from './leases/lease-follower.ts';
import type { LeaseIntake } from './leases/lease-intake.ts';
import type { LeaseEntry, LeaseStore } from './leases/lease-store.ts';
import type { ProviderMetrics } from './metrics.ts';
import type { RefusalTally } from './offers/refusals.ts';
import type { DecisionLog } from './policy/decision-log.ts';
import type { CommitReveal } from './results/commit-reveal.ts';
import type { ResultKeeper } from './results/result-keeper.ts';

export interface JobDeskModules {
  readonly desk: LeaseDesk;
  readonly intake: LeaseIntake;
  readonly follower: LeaseFollower;
  readonly commitReveal: CommitReveal;
  readonly keeper: ResultKeeper;
  readonly table: AttemptTable;
  readonly store: LeaseStore;
  readonly refusals: RefusalTally;
  readonly decisions: DecisionLog;
  readonly clock: Clock;
  readonly metrics: ProviderMetrics;
  readonly begin: (run: Run) => void;
  readonly stop: (attempt: Attempt, reason: StopReason) => void;
  readonly holder: SnapshotHolder;
  readonly journal: AttemptJournal;
  readonly unread: UnreadAnswers;
}

/** Refusals that an honest requester can meet by bad timing; the others break a rule. */
const HONEST_REFUSALS: ReadonlySet<Refusal['code']> = new Set([
  'DRAINING',
  'OFFER_UNKNOWN',
  'QUARANTINED',
  'IMAGE_NOT_ALLOWED',
  'NOT_PAUSABLE',
]);

/**
 * Answers the `job` protocol. Every operation on an attempt is open to the requester of its lease alone; `hold` and
 * `claim` prove themselves by leases.
 */
export class JobDesk {
  readonly #modules: JobDeskModules;

  constructor(modules: JobDeskModules) {
    this.#modules = modules;
  }

  async *answer(request: JobRequest, context: HandlerContext): AsyncGenerator<JobResponse> {
    switch (request.op) {
      case 'lease':
        yield* this.#lease(request, context);
        return;
      case 'attach':
        yield* this.#attach(request.leases, context);
        return;
      case 'cancel':
        yield await this.#cancel(request.leases, context, request.reason);
        return;
      case 'sign-set':
        yield await this.#modules.commitReveal.signSet(context.peer, request);
        return;
      case 'reveal':
        yield await this.#modules.commitReveal.reveal(context.peer, request);
        return;
      case 'close':
        yield await this.#close(request.leases, context);
        return;
      case 'pause':
        yield this.#pause(request.leases, context, request.reason);
        return;
      case 'hold':
        yield await this.#modules.holder.hold(request, context);
        return;
      case 'claim':
        yield await this.#modules.holder.claim(request, context);
        return;
      default:
        request satisfies never;
    }
  }

  async *#lease(request: LeaseRequest, context: HandlerContext): AsyncGenerator<JobResponse> {
    const { desk, intake } = this.#modules;
    const answer = await desk.judge(context.peer, request);
    if (answer.kind === 'refused') {
      yield this.#refuse(answer.refusal, answer.rule);
      return;
    }
    if (answer.kind === 'known') {
      yield* this.#leaseAgain(answer.leases, context);
      return;
    }
    const { run } = answer;
    const attempts = [...run.live];
    const acceptances = await intake.begin(run);
    this.#modules.decisions.leased(attempts);
    const feed = new AttemptFeed(this.#modules);
    for (const attempt of run.live) feed.follow(attempt, 0);
    if (run.options.isBatch) run.feed = feed;
    this.#modules.begin(run);
    try {
      yield { kind: 'leased', acceptances };
      yield* feed.frames(context.signal);
    } finally {
      run.feed = null;
      feed.close();
    }
  }

  /** The answer to the first request was lost: the same acceptances and all events again; nothing runs twice. */
  async *#leaseAgain(leases: readonly LeaseId[], context: HandlerContext): AsyncGenerator<JobResponse> {
    const accepted: LeaseEntry[] = [];
    for (const lease of leases) {
      const attempt = this.#modules.table.get(lease);
      await attempt?.run.journalled;
      const record = await this.#modules.store.get(lease);
      if (record !== undefined) accepted.push([lease, record]);
    }
    if (accepted.length < leases.length) {
      yield this.#refuse({ code: 'DUPLICATE_LEASE', detail: 'the leases were taken and their results are gone' });
      return;
    }
    yield { kind: 'leased', acceptances: await this.#modules.intake.accept(accepted) };
    yield* this.#attach(
      leases.map((lease) => ({ lease, fromSequence: 0 })),
      context,
    );
  }

  async *#attach(
    leases: readonly { readonly lease: LeaseId; readonly fromSequence: number }[],
    context: HandlerContext,
  ): AsyncGenerator<JobResponse> {
    const { feed, unknown } = await this.#modules.follower.follow(context.peer, leases);
    try {
      for (const lease of unknown) yield { kind: 'unknown-lease', lease };
      yield* feed.frames(context.signal);
    } finally {
      feed.close();
    }
  }

  async #cancel(leases: readonly LeaseId[], context: HandlerContext, reason: string): Promise<JobResponse> {
    for (const lease of leases) {
      const attempt = this.#modules.table.get(lease);
      if (attempt === undefined || attempt.requester !== context.peer) continue;
      this.#modules.stop(attempt, { code: 'CANCELLED', detail: `cancelled by the requester: ${reason}` });
    }
    return { kind: 'done' };
  }

  /** What runs ends at its next checkpoint; what does not yet has nothing to keep, and ends now. */
  #pause(leases: readonly LeaseId[], context: HandlerContext, reason: string): JobResponse {
    const attempts = leases.flatMap((lease) => this.#modules.table.get(lease) ?? []);
    const own = attempts.filter(({ requester }) => requester === context.peer);
    const fixed = own.find(({ isPausable }) => !isPausable);
    if (fixed !== undefined) return this.#refuse({ code: 'NOT_PAUSABLE', detail: fixed.id });
    for (const attempt of own) {
      const paused = { code: 'PAUSED', detail: reason } as const;
      if (attempt.phase === 'running') attempt.pause(paused);
      else this.#modules.stop(attempt, paused);
    }
    return { kind: 'done' };
  }

  /** Ended attempts are forgotten; one that still runs is stopped, and forgotten when its time is over. */
  async #close(leases: readonly LeaseId[], context: HandlerContext): Promise<JobResponse> {
    const closed: LeaseId[] = [];
    for (const lease of leases) {
      const attempt = this.#modules.table.get(lease);
      if (attempt?.requester === context.peer) {
        this.#modules.stop(attempt, { code: 'CANCELLED', detail: 'closed by the requester' });
      } else if (attempt === undefined && (await this.#isOwn(lease, context))) {
        closed.push(lease);
      }
    }
    this.#modules.table.forgetLogs(closed);
    await this.#modules.keeper.drop(closed);
    return { kind: 'done' };
  }

  async #isOwn(lease: LeaseId, context: HandlerContext): Promise<boolean> {
    const { table, keeper, store } = this.#modules;
    const remembered = keeper.requesterOf(lease) ?? table.endedRequester(lease);
    return (remembered ?? (await store.get(lease))?.requester) === context.peer;
  }

  #refuse(refusal: Refusal, rule?: string): JobResponse {
    const { refusals, metrics } = this.#modules;
    refusals.count(refusal, rule);
    metrics.refusals.increment({ code: refusal.code });
    if (!HONEST_REFUSALS.has(refusal.code)) metrics.misbehaviour.increment({ code: refusal.code });
    return { kind: 'refused', refusal };
  }
}
