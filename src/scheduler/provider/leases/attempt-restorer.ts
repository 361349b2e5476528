import type { LeaseId } from '../../../domain/ids.ts';
import { JOB } from '../../../domain/job.ts';
import { LEASE, type Lease } from '../../../domain/lease.ts';
import type { Clock } from '../../../lib/clock.ts';
import { isDaemonError } from '../../../lib/errors.ts';
import { openSigned } from '../../../proofs/signed-object.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { Attempt } from '../attempts/attempt.ts';
import { Run } from '../attempts/run.ts';
import type { AttemptJournal } from '../checkpoints/attempt-journal.ts';
import { type AttemptOrigin, type AttemptSign, MAX_GENERATIONS } from '../checkpoints/attempt-origin.ts';
import type { WorkSwitch } from '../policy/work-switch.ts';
import { computeFootprint } from '../queue/host-gauge.ts';
import { priorityOf } from '../queue/urgency.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { LeaseEntry, LeaseStore } from './lease-store.ts';
import type { PoisonJobs } from './poison-jobs.ts';

export interface AttemptRestorerModules {
  readonly journal: AttemptJournal;
  readonly store: Pick<LeaseStore, 'noteOperation'>;
  readonly poison: PoisonJobs;
  readonly executors: readonly Executor[];
  /** A panic ended all that ran, also what it had not come to before the process died. */
  readonly work: Pick<WorkSwitch, 'closed'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Stored {
  readonly lease: LeaseId;
  readonly record: LeaseRecord;
  readonly origin: AttemptOrigin;
  readonly sign: AttemptSign;
}

/** Goes on with attempts of the process before, under the lease that they had. */
export class AttemptRestorer {
  readonly #modules: AttemptRestorerModules;
  readonly #isEnabled: boolean;

  constructor(modules: AttemptRestorerModules, options: { readonly isEnabled: boolean }) {
    this.#modules = modules;
    this.#isEnabled = options.isEnabled;
  }

  /** The attempt, counted as taken up once more; undefined if it has to be ended as failed. */
  async restore([lease, record]: LeaseEntry): Promise<Attempt | undefined> {
    const { journal, poison, logger } = this.#modules;
    if (this.#modules.work.closed?.reason === 'panic') return undefined;
    const isGoingOn = record.phase === 'accepted' || record.phase === 'running';
    const stored = isGoingOn ? await journal.readOrigin(lease) : undefined;
    if (stored === undefined || !this.#isEnabled || poison.isQuarantined(record.job)) return undefined;
    const executor = this.#findExecutor(record);
    if (executor === undefined || stored.sign.generation >= MAX_GENERATIONS) return undefined;
    try {
      const attempt = await this.#rebuild({ lease, record, ...stored }, executor);
      if (attempt !== undefined) await this.#takeUp(attempt);
      return attempt;
    } catch (error) {
      if (!isDaemonError(error)) throw error;
      logger.warn({ lease, error }, 'an attempt cannot be gone on with');
      return undefined;
    }
  }

  /** Its program does not run yet: a crash until then is none of its doing. Its events may be told from now on. */
  async #takeUp(attempt: Attempt): Promise<void> {
    const { journal, store, clock } = this.#modules;
    const operations = [
      store.noteOperation(attempt.id, attempt.describeAccepted()),
      journal.signOperation(attempt.id, attempt.describeSign(clock)),
    ];
    await journal.write(operations, { durable: true });
  }

  /** State roots are equal only where modules count alike: the same instrumenter (docs/stepping.md section 4). */
  #findExecutor({ instrumenter, isolation }: LeaseRecord): Executor | undefined {
    return this.#modules.executors.find(
      (executor) => executor.instrumenter === instrumenter && executor.isolation.includes(isolation),
    );
  }

  async #rebuild({ lease, record, origin, sign }: Stored, executor: Executor): Promise<Attempt | undefined> {
    const { journal, clock } = this.#modules;
    const signedJob = await openSigned(JOB, origin.job, record.requester);
    const signedLease = await openSigned(LEASE, origin.lease, record.requester);
    const downMs = Math.max(0, clock.nowMs() - sign.atMs);
    if (!isLive(signedLease.value, { downMs, nowMs: clock.nowMs() })) return undefined;
    const run = new Run(0, {
      requester: record.requester,
      isBatch: false,
      priority: priorityOf(signedJob.value),
      sinceMs: clock.monotonicMs(),
      startsWithinMs: null,
      footprint: computeFootprint(signedJob.value.resources),
      inlineBlobs: new Map(),
      snapshotKeys: new Map(origin.snapshotKey === null ? [] : [[lease, origin.snapshotKey]]),
    });
    const attempt = new Attempt({ job: signedJob, lease: signedLease }, run, {
      acceptedAtMs: record.acceptedAtMs,
      // As if it had run on without a sign of life: its next one is due at once.
      acceptedAtMonotonicMs: clock.monotonicMs() - downMs,
      executor,
      isolation: record.isolation,
      keptForMs: record.keptForMs,
      restored: {
        generation: sign.generation + 1,
        links: await journal.readLinks(lease),
        used: { wallTimeMs: sign.wallTimeMs, cpuTimeMs: sign.cpuTimeMs },
        heldIndex: sign.heldIndex,
        lastProgress: sign.lastProgress,
      },
    });
    run.load([attempt]);
    run.markJournalled();
    return attempt;
  }
}

function isLive(lease: Lease, { downMs, nowMs }: { readonly downMs: number; readonly nowMs: number }): boolean {
  return downMs < lease.durationMs && nowMs < lease.deadlineMs;
}
