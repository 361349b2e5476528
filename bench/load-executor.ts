import { join } from 'node:path';
import { SystemClock } from '../src/lib/clock.ts';
import type { WasmExecutor } from '../src/sandbox/executors/wasm/wasm-executor.ts';
import type { WasmExecutorOptions } from '../src/sandbox/options.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../src/telemetry/noop-metrics.ts';

export const DIST = join(import.meta.dirname, '../dist/sandbox');

/** Children run what is built, so the executor is the built one too. */
export async function loadExecutor(options: Partial<WasmExecutorOptions>): Promise<WasmExecutor> {
  const { createWasmExecutor } = (await import(
    join(DIST, 'executors/wasm/wasm-executor.js')
  )) as typeof import('../src/sandbox/executors/wasm/wasm-executor.ts');
  const modules = { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  return await createWasmExecutor(modules, options);
}
