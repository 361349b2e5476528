import { describe, expect, it } from 'vitest';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { openSigned } from '../../../../src/proofs/signed-object.ts';
import { LEASE_RECORD_CODEC } from '../../../../src/scheduler/provider/leases/lease-record.ts';
import { StorageError } from '../../../../src/storage/errors.ts';
import { settle } from '../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import { type AnswerLog, blobIdOf, leaseIdOf, ProviderRig, type TestRequester } from '../../../support/provider-rig.ts';

const CRASH = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'the child died' } as const;

async function outcomeOf(log: AnswerLog) {
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'receipt') throw new TypeError(`the last event is ${last?.kind}`);
  return (await openSigned(RECEIPT, last.receipt)).value.result.outcome;
}

/** As when the process is killed: nothing is ended, only what is on disk goes on. */
async function restart(rig: ProviderRig, options: { readonly resultsKeptForMs?: number } = {}): Promise<ProviderRig> {
  const { database, clock, switchboard } = rig;
  return await ProviderRig.start({ database: database.clone(), clock, switchboard, provider: options });
}

async function attach(requester: TestRequester, lease: Parameters<typeof leaseIdOf>[0], fromSequence = 0) {
  const log = requester.send({ op: 'attach', leases: [{ lease: leaseIdOf(lease), fromSequence }] });
  await log.done;
  return log;
}

async function leaseHeld() {
  const rig = await ProviderRig.start();
  rig.executor.behaviour = () => undefined;
  const requester = await rig.requester();
  const work = await requester.prepare();
  const log = requester.lease(work);
  await log.until(() => rig.executor.held.length > 0);
  const [lease] = work.leases;
  if (lease === undefined) throw new TypeError();
  return { rig, requester, work, lease };
}

describe('a restart', () => {
  it('ends what was live with an honest receipt, above what its requester has heard, and frees the slots', async () => {
    const { rig, requester, lease } = await leaseHeld();
    const next = await restart(rig);
    expect(next.provider.status()).toMatchObject({ attempts: [], slots: { reserved: 0, running: 0 } });
    const log = await attach(requester, lease, 41);
    expect(log.events.map(({ sequence }) => sequence)).toEqual([42]);
    expect(await outcomeOf(log)).toEqual({
      kind: 'attempt-failed',
      code: 'INTERNAL',
      detail: 'provider restarted while the attempt was live',
    });
    expect(next.executor.held).toEqual([]);
  });

  it('tells of the last progress those who have not heard it, and nobody twice', async () => {
    const { rig, requester, lease } = await leaseHeld();
    for (let beat = 1; beat <= 8; beat += 1) {
      rig.executor.held[0]?.sink.progress({ fuel: beat, step: beat, cpuTimeMs: beat });
      await rig.clock.advance(250);
    }
    rig.executor.held[0]?.finish();
    const told = await attach(requester, lease);
    const heard = told.events.findLast(({ event }) => event.kind === 'progress')?.sequence ?? 0;
    expect(heard).toBeGreaterThan(0);
    await restart(rig);
    expect((await attach(requester, lease, heard - 1)).kinds).toEqual(['progress', 'receipt']);
    expect((await attach(requester, lease, heard)).kinds).toEqual(['receipt']);
  });

  it('never runs a lease again that it had', async () => {
    const { rig, requester, work } = await leaseHeld();
    const next = await restart(rig);
    const log = requester.lease(work);
    await log.done;
    expect(log.find('leased')).toBeDefined();
    expect(await outcomeOf(log)).toMatchObject({ code: 'INTERNAL' });
    expect(next.executor.held).toEqual([]);
  });

  it('does not know offers that were made before', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare();
    await restart(rig);
    const log = requester.lease(work);
    await log.done;
    expect(log.refusal).toBe('OFFER_UNKNOWN');
  });

  it('keeps results for their requester, and who may read the outputs', async () => {
    const rig = await ProviderRig.start();
    const bytes = new Uint8Array(100_000).fill(9);
    rig.executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/big', bytes }] });
    const requester = await rig.requester();
    const work = await requester.prepare();
    await requester.lease(work).done;
    const next = await restart(rig);
    await next.blobs.put(bytes);
    expect(next.blobs.pinned).toEqual([blobIdOf(bytes)]);
    const [lease] = work.leases;
    if (lease === undefined) throw new TypeError();
    expect(await outcomeOf(await attach(requester, lease))).toEqual({ kind: 'completed' });
    const read = { op: 'read' as const, blob: blobIdOf(bytes), offset: 0, maxBytes: 10 };
    expect(await requester.transport.request(next.identity.peer, 'blob', read)).toMatchObject({ kind: 'chunk' });
  });

  it('drops results when their time is over', async () => {
    const rig = await ProviderRig.start({ provider: { resultsKeptForMs: 60_000 } });
    const requester = await rig.requester();
    const work = await requester.prepare();
    await requester.lease(work).done;
    const [lease] = work.leases;
    if (lease === undefined) throw new TypeError();
    await rig.clock.advance(59_000);
    expect((await attach(requester, lease)).kinds.at(-1)).toBe('receipt');
    const next = await restart(rig, { resultsKeptForMs: 60_000 });
    await next.clock.advance(31_000);
    expect((await attach(requester, lease)).find('unknown-lease')).toBeDefined();
    expect(next.database.rows('leases').size).toBe(0);
  });

  it('is not needed to forget what the requester closes', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const stranger = await rig.requester(8);
    const work = await requester.prepare();
    await requester.lease(work).done;
    const leases = work.leases.map(leaseIdOf);
    await stranger.sendOne({ op: 'close', leases });
    expect(rig.database.rows('leases').size).toBe(1);
    await requester.sendOne({ op: 'close', leases });
    expect(rig.database.rows('leases').size).toBe(0);
  });
});

