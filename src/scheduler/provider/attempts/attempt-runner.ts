import type { BlobStore } from '../../../blob/interface.ts';
import type { Resources } from '../../../domain/job.ts';
import type { AttemptEvent } from '../../../domain/messages.ts';
import { createDeadline } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, InternalError, isDaemonError } from '../../../lib/errors.ts';
import { SandboxError } from '../../../sandbox/errors.ts';
import type { ExecutionResult, ExecutionSink, ResumeState } from '../../../sandbox/interface.ts';
import type { PlainEvent } from '../../../tee/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { sealStore } from '../../private-blobs.ts';
import type { CheckpointDesk } from '../checkpoints/checkpoint-desk.ts';
import type { ResumeLoader } from '../checkpoints/resume-loader.ts';
import type { AttestDesk } from '../confidential/attest-desk.ts';
import { MAX_SEALED_LOG_CHARS } from '../confidential/constants.ts';
import { MAX_LOG_CHARS, MAX_METRIC_NAME_CHARS, MAX_METRIC_VALUE_CHARS, MIN_WALL_TIME_LEFT_MS } from '../constants.ts';
import type { GpuDesk } from '../gpus/gpu-desk.ts';
import type { GpuSampler } from '../gpus/gpu-sampler.ts';
import type { LeaseRecord } from '../leases/lease-record.ts';
import type { LeaseStore } from '../leases/lease-store.ts';
import type { PoisonJobs } from '../leases/poison-jobs.ts';
import type { DecisionLog } from '../policy/decision-log.ts';
import { addUsage, attachChain, type Conclusion, concludeExecution, concludeFailure } from '../results/conclusion.ts';
import { pinPuts } from '../results/pin-puts.ts';
import type { Attempt, StopReason } from './attempt.ts';
import { AttemptStopped } from './attempt-stopped.ts';
import type { InputLoader, LoadedInputs } from './input-loader.ts';

export interface AttemptRunnerModules {
  readonly blobs: BlobStore;
  readonly inputs: InputLoader;
  readonly resume: ResumeLoader;
  readonly desk: CheckpointDesk;
  /** Null where this node shows no evidence: it is leased no confidential job then. */
  readonly attest: Pick<AttestDesk, 'waitForRelease'> | null;
  readonly store: LeaseStore;
  readonly poison: PoisonJobs;
  readonly decisions: Pick<DecisionLog, 'started'>;
  readonly gpus: Pick<GpuDesk, 'prepare'>;
  readonly sampler: Pick<GpuSampler, 'watch'>;
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

  /** Never rejects: what goes wrong is the attempt's failure. Null: it is left for the process after this one. */
  async run(attempt: Attempt): Promise<Conclusion | null> {
    if (attempt.options.restored === undefined) attempt.startedAtMs = this.#modules.clock.nowMs();
    const conclusion = await this.#run(attempt);
    await attempt.checkpoints?.close();
    await attempt.sealed?.events.settle();
    if (attempt.isSuspended) return null;
    if (attempt.stopReason !== null) return await this.#fail(attempt, attempt.stopReason);
    if ('code' in conclusion) return await this.#fail(attempt, conclusion);
    attempt.phase = 'concluding';
    this.#emitPhase(attempt, 'finished');
    try {
      return await this.#countCrash(attempt, conclusion);
    } catch (error) {
      return await this.#fail(attempt, this.#classify(attempt, error));
    }
  }

  async #run(attempt: Attempt): Promise<Conclusion | StopReason> {
    const job = attempt.job.value;
    const blobs = pinPuts(sealStore(job, this.#modules.blobs), attempt.pins);
    // The journal is not encrypted.
    const keeping = { blobs, keepsInline: job.private !== true };
    try {
      await this.#awaitRelease(attempt);
      const loaded = await this.#load(attempt);
      const executed = describePause(attempt, await this.#execute(attempt, loaded));
      await attempt.checkpoints?.close();
      const execution = (await attempt.sealed?.sealExecution(executed)) ?? executed;
      const plain = await concludeExecution(attempt.subject, execution, keeping);
      const conclusion = (await attempt.sealed?.attest(plain)) ?? plain;
      return await attachChain(conclusion, attempt.checkpoints?.encode() ?? null, blobs);
    } catch (error) {
      return attempt.stopReason ?? this.#classify(attempt, error);
    }
  }

  /** What opens the inputs of a confidential job; the wait for it ends with the attempt (AttestDesk). */
  async #awaitRelease(attempt: Attempt): Promise<void> {
    if (!attempt.isConfidential) return;
    const { attest } = this.#modules;
    if (attest === null) throw new InternalError('a confidential attempt runs where no evidence can be shown');
    this.#enterFetching(attempt);
    attempt.sealed = await attest.waitForRelease(attempt);
  }

  #enterFetching(attempt: Attempt): void {
    if (attempt.phase === 'fetching') return;
    attempt.phase = 'fetching';
    this.#emitPhase(attempt, 'fetching');
  }

