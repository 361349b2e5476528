import { hash } from 'node:crypto';
import type { IsolationLevel } from '../../../domain/capability.ts';
import type { InferenceReport, InferenceWorkload } from '../../../domain/inference-workload.ts';
import type { AbortOptions } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { InternalError } from '../../../lib/errors.ts';
import type { Logger, MetricsRegistry } from '../../../telemetry/interface.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionResult, ExecutionSink, ExecutionTask, Executor, InputFile } from '../../interface.ts';
import { createSandboxMetrics, type SandboxMetrics } from '../../metrics.ts';
import { Slots } from '../slots.ts';
import { hashBytes } from './hash-bytes.ts';
import { inspectModel } from './inspect-model.ts';
import { type Failure, type LaneEnd, LaneTask } from './lane-task.ts';
import { type LaneKey, Lanes } from './lanes.ts';
import { createInferenceMetrics, type InferenceMetrics } from './metrics.ts';
import { type ChildEnd, ModelChild } from './model-child.ts';
import type { InferenceExecutorOptions } from './options.ts';
import { findLongPath, type InferenceItem, outputPath, planItems } from './plan-items.ts';
import type { InferenceOffer } from './probe-inference.ts';
import { computeItemKey, type ItemAnswer, listFiles, ResultCache } from './result-cache.ts';
import { AnswerStream } from './stream-answer.ts';

export interface InferenceExecutorModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** SHA-256 of no bytes: the hash of no metrics. */
const NO_METRICS = new Uint8Array(hash('sha256', '', 'buffer'));
const NO_LANE: LaneEnd = {
  failure: null,
  calls: 0,
  largestBatchRows: 0,
  wallTimeMs: 0,
  cpuTimeMs: 0,
  peakMemoryBytes: 0,
};

interface InferenceTask extends ExecutionTask {
  readonly workload: InferenceWorkload;
  readonly module: Uint8Array;
}

interface InspectedModel {
  /** SHA-256, hex. */
  readonly digest: string;
  readonly refusal: string | null;
}

/** What an attempt came to. */
interface TaskEnd {
  readonly failure: Failure | null;
  readonly outputs: readonly InputFile[];
  readonly report: InferenceReport;
  readonly lane: LaneEnd;
}

/** Runs `inference` workloads in sandboxed children: per requester, with its models kept warm, one call at a time. */
export class InferenceExecutor implements Executor {
  readonly kind = 'inference';
  readonly instrumenter: string;
  readonly isolation: readonly IsolationLevel[];
  readonly #modules: InferenceExecutorModules;
  readonly #options: InferenceExecutorOptions;
  readonly #offer: InferenceOffer | null;
  readonly #metrics: SandboxMetrics & InferenceMetrics;
  readonly #lanes: Lanes;
  readonly #cache: ResultCache | null;
  readonly #models = new WeakMap<Uint8Array, InspectedModel>();
  readonly #closing = new AbortController();

