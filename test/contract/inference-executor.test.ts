import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../src/lib/clock.ts';
import { encodeNpy } from '../../src/lib/npy.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import type { InferenceExecutor } from '../../src/sandbox/executors/inference/inference-executor.ts';
import { probeInference } from '../../src/sandbox/executors/inference/probe-inference.ts';
import {
  createInferenceTask,
  floatItem,
  type InferenceParts,
  needInference,
  openInference,
  readFloats,
} from '../support/inference.ts';
import { describeIf } from '../support/needs.ts';
import {
  affineModel,
  centringModel,
  differenceModel,
  expandModel,
  loopModel,
  namedModel,
  oneRowModel,
} from '../support/onnx-models.ts';
import { ALICE, BOB, RecordingSink } from '../support/sandbox.ts';

const probe = await probeInference(new SystemClock());
const MODEL = affineModel();
const ENDLESS = loopModel(Number.MAX_SAFE_INTEGER);
const ITEM = floatItem('a', [1, 2], [1, 2]);
const items = (count: number) =>
  Array.from({ length: count }, (_, index) => floatItem(`i${index}`, [1, 2], [index, 1]));

/** What src/sandbox/interface.ts asks of every executor, as far as a model has it, and what docs/inference.md says. */
describeIf(needInference(probe), 'Executor of models', () => {
  let executor: InferenceExecutor;
  beforeAll(() => {
    executor = openInference(probe);
  });
  afterAll(async () => {
    await executor[Symbol.asyncDispose]();
  });
  const run = async (parts: Partial<InferenceParts> = {}, sink = new RecordingSink(), signal?: AbortSignal) => {
    const task = createInferenceTask({ model: MODEL, inputs: [ITEM], ...parts });
    return await executor.execute(task, sink, signal === undefined ? {} : { signal });
  };

  it('offers its level, and says what held it and what ran it', async () => {
    expect(executor.isolation).toEqual(['bubblewrap']);
    expect(executor.instrumenter).toMatch(/^inference\/1 onnxruntime\/\d+\.\d+\.\d+ linux-(x64|arm64)$/);
    const { report } = await run();
    expect(report).toMatchObject({ executor: 'inference', isolation: 'bubblewrap' });
    expect(report.engine).toMatch(/^onnxruntime \d/);
    expect(report.controls).toEqual(
      expect.arrayContaining([
        'read-only-root',
        'seccomp',
        'pid-namespace',
        'network-namespace',
        'capabilities-dropped',
      ]),
    );
    // Native code is not held by it.
    expect(report.controls).not.toContain('permission-model');
  });

  it('answers each item in ascending order of path, and counts no fuel', async () => {
    const result = await run({ inputs: [floatItem('b', [2, 2], [0, 1, 2, 3]), ITEM] });
    expect(result).toMatchObject({
      outcome: { kind: 'completed' },
      fuel: null,
      steps: 2,
      instrumentedModuleDigest: null,
    });
    expect(result.outputs.map(({ path }) => path)).toEqual(['/output/a/y.npy', '/output/b/y.npy']);
    expect(readFloats(result.outputs[0])).toEqual({ shape: [1, 2], values: [3, 5] });
    expect(readFloats(result.outputs[1])).toEqual({ shape: [2, 2], values: [1, 3, 5, 7] });
    expect(result.report.inference).toEqual({ items: 2, cachedItems: 0, calls: 2, largestBatchRows: 2 });
    expect(result.usage.peakMemoryBytes).toBeGreaterThan(2 ** 20);
  });

  it('tells each answer as it comes, within the limit of logs', async () => {
    const sink = new RecordingSink();
    await run({ inputs: items(3) }, sink);
    expect(sink.events.map((line) => JSON.parse(line.replace('stdout: ', '')) as unknown)).toEqual(
      [0, 1, 2].map((index) => ({
        item: `i${index}`,
        rows: 1,
        outputs: { y: { type: 'float32', shape: [1, 2], values: [2 * index + 1, 3] } },
      })),
    );
    const short = new RecordingSink();
    const { outcome, outputs } = await run({ inputs: items(3), resources: { logBytes: 150 } }, short);
    expect([outcome.kind, outputs.length, short.events.length]).toEqual(['completed', 3, 1]);
  });

  it('takes models with several inputs, whose names a path cannot hold', async () => {
    const at = (name: string, value: number) => ({
      path: `/input/pair/${name}.npy`,
      bytes: floatItem('', [1, 2], [value, 0]).bytes,
    });
    const result = await run({ model: differenceModel(), inputs: [at('a', 5), at('b%2Fc', 3)] });
    expect(result.outputs.map(({ path }) => path)).toEqual(['/output/pair/y%3A0.npy']);
    expect(readFloats(result.outputs[0]).values).toEqual([2, 0]);
  });

  describe('batches', () => {
    const workload = { batchRows: 4 };

    it('puts items of a job together only where the job says so, and splits what comes back', async () => {
      const single = await run({ inputs: items(9) });
      const batched = await run({ inputs: items(9), workload });
      expect(single.report.inference).toMatchObject({ calls: 9, largestBatchRows: 1 });
      expect(batched.report.inference).toMatchObject({ items: 9, calls: 3, largestBatchRows: 4 });
      expect(batched.outputs).toEqual(single.outputs);
    });

    it('puts together items of several jobs of one requester', async () => {
      const results = await Promise.all([1, 2, 3].map(() => run({ inputs: items(2), workload: { batchRows: 32 } })));
      expect(results.map(({ outputs }) => readFloats(outputs[1]).values)).toEqual(Array(3).fill([3, 3]));
      expect(Math.max(...results.map(({ report }) => report.inference?.largestBatchRows ?? 0))).toBeGreaterThan(2);
    });

    it('leaves apart items of other shapes, and those larger than a batch', async () => {
      const inputs = [
        floatItem('a', [5, 2], Array(10).fill(1)),
        floatItem('b', [1, 2], [1, 1]),
        floatItem('c', [1, 2], [1, 1]),
      ];
      const { report, outputs } = await run({ inputs, workload });
      expect(report.inference).toMatchObject({ calls: 2, largestBatchRows: 5 });
      expect(readFloats(outputs[0]).shape).toEqual([5, 2]);
    });

    it('calls a model one item at a time if it has not one row of output for each of its input', async () => {
      const { outcome, outputs, report } = await run({ model: oneRowModel(), inputs: items(3), workload });
      expect(outcome).toEqual({ kind: 'completed' });
      expect(outputs.map((file) => readFloats(file).values)).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
      ]);
      expect(report.inference).toMatchObject({ calls: 3, largestBatchRows: 1 });
    });

    it('gives other numbers where rows depend on each other: that is why the job has to allow it', async () => {
      const single = await run({ model: centringModel(), inputs: items(2) });
      const batched = await run({ model: centringModel(), inputs: items(2), workload });
      expect(batched.outputs).not.toEqual(single.outputs);
    });
  });

  describe('the result cache', () => {
    const workload = { caching: true };

    it('answers what it computed before for the same requester, and says that it did not run', async () => {
      const inputs = [floatItem('c', [1, 2], [41, 42])];
      const first = await run({ inputs, workload });
      const sink = new RecordingSink();
      const second = await run({ inputs, workload }, sink);
      expect(first.report.inference).toMatchObject({ items: 1, cachedItems: 0, calls: 1 });
      expect(second.report.inference).toEqual({ items: 1, cachedItems: 1, calls: 0, largestBatchRows: 0 });
      expect(second.outputs).toEqual(first.outputs);
      expect(sink.events.join()).toContain('"cached":true');
      expect(second.usage.cpuTimeMs).toBe(0);
    });

    it.each<readonly [string, Partial<InferenceParts>]>([
      ['another requester', { requester: BOB, workload }],
      ['a job that does not allow it', {}],
      ['a confidential job', { workload, isConfidential: true }],
      ['another model', { model: affineModel(3), workload }],
      ['other options', { workload: { ...workload, optimization: 'basic' } }],
      ['another batch size', { workload: { ...workload, batchRows: 2 } }],
    ])('has nothing for %s', async (_name, parts) => {
      const inputs = [floatItem('d', [1, 2], [51, 52])];
      await run({ inputs, workload });
      expect((await run({ inputs, ...parts })).report.inference).toMatchObject({ cachedItems: 0, calls: 1 });
    });

    it('keeps nothing of what a job did that did not allow it, nor of a confidential one', async () => {
      const inputs = [floatItem('e', [1, 2], [61, 62])];
      await run({ inputs });
      await run({ inputs, workload, isConfidential: true });
      expect((await run({ inputs, workload })).report.inference).toMatchObject({ cachedItems: 0 });
    });
  });

  it.each<readonly [string, string, Partial<InferenceParts>]>([
    ['MODEL_REFUSED', 'it is no ONNX model', { model: new TextEncoder().encode('nothing of the kind') }],
    ['INPUT_REFUSED', 'there are no items', { inputs: [] }],
    ['INPUT_REFUSED', '/data.csv: expected /input/ITEM.npy', { inputs: [{ path: '/data.csv', bytes: ITEM.bytes }] }],
    ['INPUT_REFUSED', 'it is no .npy file', { inputs: [{ path: '/input/a.npy', bytes: new Uint8Array(100) }] }],
    [
      'INPUT_REFUSED',
      'float32 of (1, 3), and the model takes float32 of (rows, 2)',
      { inputs: [floatItem('a', [1, 3], [1, 2, 3])] },
    ],
    ['INPUT_REFUSED', 'the model has 2 inputs', { model: differenceModel() }],
    ['OUTPUT_REFUSED', 'are too long for a path', { inputs: [floatItem('i'.repeat(500), [1, 2], [1, 2])] }],
    ['MODEL_REFUSED', 'is empty or too long', { model: namedModel('y'.repeat(300)) }],
    ['OUTPUT_LIMIT', 'item a gives', { resources: { outputBytes: 4 } }],
    ['OUTPUT_LIMIT', 'gives 8000000 bytes', { model: expandModel([1_000_000, 2]), resources: { outputBytes: 4096 } }],
  ])('reports %s (%s) as a result of the program, and goes on', async (code, detail, parts) => {
    const { outcome, outputs } = await run(parts);
    expect(outcome).toMatchObject({ kind: 'program-failed', code });
    expect(outcome).toHaveProperty('detail', expect.stringContaining(detail));
    expect(outputs).toEqual([]);
    expect((await run()).outcome).toEqual({ kind: 'completed' });
  });

  it('refuses types that an array cannot have here, and says which it takes', async () => {
    const bytes = encodeNpy({ type: 'int64', shape: [1, 2], bytes: new Uint8Array(16) });
    const { outcome } = await run({ inputs: [{ path: '/input/a.npy', bytes }] });
    expect(outcome).toMatchObject({ code: 'INPUT_REFUSED', detail: expect.stringContaining('x is int64 of (1, 2)') });
  });

  it('kills what runs too long, shows that it lived, and goes on', async () => {
    const sink = new RecordingSink();
    const result = await run({ model: ENDLESS, resources: { wallTimeMs: 700 } }, sink);
    expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'WALL_TIME' });
    expect(result.usage.wallTimeMs).toBe(700);
    expect(sink.progressAtMs.length).toBeGreaterThanOrEqual(2);
    expect(sink.cpuTimeMs).toBeGreaterThan(0);
    expect((await run()).outcome).toEqual({ kind: 'completed' });
  });

  it('is cancelled by its signal, before and while it runs', async () => {
    const early = await run({}, new RecordingSink(), AbortSignal.abort());
    expect(early.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
    const controller = new AbortController();
    const sink = new RecordingSink();
    sink.onProgress = () => controller.abort();
    const late = await run({ model: ENDLESS }, sink, controller.signal);
    expect(late.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
    expect((await run()).outcome).toEqual({ kind: 'completed' });
  });

  it('throws for what the host does not give', async () => {
    const code = 'SANDBOX_LIMIT_UNAVAILABLE';
    await expect(run({ resources: { memoryBytes: 5 * 2 ** 30 } })).rejects.toMatchObject({ code });
    await expect(run({ workload: { threads: 5 } })).rejects.toMatchObject({ code });
  });

  it('refuses everything once it is closed, and kills what runs', async () => {
    const other = openInference(probe);
    const sink = new RecordingSink();
    const alive = Promise.withResolvers<void>();
    sink.onProgress = alive.resolve;
    const task = createInferenceTask({ requester: ALICE, model: ENDLESS, inputs: [ITEM] });
    const running = other.execute(task, sink, {});
    await alive.promise;
    await other[Symbol.asyncDispose]();
    expect((await running).outcome.kind).toBe('attempt-failed');
    await expect(other.execute(task, sink, {})).rejects.toBeInstanceOf(SandboxError);
  });
});
