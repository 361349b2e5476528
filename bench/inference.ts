import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-common';
import { buildDigits, readHeldOut, toNpy } from '../scripts/onnx/build-digits.ts';
import { PIXELS } from '../scripts/onnx/train-digits.ts';
import type { PeerKey } from '../src/domain/ids.ts';
import type { InferenceWorkload } from '../src/domain/inference-workload.ts';
import { SystemClock } from '../src/lib/clock.ts';
import type { ExecutionSink, ExecutionTask, Executor, InputFile } from '../src/sandbox/interface.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../src/telemetry/noop-metrics.ts';
import { DIST } from './load-executor.ts';
import { type BenchRow, percentile } from './rows.ts';

const COLD_STARTS = 15;
const WARM_CALLS = 2000;
const ROUNDS = 9;
/** Items of a job: as many as it may have. */
const ITEMS = 256;
const BATCH_ROWS = 32;
const REQUESTER = 'bench' as PeerKey;
const MEBIBYTE = 2 ** 20;

type Runtime = Pick<typeof import('onnxruntime-common'), 'InferenceSession' | 'Tensor'>;

interface Subject {
  readonly executor: Executor;
  readonly entry: string;
  readonly modelPath: string;
  readonly model: Uint8Array;
  readonly items: readonly InputFile[];
}

interface Bare {
  readonly runtime: Runtime;
  readonly session: InferenceSession;
}

/** The digits model through the executor, against ONNX Runtime called bare in the same run. */
export async function benchInference(): Promise<readonly BenchRow[]> {
  const example = buildDigits({ isForced: false });
  const opened = await loadInferenceExecutor();
  if (opened === null) {
    console.log('models: left out, ONNX Runtime or bubblewrap is missing (scripts/setup-inference, scripts/setup)');
    return [];
  }
  await using executor = opened.executor;
  const rows = readHeldOut();
  const items = Array.from({ length: ITEMS }, (_, index) => ({
    path: `/input/${String(index).padStart(3, '0')}.npy`,
    bytes: toNpy(rows.slice(index, index + 1)),
  }));
  const model = new Uint8Array(readFileSync(example.model));
  const subject: Subject = { executor, entry: opened.entry, modelPath: example.model, model, items };
  const runtime = createRequire(import.meta.url)(opened.entry) as Runtime;
  const session = await runtime.InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    extra: { session: { use_deterministic_compute: '1', intra_op: { allow_spinning: '0' } } },
  });
  const bare: Bare = { runtime, session };
  return [
    await measureCold(subject),
    ...(await measureWarm(subject, bare)),
    ...(await measureThroughput(subject, bare)),
    await measureCache(subject),
  ];
}

async function loadInferenceExecutor() {
  const load = async <Module>(name: string): Promise<Module> =>
    (await import(join(DIST, `executors/inference/${name}.js`))) as Module;
  const { probeInference } =
    await load<typeof import('../src/sandbox/executors/inference/probe-inference.ts')>('probe-inference');
  const { InferenceExecutor } =
    await load<typeof import('../src/sandbox/executors/inference/inference-executor.ts')>('inference-executor');
  const { DEFAULT_INFERENCE_OPTIONS } =
    await load<typeof import('../src/sandbox/executors/inference/options.ts')>('options');
  const { findRuntime } =
    await load<typeof import('../src/sandbox/executors/inference/find-runtime.ts')>('find-runtime');
  const clock = new SystemClock();
  const [probe, search] = [await probeInference(clock), findRuntime()];
  if (probe.kind === 'fails' || search.kind === 'missing') return null;
  const modules = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const executor = new InferenceExecutor(modules, { ...DEFAULT_INFERENCE_OPTIONS, maxThreads: 2, offer: probe.offer });
  return { executor, entry: search.runtime.entry };
}

const SINK: ExecutionSink = {
  log: () => {},
  metric: () => {},
  progress: () => {},
  checkpoint: () => Promise.reject(new TypeError('a model makes no checkpoints')),
};

/** Ms that a job took. */
async function timeJob(
  { executor, model }: Subject,
  inputs: readonly InputFile[],
  change: { readonly requester?: PeerKey } & Partial<InferenceWorkload> = {},
): Promise<number> {
  const { requester = REQUESTER, ...options } = change;
  const task: ExecutionTask = {
    requester,
    isolation: 'bubblewrap',
    workload: {
      kind: 'inference',
      model: 'bafkreibench' as InferenceWorkload['model'],
      modelSizeBytes: model.length,
      provider: 'cpu',
      threads: 1,
      optimization: 'all',
      deterministic: true,
      batchRows: null,
      caching: false,
      ...options,
    },
    module: model,
    inputs,
    resources: { memoryBytes: 128 * MEBIBYTE, fuel: null, wallTimeMs: 60_000, outputBytes: MEBIBYTE, logBytes: 0 },
    checkpoints: null,
    resume: null,
  };
  const startedAt = performance.now();
  const { outcome } = await executor.execute(task, SINK, {});
  if (outcome.kind !== 'completed') throw new TypeError(JSON.stringify(outcome));
  return performance.now() - startedAt;
}