  async #load(attempt: Attempt): Promise<LoadedAttempt> {
    attempt.signal.throwIfAborted();
    const { inputs, resume } = this.#modules;
    if (!inputs.isAtHand(attempt) || !resume.isAtHand(attempt)) this.#enterFetching(attempt);
    using deadline = createDeadline(this.#inputTimeoutMs, attempt.signal);
    try {
      const loaded = await inputs.load(attempt, deadline.signal);
      const opened = (await attempt.sealed?.openInputs(loaded.inputs)) ?? loaded.inputs;
      return { ...loaded, inputs: opened, resume: await resume.load(attempt, deadline.signal) };
    } catch (error) {
      if (error instanceof AttemptStopped) throw error;
      throw new AttemptStopped({ code: 'INPUT_UNAVAILABLE', detail: describeCoded(error) }, { cause: error });
    }
  }

  async #execute(attempt: Attempt, { module, image, inputs, resume }: LoadedAttempt): Promise<ExecutionResult> {
    attempt.signal.throwIfAborted();
    const gpus = await this.#modules.gpus.prepare(attempt);
    const { executor, isolation } = attempt.options;
    const { workload, checkpoints } = attempt.job.value;
    const { desk, store, poison } = this.#modules;
    if (!attempt.run.options.isBatch || poison.isSuspected(attempt.jobId)) {
      // Intent before effect: a job that takes the daemon down with it is found by this mark (design section 6). Of those
      // of a batch it is left out until one of them may have done so.
      const record: LeaseRecord = { ...attempt.describeAccepted(), phase: 'running' };
      await store.note(attempt.id, record, desk.beginOperations(attempt));
    }
    attempt.signal.throwIfAborted();
    attempt.phase = 'running';
    attempt.checkpoints = desk.open(attempt);
    if (!attempt.run.options.isBatch) this.#emitPhase(attempt, 'running');
    const task = {
      requester: attempt.requester,
      isolation,
      workload,
      module,
      image,
      inputs,
      resources: limitResources(attempt),
      checkpoints: checkpoints?.schedule ?? null,
      resume,
      isConfidential: attempt.isConfidential,
      ...(gpus === null ? {} : { gpus }),
    };
    attempt.runningSinceMs = this.#modules.clock.monotonicMs();
    this.#modules.decisions.started(attempt);
    const { signal, pausing } = attempt;
    using _sampling = gpus === null ? undefined : this.#sample(attempt);
    return await executor.execute(task, this.#createSink(attempt), { signal, pausing });
  }

