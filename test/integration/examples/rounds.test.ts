import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildExamples, hasCCompiler } from '../../../scripts/build-examples.ts';
import { compareFiles } from '../../../src/proofs/compare-files.ts';
import type { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import type { ExecutionResult, ResumeState } from '../../../src/sandbox/interface.ts';
import { KeepingSink } from '../../support/checkpoint-sink.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import { createTask, createTestExecutor } from '../../support/sandbox.ts';

const C: Need = {
  isMet: hasCCompiler(),
  kind: 'toolchain',
  reason: 'clang and wasm-ld on PATH (apt install clang lld)',
};
const TOLERANCE = { element: 'f32', absolute: '1e-3', relative: '1e-3' } as const;

describeIf(C, 'examples/rounds', () => {
  let module: Uint8Array;
  let executor: WasmExecutor;

  beforeAll(async () => {
    module = await readFile(buildExamples({ isForced: false }).find((file) => file.endsWith('rounds.wasm')) ?? '');
    executor = await createTestExecutor();
  });
  afterAll(async () => await executor[Symbol.asyncDispose]());

  async function run(
    sink: KeepingSink,
    options: { settings?: string; resume?: ResumeState } = {},
  ): Promise<ExecutionResult> {
    const { settings = '45 500', resume = null } = options;
    const task = createTask({
      isolation: 'process',
      module,
      workload: { abi: 'wasi' },
      inputs: [{ path: '/settings.txt', bytes: new TextEncoder().encode(settings) }],
      resources: { memoryBytes: 2 ** 25 },
      checkpoints: { kind: 'rounds', every: 10 },
      resume,
    });
    return await executor.execute(task, sink, {});
  }

  function weightsOf(result: ExecutionResult): Uint8Array {
    expect(result).toMatchObject({ outcome: { kind: 'completed' }, outputs: [{ path: '/output/weights.f32' }] });
    return result.outputs[0]?.bytes ?? new Uint8Array(0);
  }

  const listPlaces = ({ checkpoints }: KeepingSink): string[] =>
    checkpoints.map(({ place, step }) => `${place} ${step}`);

  it('learns, and tells of its rounds', async () => {
    const sink = new KeepingSink();
    const result = await run(sink);
    expect(listPlaces(sink)).toEqual(['start 0', 'middle 10', 'middle 20', 'middle 30', 'middle 40', 'end 45']);
    expect(result.steps).toBe(45);
    const losses = sink.events.map((line) => Number(line.split(' ').at(-1)));
    expect(losses).toHaveLength(5);
    // What is left is the noise of its samples, of variance 1/300.
    expect(losses.at(-1)).toBeLessThan(0.005);
    const weights = new DataView(Uint8Array.from(weightsOf(result)).buffer);
    expect(weights.getFloat32(60, true)).toBeCloseTo(-1, 1);
  });

  it('goes on from its files on another child, within its tolerance and not to the last bit', async () => {
    const whole = new KeepingSink();
    const undisturbed = await run(whole);
    const paused = new KeepingSink();
    paused.haltAt = 2;
    expect(await run(paused)).toMatchObject({ outcome: { kind: 'attempt-failed', code: 'PAUSED' }, steps: 20 });
    const resumed = new KeepingSink();
    const result = await run(resumed, { resume: paused.resumeLast() });
    expect(listPlaces(resumed)).toEqual(['start 20', 'middle 30', 'middle 40', 'end 45']);
    expect(resumed.checkpoints[0]?.stateRoot).toEqual(whole.checkpoints[2]?.stateRoot);
    expect(compareFiles(weightsOf(undisturbed), weightsOf(result), TOLERANCE)).toMatchObject({ kind: 'within' });
  });

  it('has nothing left to do where its last round is saved', async () => {
    const first = new KeepingSink();
    await run(first);
    const again = new KeepingSink();
    await run(again, { resume: first.resumeLast() });
    expect(listPlaces(again)).toEqual(['start 45', 'end 45']);
  });

  it('refuses settings that make no sense', async () => {
    for (const settings of ['', '0 10', '10 0', '10', '10 70000', 'x'])
      expect(await run(new KeepingSink(), { settings })).toMatchObject({ outcome: { code: 'EXIT_CODE' } });
  });
});