/** A child of its own for each job, since each is another requester's. */
async function measureCold(subject: Subject): Promise<BenchRow> {
  const script = `
    const ort = require(${JSON.stringify(subject.entry)});
    (async () => {
      const session = await ort.InferenceSession.create(${JSON.stringify(subject.modelPath)}, { intraOpNumThreads: 1 });
      await session.run({ pixels: new ort.Tensor('float32', new Float32Array(${PIXELS}), [1, ${PIXELS}]) });
      console.log('done');
    })();`;
  const inside: number[] = [];
  const outside: number[] = [];
  for (let index = 0; index < COLD_STARTS; index += 1) {
    const startedAt = performance.now();
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    await once(child.stdout, 'data');
    outside.push(performance.now() - startedAt);
    await closed;
    inside.push(await timeJob(subject, subject.items.slice(0, 1), { requester: `cold-${index}` as PeerKey }));
  }
  return {
    name: 'one item, cold: sandbox, runtime, model, p50',
    value: percentile(inside, 0.5),
    unit: 'ms',
    baseline: { name: 'a bare Node.js with the runtime', value: percentile(outside, 0.5) },
  };
}

async function measureWarm(subject: Subject, bare: Bare): Promise<readonly BenchRow[]> {
  const inputs = subject.items.slice(0, 1);
  const inside: number[] = [];
  const outside: number[] = [];
  for (let index = 0; index < 200; index += 1) await timeJob(subject, inputs);
  for (let index = 0; index < WARM_CALLS; index += 1) {
    outside.push(await timeBare(bare, 1));
    inside.push(await timeJob(subject, inputs));
  }
  return [0.5, 0.99].map((share) => ({
    name: `one item, warm, p${share * 100}`,
    value: percentile(inside, share),
    unit: 'ms',
    baseline: { name: 'a bare call', value: percentile(outside, share) },
  }));
}

async function timeBare({ runtime, session }: Bare, rows: number): Promise<number> {
  const pixels = new Float32Array(rows * PIXELS).fill(8);
  const startedAt = performance.now();
  await session.run({ pixels: new runtime.Tensor('float32', pixels, [rows, PIXELS]) });
  return performance.now() - startedAt;
}

async function measureThroughput(subject: Subject, bare: Bare): Promise<readonly BenchRow[]> {
  const single: number[] = [];
  const batched: number[] = [];
  const bareSingle: number[] = [];
  const bareBatched: number[] = [];
  const wide: number[] = [];
  const bareWide: number[] = [];
  const wideItem = { path: '/input/all.npy', bytes: toNpy(readHeldOut().slice(0, ITEMS)) };
  for (let round = 0; round < ROUNDS; round += 1) {
    bareSingle.push(await timeMany(bare, { calls: ITEMS, rows: 1 }));
    single.push(await timeJob(subject, subject.items));
    bareBatched.push(await timeMany(bare, { calls: ITEMS / BATCH_ROWS, rows: BATCH_ROWS }));
    batched.push(await timeJob(subject, subject.items, { batchRows: BATCH_ROWS }));
    bareWide.push(await timeMany(bare, { calls: 1, rows: ITEMS }));
    wide.push(await timeJob(subject, [wideItem]));
  }
  const toRate = (samples: readonly number[]): number => (ITEMS * 1000) / percentile(samples, 0.5);
  return [
    {
      name: `one item of ${ITEMS} rows`,
      value: toRate(wide),
      unit: 'rows / s',
      baseline: { name: `bare calls of ${ITEMS}`, value: toRate(bareWide) },
    },
    {
      name: `${ITEMS} items, a call each`,
      value: toRate(single),
      unit: 'items / s',
      baseline: { name: 'bare calls', value: toRate(bareSingle) },
    },
    {
      name: `${ITEMS} items, ${BATCH_ROWS} a call`,
      value: toRate(batched),
      unit: 'items / s',
      baseline: { name: `bare calls of ${BATCH_ROWS}`, value: toRate(bareBatched) },
    },
    {
      name: 'what batches gain',
      value: toRate(batched),
      unit: 'items / s',
      baseline: { name: 'a call each', value: toRate(single) },
    },
  ];
}

async function timeMany(
  bare: Bare,
  { calls, rows }: { readonly calls: number; readonly rows: number },
): Promise<number> {
  let totalMs = 0;
  for (let call = 0; call < calls; call += 1) totalMs += await timeBare(bare, rows);
  return totalMs;
}

async function measureCache(subject: Subject): Promise<BenchRow> {
  const run: number[] = [];
  const cached: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    run.push(await timeJob(subject, subject.items));
    // The first of them puts the answers there.
    const ms = await timeJob(subject, subject.items, { caching: true });
    if (round > 0) cached.push(ms);
  }
  return {
    name: `${ITEMS} items from the result cache`,
    value: percentile(cached, 0.5),
    unit: 'ms',
    baseline: { name: 'run again', value: percentile(run, 0.5) },
  };
}