  /** What this node sees of the GPUs, told beside the program's own metrics; it is no sign of life of the program. */
  #sample(attempt: Attempt): Disposable {
    return this.#modules.sampler.watch(attempt.run.gpus, (name, value) => {
      const event: PlainEvent = { kind: 'metric', name, value, step: attempt.progress.step };
      const tell = (told: AttemptEvent): void => attempt.emit(told, this.#modules.clock.nowMs());
      if (attempt.sealed === null) tell(event);
      else attempt.sealed.events.seal(event, tell);
    });
  }

  #createSink(attempt: Attempt): ExecutionSink {
    const { sealed } = attempt;
    const tell = (event: AttemptEvent): void => attempt.emit(event, this.#modules.clock.nowMs());
    const emit = (event: PlainEvent): void => {
      attempt.hasLife = true;
      if (sealed !== null) return sealed.events.seal(event, tell);
      // A batch's trivial jobs have no phases to tell of; one that speaks says first that it runs.
      if (attempt.log.lastSequence === 0) tell({ kind: 'phase', phase: 'running' });
      tell(event);
    };
    const maxChars = sealed === null ? MAX_LOG_CHARS : MAX_SEALED_LOG_CHARS;
    // Of use only where a run may give some of them again.
    const place = (ordinal: number) => (attempt.checkpoints === null ? {} : { ordinal });
    return {
      log: (stream, text, ordinal) => {
        for (let start = 0; start === 0 || start < text.length; start += maxChars) {
          const part = { kind: 'log', stream, text: text.slice(start, start + maxChars) } as const;
          const isLast = start + maxChars >= text.length;
          emit(isLast ? { ...part, ...place(ordinal) } : part);
        }
      },
      metric: (name, value, step, ordinal) => {
        const shortName = name.slice(0, MAX_METRIC_NAME_CHARS);
        const shortValue = value.slice(0, MAX_METRIC_VALUE_CHARS);
        emit({ kind: 'metric', name: shortName, value: shortValue, step, ...place(ordinal) });
      },
      progress: (progress) => {
        attempt.hasLife = true;
        const cpuTimeMs = attempt.usedBefore.cpuTimeMs + progress.cpuTimeMs;
        attempt.progress = { ...progress, cpuTimeMs };
      },
      checkpoint: async (state) => {
        if (attempt.checkpoints === null) throw new InternalError('a checkpoint of a job that makes none');
        return await attempt.checkpoints.checkpoint(state);
      },
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

  /** The links that were told are in its receipt too, unless they cannot be stored. */
  async #fail(attempt: Attempt, reason: StopReason): Promise<Conclusion> {
    attempt.phase = 'concluding';
    const used = attempt.computeUsage(this.#modules.clock);
    const failure = addUsage(concludeFailure(attempt.subject, reason), used);
    attempt.releasePins();
    const blobs = pinPuts(sealStore(attempt.job.value, this.#modules.blobs), attempt.pins);
    try {
      return await attachChain(failure, attempt.checkpoints?.encode() ?? null, blobs);
    } catch (error) {
      this.#modules.logger.warn({ error, lease: attempt.id }, 'the checkpoint chain of a failed attempt is not kept');
      return failure;
    }
  }

  #classify(attempt: Attempt, error: unknown): StopReason {
    if (error instanceof AttemptStopped) return error.reason;
    if (attempt.isSuspended) return { code: 'CANCELLED', detail: describeCoded(error) };
    // The state that it was to go on from is not one of this job: another one may be.
    if (attempt.isConfidential) return this.#classifyConfidential(attempt, error);
    if (error instanceof SandboxError && error.code === 'SANDBOX_RESUME_STATE') {
      return { code: 'INPUT_UNAVAILABLE', detail: describeCoded(error) };
    }
    if (error instanceof SandboxError) {
      return { code: 'EXECUTOR_UNAVAILABLE', detail: describeCoded(error) };
    }
    this.#modules.logger.error({ error, lease: attempt.id }, 'an attempt failed through this node');
    return { code: 'INTERNAL', detail: describeCoded(error) };
  }

  /** An error may quote what the program said: of a confidential one only its code is told, and logged. */
  #classifyConfidential(attempt: Attempt, error: unknown): StopReason {
    const detail = isDaemonError(error) ? error.code : 'an unexpected error of the provider';
    if (error instanceof SandboxError) return { code: 'EXECUTOR_UNAVAILABLE', detail };
    this.#modules.logger.error({ detail, lease: attempt.id }, 'a confidential attempt failed through this node');
    return { code: 'INTERNAL', detail };
  }
}

interface LoadedAttempt extends LoadedInputs {
  readonly resume: ResumeState | null;
}

/** The job's limits less the wall time that processes before this one have used: its requester counts from the lease. */
function limitResources({ job, usedBefore }: Attempt): Resources {
  const { resources } = job.value;
  const leftMs = Math.max(MIN_WALL_TIME_LEFT_MS, resources.wallTimeMs - usedBefore.wallTimeMs);
  return { ...resources, wallTimeMs: Math.min(resources.wallTimeMs, leftMs) };
}

/** A program that was halted has ended because its requester asked for it, for the reason that it gave. */
function describePause({ pauseReason }: Attempt, execution: ExecutionResult): ExecutionResult {
  const { outcome } = execution;
  if (pauseReason === null || outcome.kind !== 'attempt-failed' || outcome.code !== 'PAUSED') return execution;
  return { ...execution, outcome: { kind: 'attempt-failed', ...pauseReason } };
}

/** Coded errors say what went wrong; of others only the kind leaves this node. */
function describeCoded(error: unknown): string {
  if (isDaemonError(error)) return `${error.code}: ${error.message}`;
  return error instanceof DOMException ? describeError(error) : 'an unexpected error of the provider';
}
