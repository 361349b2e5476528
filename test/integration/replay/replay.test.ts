import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import type { ReplayRange, ReplayReport } from '../../../src/cli/job/replay/interface.ts';
import { replayAttempt } from '../../../src/cli/job/replay/replay-attempt.ts';
import { ReplayBundle } from '../../../src/cli/job/replay/replay-bundle.ts';
import type { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import { steppingWat } from '../../support/program.ts';
import {
  flipBit,
  MIXING_PAGES,
  mixingProgram,
  type PackPlan,
  packReplay,
  type RecordedRun,
  type ReplayProgram,
  recordFlipped,
  recordRun,
} from '../../support/replay-rig.ts';
import { createTestExecutor } from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const STEPS = 9;
const PAGES = MIXING_PAGES;
const program = mixingProgram(STEPS);

let folder: string;
let path: string;
let executor: WasmExecutor;
let honest: RecordedRun;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-replay-'));
  path = join(folder, 'job.bundle');
  executor = await createTestExecutor();
  honest = await recordRun(executor, program);
});
afterAll(async () => {
  await executor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function modulesOf(bundle: ReplayBundle) {
  const openExecutor = async () => ({ executor, isolation: 'process' as const });
  return { bundle, instrumenter: executor.instrumenter, openExecutor };
}

async function replay(plan: Partial<PackPlan> = {}, range: Partial<ReplayRange> = {}): Promise<ReplayReport> {
  await packReplay(path, { program, runs: [honest], ...plan });
  return await replayFile(range);
}

async function replayFile(range: Partial<ReplayRange> = {}, number = 0): Promise<ReplayReport> {
  const { signal } = new AbortController();
  await using bundle = await ReplayBundle.open(path, signal);
  const attempt = bundle.evidence.attempts[number];
  if (attempt === undefined) throw new RangeError(`no attempt ${number}`);
  const onNothing = (): void => {};
  const modules = { ...modulesOf(bundle), onProgress: onNothing, onDifference: onNothing };
  const whole = { from: 0, to: Number.POSITIVE_INFINITY, ...range };
  return await replayAttempt(modules, attempt, { range: whole, signal });
}

describe('a replay of an honest run', () => {
  it('gets every state and the result', async () => {
    const report = await replay();
    expect(report).toMatchObject({ verdict: 'equal', difference: null, resultDifferences: [], missing: [] });
    expect(report.begin).toEqual({ step: 0, at: 'beginning' });
    expect(report.rows.map(({ step, verdict }) => [step, verdict])).toEqual(
      [0, 2, 4, 6, 8, 9].map((step) => [step, 'same']),
    );
    expect(report.run).toMatchObject({ fuel: honest.result.fuel, steps: STEPS });
  });

  it('begins at the newest snapshot at or before the interval and ends at the first checkpoint at or after it', async () => {
    const report = await replay({ snapshots: [{ at: 1 }, { at: 2 }, { at: 4 }] }, { from: 5, to: 7 });
    expect(report).toMatchObject({ verdict: 'equal', begin: { step: 4, at: 'snapshot' }, resultDifferences: null });
    expect(report.rows.map(({ step }) => step)).toEqual([4, 6, 8]);
  });

  it('takes the snapshot of another replica whose state is the same', async () => {
    await packReplay(path, { program, runs: [honest, honest], snapshots: [{ at: 3 }] });
    expect(await replayFile({ from: 6 }, 1)).toMatchObject({ verdict: 'equal', begin: { step: 6, at: 'snapshot' } });
  });

  it('goes on from the last state', async () => {
    const report = await replay({ snapshots: [{ at: 5 }] }, { from: STEPS });
    expect(report).toMatchObject({ verdict: 'equal', begin: { step: STEPS, at: 'snapshot' } });
  });

  it('takes the state of a program that ended with a trap', async () => {
    const failing: ReplayProgram = {
      schedule: { kind: 'steps', every: 1 },
      module: assembleWat(
        steppingWat({
          rest: '(global $step (mut i32) (i32.const 0))',
          step: `(global.set $step (i32.add (global.get $step) (i32.const 1)))
            (if (i32.eq (global.get $step) (i32.const 3)) (then unreachable)) (i32.const 0)`,
        }),
      ),
    };
    const run = await recordRun(executor, failing);
    const report = await replay({ program: failing, runs: [run] });
    expect(report).toMatchObject({ verdict: 'equal', resultDifferences: [] });
  });
});

describe('a replay of a lying chain', () => {
  it('locates one flipped bit in any page at any step to its interval', async () => {
    const states = honest.states.length;
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: states - 1 }),
        fc.nat({ max: PAGES - 1 }),
        fc.nat({ max: 65_536 * 8 - 1 }),
        fc.boolean(),
        async (at, page, bit, fromSnapshot) => {
          const flipped = await recordFlipped(executor, program, { honest, at, page, bit });
          const snapshots = fromSnapshot && at > 1 ? [{ at: at - 1 }] : [];
          const to = honest.states[at]?.step ?? 0;
          const report = await replay({ runs: [flipped], snapshots }, snapshots.length > 0 ? { from: to } : {});
          expect(report.verdict).toBe('different');
          expect(report.difference).toEqual({ from: honest.states[at - 1]?.step ?? null, to });
          expect(report.begin?.at).toBe(snapshots.length > 0 ? 'snapshot' : 'beginning');
        },
      ),
      { numRuns: 15 },
    );
  });

  it('does not believe a snapshot of the flipped state from before it parts', async () => {
    const flipped = await recordFlipped(executor, program, { honest, at: 3, page: 1, bit: 77 });
    const report = await replay({ runs: [flipped], snapshots: [{ at: 4 }] }, { from: 8 });
    // From a state that the liar committed to, all that follows is honest.
    expect(report).toMatchObject({ verdict: 'equal', begin: { step: 8, at: 'snapshot' } });
    expect(await replayFile()).toMatchObject({ verdict: 'different', difference: { from: 4, to: 6 } });
  });

  it('finds a checkpoint left out, and one too many', async () => {
    const schedule = { kind: 'fuel', every: 1_000_000 } as const;
    const slow: ReplayProgram = { ...program, module: program.module, schedule };
    const run = await recordRun(executor, slow);
    expect(run.states.length).toBe(2);
    const more = run.states.flatMap((state, index) =>
      index === 0 ? [state, { ...state, step: 5, stateRoot: new Uint8Array(32) }] : [state],
    );
    const report = await replay({ program: slow, runs: [{ ...run, states: more }] });
    expect(report).toMatchObject({ verdict: 'different', difference: { from: 0, to: 5 } });
  });

  it('finds another result behind equal states', async () => {
    const result = { ...honest.result, fuel: (honest.result.fuel ?? 0) - 1 };
    const report = await replay({ runs: [{ ...honest, result }] });
    expect(report.verdict).toBe('different');
    expect(report.difference).toBeNull();
    expect(report.resultDifferences).toEqual([`fuel ${honest.result.fuel} and not ${result.fuel}`]);
  });
});