describe('stopping', () => {
  it('ends what runs as failed and tells its requester', async () => {
    const { rig, requester, lease } = await leaseHeld();
    const log = requester.send({ op: 'attach', leases: [{ lease: leaseIdOf(lease), fromSequence: 0 }] });
    await settle();
    await rig.provider.stop();
    await log.done;
    expect(await outcomeOf(log)).toMatchObject({ code: 'INTERNAL', detail: 'the provider is stopping' });
    expect(rig.executor.running).toBe(0);
    expect(rig.clock.pending).toBe(0);
    await rig.provider.stop();
  });
});

describe('a journal that takes nothing for a while', () => {
  async function endUnwritten() {
    const scene = await leaseHeld();
    const { rig, requester, lease } = scene;
    rig.database.onWrite = () => {
      throw new StorageError({ code: 'STORAGE_FULL', path: 'db' });
    };
    const log = requester.send({ op: 'attach', leases: [{ lease: leaseIdOf(lease), fromSequence: 0 }] });
    rig.executor.held[0]?.finish();
    await log.done;
    expect(await outcomeOf(log)).toMatchObject({ code: 'INTERNAL', detail: 'the provider could not store the result' });
    rig.database.onWrite = undefined;
    return { ...scene, told: log.events.at(-1)?.event };
  }

  const readRecord = (rig: ProviderRig, lease: Parameters<typeof leaseIdOf>[0]) => {
    return LEASE_RECORD_CODEC.decode(rig.database.rows('leases').get(leaseIdOf(lease)) ?? new Uint8Array());
  };

  it('has when the provider has stopped what its requester was told', async () => {
    const { rig, lease, told } = await endUnwritten();
    expect(readRecord(rig, lease).phase).toBe('running');
    await rig.provider.stop();
    expect(told).toMatchObject({ kind: 'receipt', receipt: readRecord(rig, lease).receipt });
    expect(readRecord(rig, lease).phase).toBe('ended');
  });

  it('has it as soon as it takes something again', async () => {
    const { rig, requester, lease } = await endUnwritten();
    const log = requester.lease(await requester.prepare());
    await log.until(() => rig.executor.held.length > 1);
    rig.executor.held[1]?.finish();
    await log.done;
    await settle();
    expect(readRecord(rig, lease).phase).toBe('ended');
  });
});

