import { describe, expect, it } from 'vitest';
import { type LeaseId, OfferId } from '../../../../src/domain/ids.ts';
import { OFFER } from '../../../../src/domain/offer.ts';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { openMany, openSigned } from '../../../../src/proofs/signed-object.ts';
import { RECEIPT_GATHER_MS } from '../../../../src/scheduler/provider/constants.ts';
import { settle } from '../../../support/provider-clock.ts';
import {
  type AnswerLog,
  leaseIdOf,
  PARAMETERS,
  ProviderRig,
  subjectOf,
  type TestRequester,
  termsOf,
} from '../../../support/provider-rig.ts';

async function prepareBatch(requester: TestRequester, size: number) {
  const jobs = Array.from({ length: size }, (_, index) => requester.describeJob({ name: `job ${index}` }));
  return await requester.prepare(await requester.signJobs(...jobs));
}

async function receiptsOf(rig: ProviderRig, log: AnswerLog) {
  const groups = log.responses.flatMap((response) => (response.kind === 'receipts' ? [response.receipts] : []));
  const opened = await Promise.all(groups.map((group) => openMany(RECEIPT, group, rig.identity.peer)));
  return { groups, receipts: opened.flat() };
}

describe('a batch', () => {
  it('runs in as many lanes as there are slots, and its receipts are signed together', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 300);
    const log = requester.lease(work);
    await rig.clock.advance(20);
    await log.done;
    const { groups, receipts } = await receiptsOf(rig, log);
    expect(new Set(receipts.map(({ value }) => value.lease))).toEqual(new Set(work.leases.map(({ id }) => id)));
    expect(receipts).toHaveLength(300);
    expect(groups.length).toBeLessThanOrEqual(8);
    expect(groups.every((group) => group.kind === 'batch')).toBe(true);
    expect(log.kinds).toEqual([]);
    expect(rig.executor.peak).toBe(2);
    const inline = log.responses.flatMap((response) => (response.kind === 'receipts' ? response.inlineBlobs : []));
    expect(inline).toHaveLength(groups.length);
    expect(rig.provider.status()).toMatchObject({ completed: 300, slots: { reserved: 0, running: 0 } });
  });

  it('journals leases and receipts in groups', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 300);
    const sizes: number[] = [];
    rig.database.onWrite = (operations) => sizes.push(operations.length);
    const log = requester.lease(work);
    await rig.clock.advance(20);
    await log.done;
    // The leases, and what they count for towards the quota of their requester.
    expect(sizes[0]).toBe(300 + 1);
    expect(sizes.length).toBeLessThanOrEqual(9);
  });

  it('takes no more leases than were offered', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const jobs = await requester.signJobs(...Array.from({ length: 3 }, () => requester.describeJob()));
    const [first] = jobs;
    if (first === undefined) throw new TypeError();
    const terms = termsOf(first.value);
    const answer = await requester.requestOffer({ subject: await subjectOf(first), terms, attempts: 2 });
    if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
    const offer = await openSigned(OFFER, answer.offer);
    const log = requester.lease({ jobs, offer, leases: await requester.signLeases(jobs, offer) });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('does not take jobs that its statement does not sign', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 3);
    const others = await requester.signJobs(requester.describeJob(), requester.describeJob(), requester.describeJob());
    const log = requester.lease({ ...work, jobs: others, leases: await requester.signLeases(others, work.offer) });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('takes leases of one offer only', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 2);
    const [first, second] = work.jobs;
    if (first === undefined || second === undefined) throw new TypeError();
    const other = OfferId((await requester.signJobs(requester.describeJob()))[0]?.id ?? '');
    const leases = [
      ...(await requester.signLeases([first], work.offer)),
      ...(await requester.signLeases([second], work.offer, { offer: other })),
    ];
    const log = requester.lease({ ...work, leases });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('does not lease one job twice', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 2);
    const [job] = work.jobs;
    if (job === undefined) throw new TypeError();
    const log = requester.lease({ ...work, leases: await requester.signLeases([job, job], work.offer) });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('gives each attempt’s receipt to a requester that comes back', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 20);
    const log = requester.lease(work);
    await log.until(({ responses }) => responses.length > 0);
    log.drop();
    await rig.clock.advance(20);
    const leases = work.leases.map((lease) => ({ lease: leaseIdOf(lease), fromSequence: 0 }));
    const again = requester.send({ op: 'attach', leases });
    await again.done;
    expect(again.kinds).toEqual(Array.from({ length: 20 }, () => 'receipt'));
    expect(new Set(again.events.map(({ lease }) => lease))).toEqual(new Set(leases.map(({ lease }) => lease)));
  });

  it('renews the leases of jobs that wait, with one signature for all', async () => {
    const rig = await ProviderRig.start({ provider: { slots: 1 } });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const log = requester.lease(await prepareBatch(requester, 5));
    await log.until(({ responses }) => responses.length > 0);
    for (let beat = 0; beat < 24; beat += 1) {
      rig.executor.held[0]?.sink.progress({ fuel: beat, step: beat, cpuTimeMs: beat });
      await rig.clock.advance(250);
    }
    expect(rig.provider.status().attempts.map(({ phase }) => phase)).toEqual(['running', ...Array(4).fill('queued')]);
    const renewed = new Set(log.events.filter(({ event }) => event.kind === 'progress').map(({ lease }) => lease));
    expect(renewed.size).toBe(5);
    rig.executor.behaviour = (execution) => execution.finish();
    rig.executor.held[0]?.finish();
    await rig.clock.advance(20);
    await log.done;
    expect((await receiptsOf(rig, log)).receipts).toHaveLength(5);
  });

  it('ends cancelled jobs that still wait at once, and runs the others', async () => {
    const rig = await ProviderRig.start({ provider: { slots: 1 } });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 4);
    const log = requester.lease(work);
    await log.until(({ responses }) => responses.length > 0);
    const cancelled = work.leases.slice(1, 3).map(leaseIdOf);
    await requester.sendOne({ op: 'cancel', leases: cancelled, reason: 'enough' });
    await rig.clock.advance(RECEIPT_GATHER_MS);
    const early = (await receiptsOf(rig, log)).receipts;
    expect(new Set(early.map(({ value }) => value.lease))).toEqual(new Set(cancelled));
    rig.executor.behaviour = (execution) => execution.finish();
    rig.executor.held[0]?.finish();
    await rig.clock.advance(RECEIPT_GATHER_MS);
    await log.done;
    const codes = (await receiptsOf(rig, log)).receipts.map(({ value }) => value.result.outcome.kind);
    expect(codes.sort()).toEqual(['attempt-failed', 'attempt-failed', 'completed', 'completed']);
    expect(rig.executor.held).toHaveLength(2);
  });

  it('may wait behind another, and is told how long', async () => {
    const rig = await ProviderRig.start();
    rig.executor.behaviour = () => undefined;
    const [requester, stranger] = [await rig.requester(9), await rig.requester(8)];
    const first = requester.lease(await prepareBatch(requester, 4));
    await first.until(({ responses }) => responses.length > 0);
    const next = await prepareBatch(requester, 4);
    expect(next.offer.value.startsWithinMs).toBeGreaterThan(0);
    expect((await prepareBatch(stranger, 4)).offer.value.startsWithinMs).toBeGreaterThan(0);
    const second = requester.lease(next);
    await second.until(({ responses }) => responses.length > 0);
    expect(rig.executor.running).toBe(2);
    rig.executor.behaviour = (execution) => execution.finish();
    for (const execution of rig.executor.held) execution.finish();
    await rig.clock.advance(20);
    await Promise.all([first.done, second.done]);
    expect(rig.executor.peak).toBe(2);
    expect(rig.provider.status()).toMatchObject({ completed: 8, slots: { reserved: 0, running: 0 } });
  });

  it('that waits takes the slots of offers that expire untaken', async () => {
    const rig = await ProviderRig.start({ provider: { slots: 1 } });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const first = requester.lease(await prepareBatch(requester, 2));
    await first.until(({ responses }) => responses.length > 0);
    const next = await prepareBatch(requester, 2);
    rig.executor.behaviour = (execution) => execution.finish();
    rig.executor.held[0]?.finish();
    await rig.clock.advance(20);
    await first.done;
    const [single] = await requester.signJobs(requester.describeJob());
    if (single === undefined) throw new TypeError();
    expect((await requester.ask([single])).kind).toBe('offer');
    const second = requester.lease(next);
    await second.until(({ responses }) => responses.length > 0);
    expect(rig.executor.held).toHaveLength(2);
    await rig.clock.advance(PARAMETERS.offerTtlMs + 500);
    await second.done;
    expect(rig.executor.held).toHaveLength(4);
  });

  it('tells what its jobs log before their receipts', async () => {
    const rig = await ProviderRig.start();
    rig.executor.behaviour = (execution) => {
      execution.sink.log('stdout', 'hello', 1);
      execution.finish();
    };
    const requester = await rig.requester();
    const work = await prepareBatch(requester, 10);
    const log = requester.lease(work);
    await rig.clock.advance(60);
    await log.done;
    const heard = new Map<LeaseId, string[]>();
    for (const response of log.responses) {
      if (response.kind === 'events') {
        for (const { lease, event } of response.events) heard.set(lease, [...(heard.get(lease) ?? []), event.kind]);
      }
    }
    expect([...heard.values()]).toEqual(Array.from({ length: 10 }, () => ['phase', 'log', 'phase']));
    expect(log.responses.at(-1)?.kind).toBe('receipts');
    await settle();
  });
});
