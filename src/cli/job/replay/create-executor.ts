import type { Job } from '../../../domain/job.ts';
import { SystemClock } from '../../../lib/clock.ts';
import { createWasmExecutor, type WasmExecutor } from '../../../sandbox/executors/wasm/wasm-executor.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS } from '../../../sandbox/options.ts';
import { NoopLogger } from '../../../telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../telemetry/noop-metrics.ts';

/** One that gives a job all that it asks for: whoever replays it chose to. */
export async function createReplayExecutor({
  resources,
  inputs,
}: Pick<Job, 'resources' | 'inputs'>): Promise<WasmExecutor> {
  const { maxMemoryBytes, maxOutputBytes, maxInputBytes } = DEFAULT_WASM_EXECUTOR_OPTIONS;
  const inputBytes = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return await createWasmExecutor(
    { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    {
      slots: 1,
      maxChildren: 1,
      maxMemoryBytes: Math.max(maxMemoryBytes, resources.memoryBytes),
      maxOutputBytes: Math.max(maxOutputBytes, resources.outputBytes),
      maxInputBytes: Math.max(maxInputBytes, inputBytes),
    },
  );
}
