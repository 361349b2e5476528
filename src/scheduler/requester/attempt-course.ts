import { UnixMs } from '../../domain/ids.ts';
import type { SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { CLOCK_SKEW_MS, COLLECT_PATIENCE_MS } from '../constants.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type Attempt, findAttempt, findStanding, isEnded, mayReturn } from '../job-machine-state.ts';
import type { AttemptObject } from '../job-records.ts';
import { type AttemptCase, courseOf } from './attempt-case.ts';
import type { JobLedger } from './job-ledger.ts';
import {
  computeRenewedEnd,
  findContradiction,
  findLateness,
  type LeaseCourse,
  type RunTimes,
} from './judge-lateness.ts';

/** What is written before a result of an attempt that counts as lost, and with it. */
export interface ReturnExtras {
  readonly before: readonly JobMachineEvent[];
  readonly objects: readonly AttemptObject[];
}

/** One attempt as its lease has it, also after it counts as lost: what comes late is judged here. */
export class AttemptCourse {
  readonly #modules: { readonly clock: Clock; readonly ledger: JobLedger };
  readonly #case: AttemptCase;
  /** Nothing more can come of it. */
  #isSettled = false;
  /** After a restart the deadline of the job waits this long for what its provider has kept. */
  #newsUntilMs = 0;

  constructor(modules: { readonly clock: Clock; readonly ledger: JobLedger }, attempt: AttemptCase) {
    this.#modules = modules;
    this.#case = attempt;
  }

  get attempt(): Attempt | undefined {
    return findAttempt(this.#modules.ledger.state, this.#case.id);
  }

  /** Counts as lost, and may still bring a result. */
  get isAwaited(): boolean {
    const { attempt } = this;
    return !this.#isSettled && attempt !== undefined && mayReturn(attempt) && !isEnded(this.#modules.ledger.state);
  }

  /** Nobody has heard yet what became of it while this node was away. */
  get isUnheard(): boolean {
    return this.#modules.clock.nowMs() < this.#newsUntilMs;
  }

  settle(): void {
    this.#isSettled = true;
  }

  /** By our own clock from when we heard of it: skew between the two machines does not shorten a lease. */
  computeFirstEnd(): UnixMs {
    const { durationMs, deadlineMs } = this.#case.lease.value;
    return UnixMs(Math.min(this.#modules.clock.nowMs() + durationMs, deadlineMs));
  }

  /** This node was away: what its provider has kept may be collected as long as it was to be kept. */
  expectNews(): void {
    const { attempt } = this;
    const { durationMs, deadlineMs } = this.#case.lease.value;
    const keptUntilMs = attempt === undefined || mayReturn(attempt) ? 0 : deadlineMs + (attempt.resultsKeptForMs ?? 0);
    const nowMs = this.#modules.clock.nowMs();
    this.#newsUntilMs = Math.max(nowMs + durationMs, Math.min(keptUntilMs, nowMs + COLLECT_PATIENCE_MS));
  }

  /** When its lease ends, by this node's clock, after a progress that was signed at `signedAtMs`. */
  renew(signedAtMs: number): UnixMs {
    const lease = this.#case.lease.value;
    const nowMs = this.#modules.clock.nowMs();
    // It still runs: what became of it is known.
    if (signedAtMs + CLOCK_SKEW_MS + lease.durationMs > nowMs) this.#newsUntilMs = 0;
    return UnixMs(computeRenewedEnd(lease, signedAtMs, nowMs));
  }

  /** Why what was finished then does not count; undefined if it does. */
  findLateness(run: RunTimes): string | undefined {
    const nowMs = this.#modules.clock.nowMs();
    const isInTime = !this.isAwaited && nowMs <= (this.attempt?.leaseEndsAtMs ?? nowMs);
    const lateness = isInTime ? undefined : findLateness(this.#leaseCourse, run.finishedAtMs, nowMs);
    return lateness ?? findContradiction(this.#leaseCourse, run);
  }

  get #leaseCourse(): LeaseCourse {
    return courseOf(this.#case);
  }

  /** A result that does not count: evidence. Durable when it resolves. */
  async keepLate(wire: SignedWire): Promise<void> {
    await this.#modules.ledger.keep([{ lease: this.#case.id, kind: 'late', wire }]);
  }

  /** What goes before its result where it counts as lost; nothing else. */
  describeReturn(): ReturnExtras {
    if (!this.isAwaited) return { before: [], objects: [] };
    const standing = findStanding(this.#modules.ledger.state, this.#case.lease.value.replica);
    const atMs = UnixMs(this.#modules.clock.nowMs());
    return this.#describe({ atMs, leaseEndsAtMs: atMs, replaces: standing?.lease ?? null });
  }

  /** It runs on under its lease: it has its replica again, if no other attempt was begun for it. Undefined: it has not. */
  describeTakeUp(leaseEndsAtMs: UnixMs): ReturnExtras | undefined {
    const atMs = UnixMs(this.#modules.clock.nowMs());
    const { progress } = this.#case;
    if (leaseEndsAtMs <= atMs || progress === null) return undefined;
    if (findLateness(this.#leaseCourse, progress.value.atMs, atMs) !== undefined) return undefined;
    return this.#describe({ atMs, leaseEndsAtMs, replaces: null });
  }

  #describe(
    times: Pick<Extract<JobMachineEvent, { kind: 'returned' }>, 'atMs' | 'leaseEndsAtMs' | 'replaces'>,
  ): ReturnExtras {
    const { id: lease, progress } = this.#case;
    const objects = progress === null ? [] : [{ lease, kind: 'progress' as const, wire: progress.wire }];
    return { before: [{ kind: 'returned', lease, ...times }], objects };
  }
}