describe('a snapshot with one flipped bit', () => {
  it('is named with its page, and the replay begins before it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: PAGES - 1 }), fc.nat({ max: 65_536 * 8 - 1 }), async (page, bit) => {
        const state = honest.states[2]?.state;
        if (state === undefined) throw new RangeError('there are six states');
        const forged = flipBit(state, { page, bit, pieces: honest.pieces });
        const report = await replay({ snapshots: [{ at: 1 }, { at: 2, ...forged }] }, { from: 4, to: 5 });
        expect(report).toMatchObject({ verdict: 'different', difference: null, begin: { step: 2, at: 'snapshot' } });
        expect(report.falseSnapshots).toEqual([
          { step: 4, reason: 'it does not have the state root that was committed to', pieces: [`page ${page}`] },
        ]);
      }),
      { numRuns: 5 },
    );
  });

  it('is named with its page where the bytes in the file are damaged', async () => {
    await packReplay(path, { program, runs: [honest], snapshots: [{ at: 2 }] });
    const bytes = await readFile(path);
    const { included } = await readBlocks(bytes);
    const place = [...included.values()].flat().findLast(({ sizeBytes }) => sizeBytes === 65_536);
    if (place === undefined) throw new RangeError('the file holds pages');
    bytes.writeUInt8(bytes.readUInt8(place.offset + 5_000) ^ 4, place.offset + 5_000);
    await writeFile(path, bytes);
    await expect(ReplayBundle.open(path, new AbortController().signal)).rejects.toMatchObject({
      code: 'BUNDLE_SNAPSHOT_DAMAGED',
      info: { step: 4, piece: expect.stringMatching(/^page \d$/) as string },
    });
  });
});

