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

  it('has no further state where the last round is one that is due', async () => {
    const short = { ...program, input: new TextEncoder().encode('20 100') };
    const report = await replay({ program: short, runs: [await recordRun(executor, short)] });
    expect(report.verdict).toBe('equal');
    expect(report.rows.map(({ step }) => step)).toEqual([0, 10, 20]);
  });

  const allow =
    (absolute: string) =>
    (job: Job): Job => ({
      ...job,
      comparisons: ['/output/weights.f32', '/checkpoint/weights.f32'].map((path) => ({
        ...{ path, element: 'f32' as const },
        ...{ absolute, relative: '0' },
      })),
    });

  it('goes on from the files of a round, and compares within what the job allows', async () => {
    const snapshots = [2, 3, 4, 5].map((at) => ({ at }));
    const within = await replay({ snapshots, job: allow('0.01') }, 20);
    expect(within).toMatchObject({ verdict: 'equal', begin: { step: 20, at: 'snapshot' }, resultDifferences: [] });
    expect(within.rows.map(({ step, verdict }) => `${step} ${verdict}`)).toEqual([
      ...['20 same', '30 inexact', '40 inexact', '45 inexact'],
    ]);
    expect(within.rows.at(-1)?.detail).toMatch(/^within tolerance: at most .* % .* of \/checkpoint\/weights\.f32\)$/);
    const beyond = await replay({ snapshots, job: allow('0') }, 20);
    expect(beyond.verdict).toBe('different');
    expect(beyond.resultDifferences?.join()).toContain('/output/weights.f32 beyond its tolerance');
    expect(beyond.difference).toEqual({ from: 20, to: 30 });
    expect(beyond.rows[1]?.detail).toContain('/checkpoint/weights.f32 is beyond its tolerance');
  });

  it('demands other files to be the same', async () => {
    const job = (one: Job): Job => ({
      ...allow('9')(one),
      comparisons: allow('9')(one).comparisons?.slice(0, 1) ?? [],
    });
    const report = await replay({ snapshots: [2, 3].map((at) => ({ at })), job }, 20);
    expect(report).toMatchObject({ verdict: 'different', difference: { from: 20, to: 30 } });
    expect(report.rows[1]?.detail).toBe('other bytes in /checkpoint/weights.f32');
  });

  it('is unchecked where the files of a round are not there to be compared', async () => {
    const report = await replay({ snapshots: [{ at: 2 }, { at: 4 }], job: allow('0.01') }, 20);
    expect(report.verdict).toBe('unchecked');
    expect(report.rows.map(({ verdict }) => verdict)).toEqual(['same', 'uncompared', 'inexact', 'uncompared']);
    expect(report.missing).toEqual([expect.stringMatching(/snapshots of rounds .*: 30, 45$/)]);
  });
});
