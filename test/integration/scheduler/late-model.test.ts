import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROGRESS } from '../../../src/domain/lease.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { LateModel, type ModelAction, modelActions, TERM_MS } from '../../support/late-model.ts';

/** A longer sweep: FOGPROOF_MODEL_RUNS=500 scripts/node node_modules/vitest/vitest.mjs run …/late-model.test.ts */
const RUNS = Number(process.env['FOGPROOF_MODEL_RUNS'] ?? 12);
const TERMINAL = ['concluded', 'job-failed', 'job-cancelled', 'deadline-passed'];

async function play(actions: readonly ModelAction[], check: (model: LateModel) => Promise<void>): Promise<void> {
  const model = await LateModel.start();
  try {
    for (const action of actions) await model.act(action);
    await model.settle();
    await check(model);
  } finally {
    await model.stop();
  }
}

async function checkAll(model: LateModel): Promise<void> {
  for (const job of model.jobs) {
    const view = model.ended.get(job);
    if (view === undefined) continue;
    // Nobody lies and all come back: only a cancel keeps a job from its result.
    expect(view.state === 'completed' || (view.state === 'cancelled' && model.cancelled.has(job))).toBe(true);
    const history = await model.historyOf(job);
    expect(history.filter(({ kind }) => TERMINAL.includes(kind))).toHaveLength(1);
    expect(TERMINAL).toContain(history.at(-1)?.kind);
    const issued = history.flatMap((event) => (event.kind === 'lease-issued' ? [event.lease] : []));
    expect(new Set(issued).size).toBe(issued.length);
    const agreeing = view.attempts.filter(({ lease }) => view.result?.agreeing.includes(lease));
    expect(new Set(agreeing.map(({ replica }) => replica)).size).toBe(agreeing.length);
    for (const lease of issued) expect((await model.recordsOf(lease)).length).toBeLessThanOrEqual(1);
  }
  for (const { lease, receipt } of await model.accepted()) await checkInLease(model, lease, receipt.finishedAtMs);
}

/** By what its provider has written, if it still has it: closed ones are forgotten. */
async function checkInLease(model: LateModel, lease: Parameters<LateModel['recordsOf']>[0], finishedAtMs: number) {
  const [record] = await model.recordsOf(lease);
  if (record === undefined) return;
  const progress = record.lastProgress && (await openSigned(PROGRESS, record.lastProgress)).value;
  expect(finishedAtMs - (progress?.atMs ?? record.acceptedAtMs)).toBeLessThanOrEqual(TERM_MS);
}

describe('whatever is cut, crashes and comes late', () => {
  it('each job ends once, with one result at most, of attempts inside their leases', async () => {
    await fc.assert(
      fc.asyncProperty(modelActions, (actions) => play(actions, checkAll)),
      {
        numRuns: RUNS,
        ...(process.env['FOGPROOF_MODEL_SEED'] === undefined
          ? {}
          : { seed: Number(process.env['FOGPROOF_MODEL_SEED']) }),
      },
    );
  });

  it('reaches what it is meant to: attempts that counted as lost and were back', async () => {
    const seen: string[] = [];
    const schedule: ModelAction[] = [
      { kind: 'submit', replicas: 1 },
      { kind: 'pass', steps: 2 },
      ...[0, 1, 2].map((provider) => ({ kind: 'cut', provider }) as const),
      { kind: 'pass', steps: 12 },
      ...[0, 1, 2].map((provider) => ({ kind: 'heal', provider }) as const),
      { kind: 'pass', steps: 3 },
    ];
    await play(schedule, async (model) => {
      for (const job of model.jobs) seen.push(...(await model.historyOf(job)).map(({ kind }) => kind));
      await checkAll(model);
    });
    expect(seen).toContain('lease-expired');
    expect(seen).toContain('returned');
    expect(seen.filter((kind) => kind === 'lease-issued')).toHaveLength(1);
  });
});
