import { UnixMs } from '../../../domain/ids.ts';
import { PROGRESS, type Progress } from '../../../domain/lease.ts';
import type { NetworkParameters } from '../../../domain/network-definition.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObjects } from '../../../proofs/signed-object.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { CheckpointDesk } from '../checkpoints/checkpoint-desk.ts';
import {
  LATE_START,
  MAX_PROGRESS_INTERVAL_MS,
  MAX_QUEUED_MS,
  MIN_RUN_MS,
  PULSE_BOUNDS_MS,
  PULSES_PER_RENEWAL,
} from '../constants.ts';
import type { Attempt, StopReason } from './attempt.ts';
import type { AttemptTable } from './attempt-table.ts';
import type { Dispatcher } from './dispatcher.ts';

export interface PulseModules {
  readonly identity: EnvelopeSigner;
  readonly table: AttemptTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stop: (attempt: Attempt, reason: StopReason) => void;
  readonly dispatcher: Pick<Dispatcher, 'beat'>;
  readonly checkpoints: Pick<CheckpointDesk, 'noteSigns'>;
}

/**
 * One timer for all attempts: renews leases by signed progress while there is life, and ends what has outlived its
 * lease or its deadline. It beats only while attempts are live.
 */
export class Pulse implements Disposable {
  readonly #modules: PulseModules;
  readonly #intervalMs: number;
  #timer: Disposable | null = null;
  #isSigning = false;

  constructor(modules: PulseModules, options: { readonly parameters: NetworkParameters }) {
    this.#modules = modules;
    const wanted = options.parameters.leaseRenewalMs / PULSES_PER_RENEWAL;
    this.#intervalMs = Math.min(Math.max(wanted, PULSE_BOUNDS_MS.shortest), PULSE_BOUNDS_MS.longest);
  }

  /** Call whenever attempts were added. */
  wake(): void {
    this.#timer ??= this.#modules.clock.schedule(this.#intervalMs, () => this.#beat());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  #beat(): void {
    this.#timer = null;
    const due: Attempt[] = [];
    for (const attempt of this.#modules.table.live()) {
      const over = this.#judgeTime(attempt);
      if (over !== undefined) this.#modules.stop(attempt, over);
      else if (this.#isDue(attempt)) due.push(attempt);
    }
    if (due.length > 0 && !this.#isSigning) void this.#renew(due);
    // An offer that expired untaken has freed its slot, and nothing else tells.
    this.#modules.dispatcher.beat();
    if (this.#modules.table.size > 0) this.wake();
  }

  #judgeTime(attempt: Attempt): StopReason | undefined {
    const { clock } = this.#modules;
    const { deadlineMs, durationMs } = attempt.lease.value;
    if (clock.nowMs() >= deadlineMs) return { code: 'LEASE_EXPIRED', detail: 'the deadline of the job passed' };
    if (attempt.phase === 'queued') {
      const late = this.#judgeWait(attempt);
      if (late !== undefined) return late;
    }
    if (clock.monotonicMs() - attempt.renewedAtMs < durationMs) return undefined;
    return { code: 'LEASE_EXPIRED', detail: `no sign of life from the program for ${durationMs} ms` };
  }

  /** One that cannot make its deadline, or waits far longer than its offer said, is given back: others may be quicker. */
  #judgeWait(attempt: Attempt): StopReason | undefined {
    const { clock } = this.#modules;
    const { deadlineMs, durationMs } = attempt.lease.value;
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs < MIN_RUN_MS) {
      return { code: 'LEASE_EXPIRED', detail: `it waited for a slot until ${leftMs} ms before its deadline` };
    }
    // A batch waits for itself.
    if (attempt.run.options.isBatch) return undefined;
    const waitedMs = clock.monotonicMs() - attempt.run.sinceMs;
    const promisedMs = (attempt.run.options.startsWithinMs ?? 0) * LATE_START.factor + LATE_START.graceMs;
    if (waitedMs < Math.min(MAX_QUEUED_MS, promisedMs) + durationMs) return undefined;
    return { code: 'EXECUTOR_UNAVAILABLE', detail: `no slot came free for it in ${Math.round(waitedMs)} ms` };
  }

  #isDue(attempt: Attempt): boolean {
    const sinceMs = this.#modules.clock.monotonicMs() - attempt.renewedAtMs;
    // Looked at once an interval, it is renewed one interval before it must be. Sooner would be dearer: in a batch that
    // waits its turn a renewal of each attempt costs a tenth of a job.
    const renewalMs = attempt.lease.value.renewalMs - 2 * this.#intervalMs;
    switch (attempt.phase) {
      case 'queued':
      case 'fetching':
        return sinceMs >= renewalMs;
      case 'running':
        return attempt.hasLife && sinceMs >= Math.min(renewalMs, MAX_PROGRESS_INTERVAL_MS);
      case 'concluding':
      case 'ended':
        return false;
      default:
        return attempt.phase satisfies never;
    }
  }

  async #renew(due: readonly Attempt[]): Promise<void> {
    this.#isSigning = true;
    try {
      const { clock, identity } = this.#modules;
      const signed = await signObjects(PROGRESS, due.map(describeProgress.bind(null, clock.nowMs())), identity);
      due.forEach((attempt, index) => {
        attempt.lastProgress = signed[index]?.wire ?? attempt.lastProgress;
        attempt.progressEvent = null;
      });
      await this.#modules.checkpoints.noteSigns(due);
      due.forEach((attempt, index) => {
        const progress = signed[index];
        if (progress === undefined || attempt.phase === 'ended' || attempt.phase === 'concluding') return;
        attempt.progressSequence = progress.value.sequence;
        attempt.renewedAtMs = clock.monotonicMs();
        attempt.hasLife = false;
        attempt.emit({ kind: 'progress', progress: progress.wire }, clock.nowMs());
      });
    } catch (error) {
      this.#modules.logger.error({ error }, 'progress could not be signed');
    } finally {
      this.#isSigning = false;
    }
  }
}

function describeProgress(nowMs: number, attempt: Attempt): Progress {
  const { fuel, step, cpuTimeMs } = attempt.progress;
  return {
    type: 'fogproof/progress@1',
    lease: attempt.id,
    sequence: attempt.progressSequence + 1,
    fuel: fuel === null ? null : Math.max(0, Math.trunc(fuel)),
    step: Math.max(0, Math.trunc(step)),
    cpuTimeMs: Math.max(0, Math.trunc(cpuTimeMs)),
    atMs: UnixMs(nowMs),
  };
}
