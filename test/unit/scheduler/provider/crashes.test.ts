import { describe, expect, it } from 'vitest';
import { CRASHES_CODEC } from '../../../../src/scheduler/provider/leases/poison-jobs.ts';
import { MemoryDisk } from '../../../support/memory-disk.ts';
import { HeapBlobStore } from '../../../support/provider-blobs.ts';
import {
  EVERY_TEN,
  onlyLease,
  prepareStepping,
  readChain,
  readCheckpoints,
  readReceipt,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { settle } from '../../../support/provider-clock.ts';
import {
  attach,
  type Disturbed,
  type Restart,
  restart,
  SHARE_ALL,
  serveModule,
  standAt,
  standStill,
} from '../../../support/provider-restart.ts';
import { leaseIdOf, type ProviderRig } from '../../../support/provider-rig.ts';

/** A process that lives until its program stands after a step. */
async function liveUntil(rig: ProviderRig, step: number, change: Restart = {}): Promise<ProviderRig> {
  const { before, reached } = standStill(step);
  const { next } = await restart({ rig }, { ...change, plan: { before } });
  await reached;
  await settle();
  return next;
}

/** Jobs with a crash to their name; a death that was forgiven is noted too. */
const countJobs = (rig: ProviderRig): number =>
  [...rig.database.rows('poison-jobs').values()].filter((row) => CRASHES_CODEC.decode(row).crashes > 0).length;

async function assertQuarantined({ requester, work, lease }: Disturbed, rig: ProviderRig): Promise<void> {
  const { runs } = await restart({ rig });
  expect(runs).toEqual([]);
  const log = await attach(requester, lease);
  expect((await readReceipt(log)).result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'INTERNAL' });
  expect(await requester.ask(work.jobs)).toMatchObject({ kind: 'refused', refusal: { code: 'QUARANTINED' } });
}

async function assertCompletes({ requester, lease }: Disturbed, rig: ProviderRig): Promise<void> {
  await restart({ rig });
  expect((await readReceipt(await attach(requester, lease))).result.outcome).toEqual({ kind: 'completed' });
}

describe('a daemon that is killed while a job runs', () => {
  it('does not blame a job that came to another checkpoint each time', async () => {
    const scene = await standAt(5);
    serveModule(scene);
    let rig = await liveUntil(scene.rig, 15);
    for (const step of [25, 35, 45]) rig = await liveUntil(rig, step);
    await assertCompletes(scene, rig);
    // The first life came to none.
    expect(
      [...rig.database.rows('poison-jobs').values()].map((row) => JSON.parse(new TextDecoder().decode(row))),
    ).toEqual([expect.objectContaining({ crashes: 1 })]);
  });

  it('quarantines a job after the third time before its next checkpoint', async () => {
    const scene = await standAt(35);
    let { rig } = scene;
    for (let time = 0; time < 3; time += 1) rig = await liveUntil(rig, 35);
    await assertQuarantined(scene, rig);
  });

  it('takes checkpoints that were signed before for no progress', async () => {
    const scene = await standAt(35);
    let { rig } = scene;
    for (let time = 0; time < 3; time += 1) rig = await liveUntil(rig, 25, { disk: new MemoryDisk() });
    await assertQuarantined(scene, rig);
  });

  it('does not blame a job whose program was not begun again', async () => {
    const scene = await standAt(15);
    const { requester } = scene;
    requester.transport.handle('blob', async function* (_, { signal }) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      yield { kind: 'not-found' };
    });
    const blobs = scene.rig.blobs;
    let { rig } = scene;
    for (let time = 0; time < 4; time += 1) {
      const { next, runs } = await restart({ rig }, { options: { blobs: new HeapBlobStore() } });
      await until('the fetching', () => next.provider.status().attempts[0]?.phase === 'fetching');
      expect(runs).toEqual([]);
      rig = next;
    }
    expect(countJobs(rig)).toBe(0);
    const { next } = await restart({ rig }, { options: { blobs } });
    expect((await readReceipt(await attach(requester, scene.lease))).result.outcome).toEqual({ kind: 'completed' });
    expect(countJobs(next)).toBe(0);
  });

  it('counts jobs without checkpoints as before', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    requester.lease(await requester.prepare());
    await until('the run', () => rig.executor.held.length > 0);
    expect(countJobs((await restart({ rig })).next)).toBe(1);
  });
});

describe('an executor that crashes', () => {
  const CRASH = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'the child died' } as const;

  it('leaves receipt, chain and newest snapshot to the requester, after a restart of the daemon too', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10, outcome: CRASH }, { provider: SHARE_ALL });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await log.done;
    const newest = (await readCheckpoints(log.events)).at(-1)?.value;
    if (newest === undefined || newest.snapshot === null) throw new TypeError('no snapshot');
    const { blob, sizeBytes } = newest.snapshot;
    const lease = leaseIdOf(onlyLease(work));
    const assertLeft = async (holder: ProviderRig): Promise<void> => {
      const late = await attach(requester, lease);
      expect((await readReceipt(late)).result.outcome).toEqual(CRASH);
      expect((await readChain(late, work)).links.map(({ step }) => step)).toEqual([10, 20]);
      expect((await readCheckpoints(late.events)).map(({ value }) => value.step)).toEqual([0, 10, 20]);
      const read = { op: 'read', blob, offset: 0, maxBytes: 100_000 } as const;
      const bytes = await requester.transport.request(holder.identity.peer, 'blob', read);
      expect(bytes).toMatchObject({ kind: 'chunk', sizeBytes });
      const items = { op: 'items' as const, snapshot: blob, items: [0, 1] };
      expect(await requester.transport.request(holder.identity.peer, 'blob', items)).toMatchObject({ kind: 'items' });
    };
    expect(newest.step).toBe(20);
    await assertLeft(rig);
    const { next } = await restart({ rig });
    await assertLeft(next);
    await next.clock.advance(3_590_000);
    expect(next.snapshots?.find(blob)).toBeDefined();
  });

  it('is counted once, and whether the job came on does not matter', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10, outcome: CRASH }, { provider: SHARE_ALL });
    const requester = await rig.requester();
    const jobs = await requester.signJobs(requester.describeJob({ checkpoints: EVERY_TEN }));
    for (let time = 0; time < 3; time += 1) await requester.lease(await requester.prepare(jobs)).done;
    expect(await requester.ask(jobs)).toMatchObject({ kind: 'refused', refusal: { code: 'QUARANTINED' } });
  });
});
