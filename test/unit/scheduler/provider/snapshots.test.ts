import { describe, expect, it } from 'vitest';
import { decodeObject } from '../../../../src/domain/object-type.ts';
import { SNAPSHOT } from '../../../../src/domain/snapshot.ts';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { listPieces } from '../../../../src/proofs/state-pieces.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import { openSnapshot } from '../../../../src/scheduler/snapshots/open-snapshot.ts';
import {
  EVERY_TEN,
  onlyLease,
  prepareStepping,
  readChain,
  readCheckpoints,
  readReceipt,
  type SteppingRig,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { SteppedClock, settle } from '../../../support/provider-clock.ts';
import {
  type AnswerLog,
  type LeasedWork,
  leaseIdOf,
  SNAPSHOT_KEY,
  type TestRequester,
} from '../../../support/provider-rig.ts';
import { stateAt } from '../../../support/provider-steps.ts';

const SHARE_ALL = { ...JOB_PROVIDER_DEFAULTS.snapshots, share: 1 };

async function readSnapshotSteps(log: AnswerLog): Promise<number[]> {
  const told = await readCheckpoints(log.events);
  return told.flatMap(({ value }) => (value.snapshot === null ? [] : [value.step]));
}

function keptSteps({ rig }: SteppingRig, work: LeasedWork): number[] {
  return (rig.snapshots?.list({ role: 'provider', lease: leaseIdOf(onlyLease(work)) }) ?? []).map(({ step }) => step);
}

/** A clock that a test moves at each step, so that a snapshot may seem to take long. */
function slowly(clock: SteppedClock, plan: { readonly stepMs: number; readonly pieceMs: number }) {
  return {
    before: (step: number): Promise<void> | void => (step > 0 ? clock.advance(plan.stepMs) : undefined),
    convey: async (bytes: Uint8Array): Promise<Uint8Array> => {
      await clock.advance(plan.pieceMs);
      return bytes;
    },
  };
}

async function runToEnd(stepping: SteppingRig, requester?: TestRequester) {
  const asker = requester ?? (await stepping.rig.requester());
  const work = await prepareStepping(asker);
  const log = asker.lease(work);
  await log.done;
  return { log, work, requester: asker };
}

describe('snapshots of a running attempt', () => {
  it('hold the state that their checkpoint commits to, under the id that it names', async () => {
    const stepping = await startStepping({ steps: 15, every: 10 });
    const { log } = await runToEnd(stepping);
    const last = (await readCheckpoints(log.events)).at(-1)?.value;
    if (last === undefined || last.snapshot === null) throw new TypeError('no snapshot');
    const bytes = await stepping.rig.snapshots?.readSnapshot(last.snapshot.blob);
    expect(bytes?.length).toBe(last.snapshot.sizeBytes);
    const expected = { job: last.job, step: 10, stateRoot: last.stateRoot };
    const opened = openSnapshot(bytes ?? new Uint8Array(), { key: null, expected });
    expect(opened.body?.state).toEqual(stateAt(10));
  });

  it('are made at the first link, and move only what changed since', async () => {
    const stepping = await startStepping({ steps: 35, every: 10 }, { provider: { snapshots: SHARE_ALL } });
    const { log } = await runToEnd(stepping);
    expect(await readSnapshotSteps(log)).toEqual([10, 20, 30]);
    expect(await stepping.runs[0]).toMatchObject({
      ordered: [
        { step: 0, wanted: 0 },
        { step: 10, wanted: 2 },
        { step: 20, wanted: 1 },
        { step: 30, wanted: 1 },
        { step: 35, wanted: 0 },
      ],
    });
  });

  it('take no more than their share of the run time', async () => {
    const clock = new SteppedClock();
    // Ten steps take 100 ms, the first snapshot 40 ms, which does not count; the later ones take 20 ms, so every other fits.
    const pace = slowly(clock, { stepMs: 10, pieceMs: 20 });
    const stepping = await startStepping({ steps: 205, every: 10, ...pace }, { clock });
    const { log } = await runToEnd(stepping);
    expect((await readCheckpoints(log.events)).length - 1).toBe(20);
    expect(await readSnapshotSteps(log)).toEqual([10, 20, 40, 60, 80, 100, 110, 130, 150, 170, 190, 200]);
  });

  it('that do not fit cost the snapshot and not the attempt', async () => {
    const stepping = await startStepping({ steps: 35, every: 10 }, { snapshotBytes: 1_000 });
    const { log, work } = await runToEnd(stepping);
    expect(await readSnapshotSteps(log)).toEqual([]);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect((await readChain(log, work)).links).toHaveLength(4);
    expect(stepping.rig.metrics.sums.get('fogproof_provider_snapshots_total failed')).toBe(3);
  });

  it('of which the program gives other bytes, or the disk fails, are given up', async () => {
    const convey = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);
    const lying = await startStepping({ steps: 15, every: 10, convey });
    expect(await readSnapshotSteps((await runToEnd(lying)).log)).toEqual([]);
    const failing = await startStepping({ steps: 15, every: 10 });
    if (failing.rig.disk !== undefined) failing.rig.disk.isFull = true;
    const { log } = await runToEnd(failing);
    expect(await readSnapshotSteps(log)).toEqual([]);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
  });

  it('are not made where the node keeps none', async () => {
    const stepping = await startStepping({ steps: 15, every: 10 }, { disk: undefined as never });
    const { log } = await runToEnd(stepping);
    expect(await readSnapshotSteps(log)).toEqual([]);
    expect((await readCheckpoints(log.events)).map(({ value }) => value.step)).toEqual([0, 10]);
  });

  it('are given up half way if the attempt is cancelled', async () => {
    const stepping = await startStepping({ steps: 15, every: 10 });
    const { rig } = stepping;
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    rig.executor.behaviour = (execution) => {
      const state = stateAt(10);
      const root = new Uint8Array(32);
      const shared = { fuel: 1, stateRoot: root, metricsHash: root, ordinal: 0, state, pieces: listPieces(state) };
      void execution.sink
        .checkpoint({ ...shared, step: 0, place: 'start' })
        .then(() => execution.sink.checkpoint({ ...shared, step: 10, place: 'middle' }));
    };
    const log = requester.lease(work);
    await until('the order', () => rig.executor.held.length > 0);
    await settle();
    await requester.sendOne({ op: 'cancel', leases: [leaseIdOf(onlyLease(work))], reason: 'enough' });
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'CANCELLED' });
    expect(rig.snapshots?.usage()).toMatchObject({ snapshots: 0, bytes: 0 });
  });
});