  /** `offer` is what `probeInference` found; null where nothing works, and the executor is off. */
  constructor(
    modules: InferenceExecutorModules,
    { offer, ...options }: InferenceExecutorOptions & { readonly offer: InferenceOffer | null },
  ) {
    const { clock } = modules;
    this.#modules = modules;
    this.#options = options;
    this.#offer = offer;
    this.isolation = offer === null ? [] : ['bubblewrap'];
    this.instrumenter = `inference/1 onnxruntime/${offer?.version ?? 'none'} linux-${process.arch}`;
    this.#metrics = { ...createSandboxMetrics(modules.metrics), ...createInferenceMetrics(modules.metrics) };
    const { cacheBytes, cacheIdleMs, maxChildren, slots, idleExpiryMs } = options;
    this.#cache = cacheBytes === 0 ? null : new ResultCache(modules, { maxBytes: cacheBytes, idleMs: cacheIdleMs });
    this.#lanes = new Lanes(
      {
        clock,
        slots: new Slots(slots),
        startChild: (key) => this.#startChild(key),
        onCrash: (end, isConfidential) => this.#noteCrash(end, isConfidential),
        onCall: (rows) => {
          this.#metrics.calls.increment();
          this.#metrics.rows.increment({}, rows);
        },
      },
      { maxChildren: Math.max(maxChildren, slots), idleExpiryMs },
    );
  }

  /** Starts nothing: memory and threads of a child are those of its job. */
  async warm(): Promise<void> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    this.#requireOffer();
  }

  async execute(task: ExecutionTask, sink: ExecutionSink, options: AbortOptions): Promise<ExecutionResult> {
    if (this.#closing.signal.aborted) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    const offer = this.#requireOffer();
    const inference = requireInferenceTask(task);
    this.#assertLimits(inference);
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const end = await this.#run(inference, sink, AbortSignal.any(signals));
    const { failure, lane } = end;
    this.#metrics.tasks.increment({ outcome: failure === null ? 'completed' : failure.code });
    this.#metrics.taskSeconds.observe(lane.wallTimeMs / 1000, { isolation: 'bubblewrap' });
    return this.#toResult(end, offer);
  }

  #requireOffer(): InferenceOffer {
    if (this.#offer !== null) return this.#offer;
    throw new SandboxError({ code: 'SANDBOX_ISOLATION_UNAVAILABLE', isolation: 'bubblewrap' });
  }

  #assertLimits({ resources, inputs, module, workload }: InferenceTask): void {
    const refuse = (what: string, asked: number, limit: number): void => {
      if (asked > limit) throw new SandboxError({ code: 'SANDBOX_LIMIT_UNAVAILABLE', what, asked, limit });
    };
    const { maxMemoryBytes, maxOutputBytes, maxInputBytes, maxThreads } = this.#options;
    refuse('bytes of memory', resources.memoryBytes, maxMemoryBytes);
    refuse('bytes of output', resources.outputBytes, maxOutputBytes);
    refuse(
      'bytes of input',
      inputs.reduce((sum, { bytes }) => sum + bytes.length, module.length),
      maxInputBytes,
    );
    refuse('threads', workload.threads, maxThreads);
  }

  async #run(task: InferenceTask, sink: ExecutionSink, signal: AbortSignal): Promise<TaskEnd> {
    const model = await this.#inspect(task.module);
    if (model.refusal !== null) return failed('MODEL_REFUSED', model.refusal);
    const plan = planItems(task.inputs);
    if (plan.kind === 'refused') return failed('INPUT_REFUSED', plan.detail);
    const { workload, requester, resources } = task;
    const cache = workload.caching && task.isConfidential !== true ? this.#cache : null;
    const subject = { requester, engine: this.instrumenter, modelDigest: model.digest, workload };
    const keys = new Map<InferenceItem, string>();
    if (cache !== null) for (const item of plan.items) keys.set(item, await computeItemKey(subject, item));
    const collector = new AnswerCollector(new AnswerStream(sink, resources));
    const waiting = plan.items.filter((item) => {
      const known = cache?.get(keys.get(item) ?? '');
      if (known === undefined || findLongPath(item, known.outputs) !== null) return true;
      collector.add(item, known, null);
      return false;
    });
    const cachedItems = plan.items.length - waiting.length;
    this.#metrics.items.increment({ source: 'cache' }, cachedItems);
    if (collector.sizeBytes > resources.outputBytes) return failed('OUTPUT_LIMIT', '');
    if (waiting.length === 0) return collector.end(NO_LANE, cachedItems);
    const laneTask = new LaneTask({
      workload,
      model: task.module,
      modelDigest: model.digest,
      items: waiting,
      limits: resources,
      outputBytesBefore: collector.sizeBytes,
      itemsBefore: cachedItems,
      sink,
      isConfidential: task.isConfidential === true,
      onAnswer: (item, answer, batchRows) => {
        this.#metrics.items.increment({ source: 'run' });
        collector.add(item, answer, batchRows);
        cache?.set(keys.get(item) ?? '', answer);
      },
    });
    const { memoryBytes } = resources;
    const lane = await this.#lanes.run({ requester, memoryBytes, threads: workload.threads }, laneTask, signal);
    return collector.end(lane, cachedItems);
  }

  async #inspect(module: Uint8Array): Promise<InspectedModel> {
    const known = this.#models.get(module);
    if (known !== undefined) return known;
    const inspected = { digest: await hashBytes(module), refusal: inspectModel(module) };
    this.#models.set(module, inspected);
    return inspected;
  }

  async #startChild({ memoryBytes, threads }: LaneKey): Promise<ModelChild> {
    const { plan, cgroups } = this.#requireOffer();
    const { clock } = this.#modules;
    const startedAtMs = clock.monotonicMs();
    const child = new ModelChild(clock, { plan, cgroups, memoryBytes, threads });
    this.#metrics.childStarts.increment({ isolation: 'bubblewrap' });
    await child.start();
    this.#metrics.childStartSeconds.observe((clock.monotonicMs() - startedAtMs) / 1000, { isolation: 'bubblewrap' });
    return child;
  }

  #noteCrash(end: ChildEnd, isConfidential: boolean): void {
    this.#metrics.childCrashes.increment({ isolation: 'bubblewrap' });
    const detail = isConfidential ? 'its task was confidential' : end.description;
    this.#modules.logger.warn({ isolation: 'bubblewrap', detail }, 'a child that runs models ended unasked');
  }

  #toResult({ failure, outputs, report, lane }: TaskEnd, { controls, version }: InferenceOffer): ExecutionResult {
    return {
      outcome: failure ?? { kind: 'completed' },
      outputs: failure === null ? outputs.toSorted((a, b) => (a.path < b.path ? -1 : 1)) : [],
      fuel: null,
      steps: failure === null ? report.items : 0,
      metricsHash: NO_METRICS,
      instrumentedModuleDigest: null,
      report: {
        executor: 'inference',
        isolation: 'bubblewrap',
        controls: [...controls],
        engine: `onnxruntime ${version}, node ${process.version}`,
        inference: report,
      },
      usage: {
        cpuTimeMs: Math.round(lane.cpuTimeMs),
        wallTimeMs: Math.round(lane.wallTimeMs),
        peakMemoryBytes: lane.peakMemoryBytes,
      },
    };
  }

  /** Ends every child, and what runs in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SandboxError({ code: 'SANDBOX_CLOSED' }));
    this.#cache?.[Symbol.dispose]();
    await this.#lanes[Symbol.asyncDispose]();
  }
}

/** The answers to a job's items as they come. */
class AnswerCollector {
  readonly #stream: AnswerStream;
  readonly #outputs: InputFile[] = [];
  #items = 0;
  sizeBytes = 0;