describe('a job that crashes its executor', () => {
  async function crash(
    rig: ProviderRig,
    requester: TestRequester,
    jobs: Awaited<ReturnType<TestRequester['signJobs']>>,
  ) {
    rig.executor.behaviour = (execution) => execution.finish({ outcome: CRASH, outputs: [] });
    const log = requester.lease(await requester.prepare(jobs));
    await log.done;
    expect(await outcomeOf(log)).toEqual(CRASH);
  }

  it('is quarantined after the third time, across restarts, and other jobs are not', async () => {
    let rig = await ProviderRig.start();
    const requester = await rig.requester();
    const jobs = await requester.signJobs(requester.describeJob());
    for (let time = 0; time < 3; time += 1) {
      await crash(rig, requester, jobs);
      rig = await restart(rig);
    }
    expect(await requester.ask(jobs)).toMatchObject({
      kind: 'refused',
      refusal: { code: 'QUARANTINED', detail: 'it crashed its executor 3 times' },
    });
    expect((await requester.ask(await requester.signJobs(requester.describeJob()))).kind).toBe('offer');
  });

  it('is refused as part of a batch too', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const job = requester.describeJob();
    for (let time = 0; time < 3; time += 1) await crash(rig, requester, await requester.signJobs(job));
    const log = requester.lease(await requester.prepare(await requester.signJobs(job, requester.describeJob())));
    await log.done;
    expect(log.refusal).toBe('QUARANTINED');
  });

  it('or takes the daemon down while it runs is counted the same', async () => {
    const { rig, requester, work } = await leaseHeld();
    let next = rig;
    for (let time = 0; time < 3; time += 1) {
      next = await restart(next);
      next.executor.behaviour = () => undefined;
      if (time === 2) break;
      const log = requester.lease(await requester.prepare(work.jobs));
      await log.until(() => next.executor.held.length > 0);
    }
    expect(await requester.ask(work.jobs)).toMatchObject({ kind: 'refused', refusal: { code: 'QUARANTINED' } });
  });

  it('is counted on disk before its requester hears of it', async () => {
    const rig = await ProviderRig.start({ executor: new ScriptedExecutor() });
    const requester = await rig.requester();
    const seen: boolean[] = [];
    const jobs = await requester.signJobs(requester.describeJob());
    rig.executor.behaviour = (execution) => execution.finish({ outcome: CRASH, outputs: [] });
    const log = requester.lease(await requester.prepare(jobs));
    rig.database.onWrite = (operations, options) => {
      if (operations.some(({ namespace }) => namespace === 'poison-jobs')) {
        seen.push(options.durable === true && !log.kinds.includes('receipt'));
      }
    };
    await log.done;
    expect(seen).toEqual([true]);
  });
});

describe('the record of a lease that is damaged', () => {
  it('keeps the daemon from nothing else, stays where it is, and its lease is not run again', async () => {
    const { rig, requester, work } = await leaseHeld();
    const [lease] = [...rig.database.rows('leases').keys()];
    const other = requester.lease(await requester.prepare(await requester.signJobs(requester.describeJob())));
    await other.until(() => rig.executor.held.length > 1);
    rig.database.damaged.add(`leases/${lease}`);
    const next = await restart(rig);
    expect(next.database.rows('leases').has(String(lease))).toBe(true);
    expect([...next.database.rows('poison-jobs').keys()]).toHaveLength(1);
    await expect(requester.lease(work).done).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    expect(next.executor.held).toEqual([]);
  });
});
