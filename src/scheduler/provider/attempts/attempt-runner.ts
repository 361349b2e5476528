import type { BlobStore } from '../../../blob/interface.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import { createDeadline } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { DaemonError, describeError } from '../../../lib/errors.ts';
import { SandboxError } from '../../../sandbox/errors.ts';
import type { ExecutionResult, ExecutionSink } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { MAX_LOG_CHARS, MAX_METRIC_NAME_CHARS, MAX_METRIC_VALUE_CHARS } from '../constants.ts';
import type { LeaseStore } from '../leases/lease-store.ts';
import type { PoisonJobs } from '../leases/poison-jobs.ts';
import { type Conclusion, concludeExecution, concludeFailure } from '../results/conclusion.ts';
import type { Attempt, StopReason } from './attempt.ts';
import type { InputLoader, LoadedInputs } from './input-loader.ts';

export interface AttemptRunnerModules {
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly inputs: InputLoader;
  readonly store: LeaseStore;
  readonly poison: PoisonJobs;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Runs one attempt from its inputs to what it came to. */
export class AttemptRunner {
  readonly #modules: AttemptRunnerModules;
  readonly #inputTimeoutMs: number;

  constructor(modules: AttemptRunnerModules, options: { readonly inputTimeoutMs: number }) {
    this.#modules = modules;
    this.#inputTimeoutMs = options.inputTimeoutMs;
  }

  /** Never rejects: what goes wrong is the attempt's failure. */
  async run(attempt: Attempt): Promise<Conclusion> {
    attempt.startedAtMs = this.#modules.clock.nowMs();
    try {
      const inputs = await this.#load(attempt);
      const execution = await this.#execute(attempt, inputs);
      const conclusion = await concludeExecution(attempt.subject, execution, this.#modules.blobs);
      if (attempt.stopReason !== null) return this.#fail(attempt, attempt.stopReason);
      attempt.phase = 'concluding';
      this.#emitPhase(attempt, 'finished');
      return await this.#countCrash(attempt, conclusion);
    } catch (error) {
      return this.#fail(attempt, attempt.stopReason ?? this.#classify(attempt, error));
    }
  }

  async #load(attempt: Attempt): Promise<LoadedInputs> {
    attempt.signal.throwIfAborted();
    const { inputs } = this.#modules;
    if (!inputs.isAtHand(attempt)) {
      attempt.phase = 'fetching';
      this.#emitPhase(attempt, 'fetching');
    }
    using deadline = createDeadline(this.#inputTimeoutMs, attempt.signal);
    try {
      return await inputs.load(attempt, deadline.signal);
    } catch (error) {
      throw new AttemptStopped({ code: 'INPUT_UNAVAILABLE', detail: describeCoded(error) }, { cause: error });
    }
  }

  async #execute(attempt: Attempt, { module, inputs }: LoadedInputs): Promise<ExecutionResult> {
    attempt.signal.throwIfAborted();
    const { executor, isolation } = attempt.options;
    const { workload, resources } = attempt.job.value;
    if (!attempt.run.options.isBatch) {
      // Intent before effect: a job that takes the daemon down with it is found by this mark (design section 6).
      await this.#modules.store.note(attempt.id, { ...attempt.describeAccepted(), phase: 'running' });
    }
    attempt.phase = 'running';
    if (!attempt.run.options.isBatch) this.#emitPhase(attempt, 'running');
    const task = {
      requester: attempt.requester,
      isolation,
      workload,
      module,
      inputs,
      resources,
      checkpoints: null,
      resume: null,
    };
    return await executor.execute(task, this.#createSink(attempt), { signal: attempt.signal });
  }

  #createSink(attempt: Attempt): ExecutionSink {
    const emit = (event: AttemptEvent): void => {
      attempt.hasLife = true;
      // A batch's trivial jobs have no phases to tell of; one that speaks says first that it runs.
      if (attempt.log.lastSequence === 0)
        attempt.emit({ kind: 'phase', phase: 'running' }, this.#modules.clock.nowMs());
      attempt.emit(event, this.#modules.clock.nowMs());
    };
    return {
      log: (stream, text) => {
        for (let start = 0; start === 0 || start < text.length; start += MAX_LOG_CHARS) {
          emit({ kind: 'log', stream, text: text.slice(start, start + MAX_LOG_CHARS) });
        }
      },
      metric: (name, value, step) => {
        const shortName = name.slice(0, MAX_METRIC_NAME_CHARS);
        emit({ kind: 'metric', name: shortName, value: value.slice(0, MAX_METRIC_VALUE_CHARS), step });
      },
      progress: (progress) => {
        attempt.hasLife = true;
        attempt.progress = progress;
      },
      checkpoint: () =>
        Promise.resolve({
          wanted: [],
          receive: () => Promise.resolve(),
          complete: () => Promise.resolve(),
          then: 'continue',
        }),
    };
  }

  #emitPhase(attempt: Attempt, phase: 'fetching' | 'running' | 'finished'): void {
    if (phase === 'finished' && attempt.log.lastSequence === 0) return;
    attempt.emit({ kind: 'phase', phase }, this.#modules.clock.nowMs());
  }

  async #countCrash(attempt: Attempt, conclusion: Conclusion): Promise<Conclusion> {
    const { outcome } = conclusion.result;
    if (outcome.kind !== 'attempt-failed' || outcome.code !== 'EXECUTOR_CRASHED') return conclusion;
    await this.#modules.poison.count(attempt.jobId, this.#modules.clock.nowMs());
    this.#modules.logger.warn({ job: attempt.jobId }, 'a job crashed its executor');
    return conclusion;
  }

  #fail(attempt: Attempt, reason: StopReason): Conclusion {
    attempt.phase = 'concluding';
    return concludeFailure(attempt.subject, reason);
  }

  #classify(attempt: Attempt, error: unknown): StopReason {
    if (error instanceof AttemptStopped) return error.reason;
    if (error instanceof SandboxError) {
      return { code: 'EXECUTOR_UNAVAILABLE', detail: describeCoded(error) };
    }
    this.#modules.logger.error({ error, lease: attempt.id }, 'an attempt failed through this node');
    return { code: 'INTERNAL', detail: describeCoded(error) };
  }
}

/** Carries the reason from where an attempt failed to where it is concluded. */
class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped';
  readonly reason: StopReason;

  constructor(reason: StopReason, options: ErrorOptions) {
    super(reason.detail, options);
    this.reason = reason;
  }
}

/** Coded errors say what went wrong; of others only the kind leaves this node. */
function describeCoded(error: unknown): string {
  if (error instanceof DaemonError) return `${error.code}: ${error.message}`;
  return error instanceof DOMException ? describeError(error) : 'an unexpected error of the provider';
}