  constructor(stream: AnswerStream) {
    this.#stream = stream;
  }

  /** `batchRows` is null of an answer from the cache. */
  add({ name }: InferenceItem, answer: ItemAnswer, batchRows: number | null): void {
    const files = listFiles(answer, (output) => outputPath(name, output));
    this.#outputs.push(...files);
    this.#items += 1;
    this.sizeBytes += files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#stream.tell(answer, { item: name, isCached: batchRows === null, batchRows });
  }

  end(lane: LaneEnd, cachedItems: number): TaskEnd {
    const { calls, largestBatchRows, failure } = lane;
    const report = { items: this.#items, cachedItems, calls, largestBatchRows };
    return { failure, outputs: this.#outputs, report, lane };
  }
}

function failed(code: Extract<Failure, { kind: 'program-failed' }>['code'], detail: string): TaskEnd {
  const report = { items: 0, cachedItems: 0, calls: 0, largestBatchRows: 0 };
  return { failure: { kind: 'program-failed', code, detail }, outputs: [], report, lane: NO_LANE };
}

/** @throws InternalError for a task of another kind, or with checkpoints: the scheduler lets neither pass */
function requireInferenceTask(task: ExecutionTask): InferenceTask {
  const { workload, module, checkpoints, resume } = task;
  if (workload.kind !== 'inference' || module === null || checkpoints !== null || resume !== null) {
    throw new InternalError('a task for another executor, or one with checkpoints');
  }
  return { ...task, workload, module };
}
