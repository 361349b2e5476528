import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildExamples, hasCCompiler } from '../../../scripts/build-examples.ts';
import { replayAttempt } from '../../../src/cli/job/replay/replay-attempt.ts';
import { ReplayBundle } from '../../../src/cli/job/replay/replay-bundle.ts';
import type { Job } from '../../../src/domain/job.ts';
import type { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import {
  type PackPlan,
  packReplay,
  type RecordedRun,
  type ReplayProgram,
  recordRun,
} from '../../support/replay-rig.ts';
import { createTestExecutor } from '../../support/sandbox.ts';

const C: Need = {
  isMet: hasCCompiler(),
  kind: 'toolchain',
  reason: 'clang and wasm-ld on PATH (apt install clang lld)',
};

describeIf(C, 'a replay of a job that reports training rounds', () => {
  let folder: string;
  let executor: WasmExecutor;
  let program: ReplayProgram;
  let honest: RecordedRun;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-replay-'));
    executor = await createTestExecutor();
    const path = buildExamples({ isForced: false }).find((file) => file.endsWith('rounds.wasm')) ?? '';
    const input = new TextEncoder().encode('45 500');
    const schedule = { kind: 'rounds', every: 10 } as const;
    program = { module: await readFile(path), abi: 'wasi', inputPath: '/settings.txt', input, schedule };
    honest = await recordRun(executor, program);
  });
  afterAll(async () => {
    await executor[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  async function replay(plan: Partial<PackPlan> = {}, from = 0) {
    const path = join(folder, 'job.bundle');
    await packReplay(path, { program, runs: [honest], ...plan });
    const { signal } = new AbortController();
    await using bundle = await ReplayBundle.open(path, signal);
    const [attempt] = bundle.evidence.attempts;
    if (attempt === undefined) throw new RangeError('no attempt');
    const openExecutor = async () => ({ executor, isolation: 'process' as const });
    const nothing = (): void => {};
    const told = { instrumenter: executor.instrumenter, openExecutor, onProgress: nothing, onDifference: nothing };
    const range = { from, to: Number.POSITIVE_INFINITY };
    return await replayAttempt({ bundle, ...told }, attempt, { range, signal });
  }

  it('gets the files of every round', async () => {
    const report = await replay();
    expect(report).toMatchObject({ verdict: 'equal', resultDifferences: [] });
    expect(report.rows.map(({ step }) => step)).toEqual([0, 10, 20, 30, 40, 45]);
  });

  const allow =
    (absolute: string) =>
    (job: Job): Job => ({
      ...job,
      comparisons: [{ path: '/output/weights.f32', element: 'f32', absolute, relative: '0' }],
    });

  it('goes on from the files of a round, and compares within what the job allows', async () => {
    const snapshots = [{ at: 2 }];
    const within = await replay({ snapshots, job: allow('0.01') }, 20);
    expect(within).toMatchObject({ verdict: 'equal', begin: { step: 20, at: 'snapshot' }, resultDifferences: [] });
    expect(new Set(within.rows.map(({ verdict }) => verdict))).toEqual(new Set(['same', 'inexact']));
    const beyond = await replay({ snapshots, job: allow('0') }, 20);
    expect(beyond.verdict).toBe('different');
    expect(beyond.resultDifferences?.join()).toContain('/output/weights.f32 beyond its tolerance');
  });
});