describe('sealed snapshots', () => {
  const job = { checkpoints: { ...EVERY_TEN, sealed: true } };

  it('are opened with the key that came with the lease, and without it say nothing', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 }, { provider: { snapshots: SHARE_ALL } });
    const requester = await rig.requester();
    const log = requester.lease(await prepareStepping(requester, { job }));
    await log.done;
    const last = (await readCheckpoints(log.events)).at(-1)?.value;
    if (last === undefined || last.snapshot === null) throw new TypeError('no snapshot');
    const bytes = (await rig.snapshots?.readSnapshot(last.snapshot.blob)) ?? new Uint8Array();
    const expected = { job: last.job, step: 20, stateRoot: last.stateRoot };
    expect(openSnapshot(bytes, { key: SNAPSHOT_KEY, expected }).body?.state).toEqual(stateAt(20));
    expect(openSnapshot(bytes, { key: null, expected }).body).toBeNull();
    const { items, sealed } = decodeObject(SNAPSHOT, bytes);
    expect(sealed).toBe(true);
    expect(encodeHex(items)).not.toContain(encodeHex(listPieces(stateAt(20)).slice(0, 32)));
  });

  it('need a key: a lease without is refused', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    const requester = await rig.requester();
    const work = await prepareStepping(requester, { job });
    const { snapshotKeys: _, ...request } = requester.leaseRequest(work) as never as { snapshotKeys: unknown };
    const log = requester.send(request as never);
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
    expect(rig.executor.held).toEqual([]);
  });
});

describe('who may read snapshots', () => {
  it('is the requester and the holder that the lease names, and nobody else', async () => {
    const stepping = await startStepping({ steps: 15, every: 10 });
    const { rig } = stepping;
    const [requester, holder, stranger] = [await rig.requester(9), await rig.requester(8), await rig.requester(7)];
    const checkpoints = { ...EVERY_TEN, holder: holder.peer };
    const log = requester.lease(await prepareStepping(requester, { job: { checkpoints } }));
    await log.done;
    const { blob } = (await readCheckpoints(log.events)).at(-1)?.value.snapshot ?? {};
    if (blob === undefined) throw new TypeError('no snapshot');
    const read = { op: 'read', blob, offset: 0, maxBytes: 10 } as const;
    const kinds = [requester, holder, stranger].map(
      async ({ transport }) => (await transport.request(rig.identity.peer, 'blob', read)).kind,
    );
    expect(await Promise.all(kinds)).toEqual(['chunk', 'chunk', 'not-found']);
  });
});