describe('what cannot be checked', () => {
  it('names module and inputs that are not in the file', async () => {
    const report = await replay({ content: 'evidence' });
    expect(report).toMatchObject({ verdict: 'unchecked', run: null });
    expect(report.missing.join('; ')).toMatch(/^the module \(\S+\) in the file; the input \/data \(\S+\) in the file$/);
  });

  it('names another instrumenter', async () => {
    const report = await replay({ instrumenter: 'fogproof-instrument/1' });
    expect(report).toMatchObject({ verdict: 'unchecked', run: null });
    expect(report.missing.join()).toContain('the instrumenter fogproof-instrument/1');
  });

  it('names another instrumented module, and accuses nobody', async () => {
    const result = { ...honest.result, instrumentedModuleDigest: new Uint8Array(32), fuel: 1 };
    const report = await replay({ runs: [{ ...honest, result }] });
    expect(report.verdict).toBe('unchecked');
    expect(report.missing.join()).toContain('the instrumented module');
  });

  it('names a chain that is not in the file', async () => {
    const report = await replay({
      bundle: (bundle) => ({ ...bundle, blobs: bundle.blobs.map((blob) => ({ ...blob, included: false })) }),
    });
    expect(report.verdict).toBe('unchecked');
    expect(report.missing.join()).toContain('the checkpoint chain of attempt 1');
  });

  it('says so where the evidence does not hold, and runs nothing', async () => {
    const report = await replay({ links: (links) => links.toReversed() });
    expect(report).toMatchObject({ verdict: 'invalid', run: null });
    expect(report.invalid.join()).toContain('attempt 1: checkpoint chain');
  });
});

describe('a replay that is interrupted', () => {
  it('ends the program', async () => {
    const endless: ReplayProgram = {
      schedule: { kind: 'steps', every: 1 },
      module: assembleWat(
        steppingWat({
          rest: '(global $step (mut i32) (i32.const 0))',
          step: `(global.set $step (i32.add (global.get $step) (i32.const 1)))
            (loop $long (br_if $long (i32.gt_u (global.get $step) (i32.const 2)))) (i32.const 0)`,
        }),
      ),
    };
    const controller = new AbortController();
    const start = await recordRun(executor, { ...endless, haltAt: 2 });
    await packReplay(path, { program: endless, runs: [start] });
    await using bundle = await ReplayBundle.open(path, controller.signal);
    const [attempt] = bundle.evidence.attempts;
    if (attempt === undefined) throw new RangeError('no attempt');
    const onProgress = ({ step }: { readonly step: number }): void => {
      if (step >= 2) controller.abort();
    };
    const modules = { ...modulesOf(bundle), onProgress, onDifference: () => {} };
    const range = { from: 0, to: 100 };
    const { signal } = controller;
    await expect(replayAttempt(modules, attempt, { range, signal })).rejects.toThrow(/abort/);
  });
});
