import type { PeerKey } from '../../src/domain/ids.ts';
import type { InferenceWorkload } from '../../src/domain/inference-workload.ts';
import type { Resources } from '../../src/domain/job.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { encodeNpy, parseNpy } from '../../src/lib/npy.ts';
import { InferenceExecutor } from '../../src/sandbox/executors/inference/inference-executor.ts';
import {
  DEFAULT_INFERENCE_OPTIONS,
  type InferenceExecutorOptions,
} from '../../src/sandbox/executors/inference/options.ts';
import type { InferenceProbe } from '../../src/sandbox/executors/inference/probe-inference.ts';
import type { ExecutionTask, InputFile } from '../../src/sandbox/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import type { Need } from './needs.ts';
import { ALICE } from './sandbox.ts';

const MEBIBYTE = 2 ** 20;

export function needInference(probe: InferenceProbe): Need {
  const reason = 'bubblewrap, user namespaces and ONNX Runtime (scripts/setup, scripts/setup-inference)';
  return { isMet: probe.kind === 'works', kind: 'host', reason };
}

export function openInference(
  probe: InferenceProbe,
  options: Partial<InferenceExecutorOptions> = {},
): InferenceExecutor {
  const modules = { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const offer = probe.kind === 'works' ? probe.offer : null;
  return new InferenceExecutor(modules, { ...DEFAULT_INFERENCE_OPTIONS, maxThreads: 4, ...options, offer });
}

export interface InferenceParts {
  readonly requester?: PeerKey;
  readonly model: Uint8Array;
  readonly inputs: readonly InputFile[];
  readonly workload?: Partial<InferenceWorkload>;
  readonly resources?: Partial<Resources>;
  readonly isConfidential?: boolean;
}

export function createInferenceTask(parts: InferenceParts): ExecutionTask {
  const { requester = ALICE, model, inputs, isConfidential = false } = parts;
  return {
    requester,
    isolation: 'bubblewrap',
    workload: {
      kind: 'inference',
      // The executor reads the model's bytes, not its id.
      model: 'bafkreitest' as InferenceWorkload['model'],
      modelSizeBytes: model.length,
      provider: 'cpu',
      threads: 1,
      optimization: 'all',
      deterministic: true,
      batchRows: null,
      caching: false,
      ...parts.workload,
    },
    module: model,
    inputs,
    resources: {
      memoryBytes: 128 * MEBIBYTE,
      fuel: null,
      wallTimeMs: 30_000,
      outputBytes: MEBIBYTE,
      logBytes: 100_000,
      ...parts.resources,
    },
    checkpoints: null,
    resume: null,
    isConfidential,
  };
}

/** An item of float32, for the only input of a model. */
export function floatItem(name: string, shape: readonly number[], values: readonly number[]): InputFile {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { path: `/input/${name}.npy`, bytes: encodeNpy({ type: 'float32', shape, bytes }) };
}

/** The elements of an output of float32. */
export function readFloats(file: InputFile | undefined): {
  readonly shape: readonly number[];
  readonly values: readonly number[];
} {
  const parsed = parseNpy(file?.bytes ?? new Uint8Array(0));
  if (parsed.kind === 'invalid') throw new TypeError(parsed.reason);
  const { shape, bytes, type } = parsed.tensor;
  if (type !== 'float32') throw new TypeError(`an array of ${type}`);
  return { shape, values: [...new Float32Array(bytes.slice().buffer)] };
}