describe('how long snapshots are kept', () => {
  it('thins those of a running attempt so that they stay evenly apart, the newest two always', async () => {
    const options = { ...SHARE_ALL, maxPerAttempt: 4 };
    const stepping = await startStepping({ steps: 165, every: 10 }, { provider: { snapshots: options } });
    const { work, log } = await runToEnd(stepping);
    expect(await readSnapshotSteps(log)).toHaveLength(16);
    const kept = keptSteps(stepping, work);
    expect(kept).toHaveLength(4);
    expect(kept.slice(-2)).toEqual([150, 160]);
  });

  it('keeps them after the end for the challenge window, then releases them', async () => {
    const stepping = await startStepping({ steps: 15, every: 10 });
    const { rig } = stepping;
    const { work, requester, log } = await runToEnd(stepping);
    const { blob } = (await readCheckpoints(log.events)).at(-1)?.value.snapshot ?? {};
    if (blob === undefined) throw new TypeError('no snapshot');
    // The requester has what it needs; whoever challenges later does not.
    await requester.sendOne({ op: 'close', leases: [leaseIdOf(onlyLease(work))] });
    await rig.clock.advance(3_599_000);
    expect(keptSteps(stepping, work)).toEqual([10]);
    await rig.clock.advance(61_000);
    expect(keptSteps(stepping, work)).toEqual([]);
    const read = { op: 'read', blob, offset: 0, maxBytes: 10 } as const;
    expect(await requester.transport.request(rig.identity.peer, 'blob', read)).toEqual({ kind: 'not-found' });
    expect(rig.database.rows('snapshot-duties').size).toBe(0);
    expect(rig.database.rows('checkpoints').size).toBe(0);
    expect(rig.database.rows('attempt-origins').size).toBe(0);
  });
});

describe('a pause', () => {
  const reason = 'the machine is needed';

  async function pauseWhileRunning(provider = {}) {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const before = async (step: number): Promise<void> => {
      if (step !== 15) return;
      reach();
      await held;
    };
    const stepping = await startStepping({ steps: 100, every: 10, before }, provider);
    const requester = await stepping.rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await reached;
    return { stepping, requester, work, log, release };
  }

  it('ends the attempt at its next checkpoint, with a snapshot whatever its share, and a receipt', async () => {
    const snapshots = { ...JOB_PROVIDER_DEFAULTS.snapshots, share: Number.MIN_VALUE };
    const { requester, work, log, release, stepping } = await pauseWhileRunning({ provider: { snapshots } });
    const request = { op: 'pause' as const, leases: [leaseIdOf(onlyLease(work))], reason };
    expect(await requester.sendOne(request)).toEqual({ kind: 'done' });
    expect(await requester.sendOne(request)).toEqual({ kind: 'done' });
    release();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toEqual({
      kind: 'attempt-failed',
      code: 'PAUSED',
      detail: reason,
    });
    expect(await readSnapshotSteps(log)).toEqual([10, 20]);
    expect((await readChain(log, work)).links.map(({ step }) => step)).toEqual([10, 20]);
    expect(keptSteps(stepping, work)).toEqual([10, 20]);
    expect(stepping.rig.provider.status().slots).toMatchObject({ running: 0, reserved: 0 });
    expect(await requester.sendOne(request)).toEqual({ kind: 'done' });
  });

  it('is asked for by the requester alone', async () => {
    const { work, log, release, stepping } = await pauseWhileRunning();
    const stranger = await stepping.rig.requester(7);
    await stranger.sendOne({ op: 'pause', leases: [leaseIdOf(onlyLease(work))], reason });
    release();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
  });

  it('ends an attempt that waits at once', async () => {
    const { rig } = await startStepping({ steps: 100, every: 10 }, { provider: { slots: 1 } });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    requester.transport.handle('blob', async function* (_, { signal }) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      yield { kind: 'not-found' };
    });
    const log = requester.lease(work, []);
    await log.until(({ kinds }) => kinds.includes('fetching'));
    await requester.sendOne({ op: 'pause', leases: [leaseIdOf(onlyLease(work))], reason });
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
    expect(rig.executor.held).toEqual([]);
  });

  it('ends an attempt that has not made a step before its first', async () => {
    const { rig } = await startStepping({ steps: 100, every: 10 });
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const started = rig.executor.behaviour;
    rig.executor.behaviour = (execution) => void held.then(() => started(execution));
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await until('the start', () => rig.executor.held.length > 0);
    await requester.sendOne({ op: 'pause', leases: [leaseIdOf(onlyLease(work))], reason });
    release();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
    expect((await readChain(log, work)).links).toEqual([]);
  });

  it('is refused for an attempt without checkpoints, which runs on', async () => {
    const { rig } = await startStepping({ steps: 100, every: 10 });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const work = await requester.prepare();
    const log = requester.lease(work);
    await until('the start', () => rig.executor.held.length > 0);
    const leases = work.leases.map(leaseIdOf);
    expect(await requester.sendOne({ op: 'pause', leases, reason })).toEqual({
      kind: 'refused',
      refusal: { code: 'NOT_PAUSABLE', detail: leases[0] },
    });
    rig.executor.held[0]?.finish();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
  });

  it('halts without a snapshot where none can be made', async () => {
    const { requester, work, log, release } = await pauseWhileRunning({ snapshotBytes: 1_000 });
    await requester.sendOne({ op: 'pause', leases: [leaseIdOf(onlyLease(work))], reason });
    release();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
    expect(await readSnapshotSteps(log)).toEqual([]);
  });
});
