import { describe, expect, it } from 'vitest';
import { type Job, PRIORITIES, type Priority } from '../../../../../src/domain/job.ts';
import { OFFER } from '../../../../../src/domain/offer.ts';
import { RECEIPT } from '../../../../../src/domain/receipt.ts';
import { openSigned } from '../../../../../src/proofs/signed-object.ts';
import { LATE_START, RETRY_AFTER_MS, SERVICE_GUESS_MS } from '../../../../../src/scheduler/provider/constants.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../../src/scheduler/provider/options.ts';
import { settle } from '../../../../support/provider-clock.ts';
import type { HeldExecution } from '../../../../support/provider-executor.ts';
import {
  type AnswerLog,
  leaseIdOf,
  PARAMETERS,
  ProviderRig,
  type ProviderRigOptions,
  subjectOf,
  type TestRequester,
  termsOf,
} from '../../../../support/provider-rig.ts';

const QUEUE = JOB_PROVIDER_DEFAULTS.queue;

/** One slot, whose program runs until the test ends it. */
async function startBusy(options: ProviderRigOptions = {}) {
  const rig = await ProviderRig.start({ ...options, provider: { slots: 1, ...options.provider } });
  rig.executor.behaviour = () => undefined;
  const requester = await rig.requester();
  const running = requester.lease(await requester.prepare());
  await running.until(({ kinds }) => kinds.includes('running'));
  return { rig, requester, running };
}

async function askFor(requester: TestRequester, change: Partial<Job> = {}) {
  const answer = await requester.ask(await requester.signJobs(requester.describeJob(change)));
  return answer.kind === 'refused' ? answer.refusal : undefined;
}

async function lease(requester: TestRequester, change: Partial<Job> = {}): Promise<AnswerLog> {
  const jobs = await requester.signJobs(requester.describeJob(change));
  const log = requester.lease(await requester.prepare(jobs));
  return await log.until(({ responses }) => responses.length > 0);
}

async function outcomeOf(log: AnswerLog): Promise<unknown> {
  for (const { event } of log.events) {
    if (event.kind === 'receipt') return (await openSigned(RECEIPT, event.receipt)).value.result.outcome;
  }
  return undefined;
}

describe('a job that has to wait', () => {
  it('is offered with the time in which it is expected to start, is told that it queues, and runs in its turn', async () => {
    const { rig, requester, running } = await startBusy();
    const work = await requester.prepare();
    expect(work.offer.value.startsWithinMs).toBe(SERVICE_GUESS_MS);
    const waiting = requester.lease(work);
    await waiting.until(({ kinds }) => kinds.includes('queued'));
    expect(rig.provider.status()).toMatchObject({
      slots: { total: 1, reserved: 0, running: 1 },
      queue: { attempts: 1 },
    });
    rig.executor.behaviour = (execution) => execution.finish();
    rig.executor.held[0]?.finish();
    await Promise.all([running.done, waiting.done]);
    expect(waiting.kinds).toEqual(['queued', 'running', 'finished', 'receipt']);
    expect(rig.provider.status().queue).toEqual({ attempts: 0, expectedWaitMs: 0 });
  });

  it('keeps its lease alive while it waits, and has its wall time from its start', async () => {
    const patient = { ...PARAMETERS, leaseDurationMs: 4_000 };
    const { rig, requester } = await startBusy({ provider: { parameters: patient } });
    const waiting = await lease(requester, { resources: { ...requester.describeJob().resources, wallTimeMs: 2_000 } });
    for (let turn = 0; turn < 16; turn += 1) {
      rig.executor.held[0]?.sink.progress({ fuel: turn, step: turn, cpuTimeMs: turn });
      await rig.clock.advance(500);
    }
    expect(waiting.kinds.filter((kind) => kind === 'progress').length).toBeGreaterThanOrEqual(2);
    expect(await outcomeOf(waiting)).toBeUndefined();
    rig.executor.held[0]?.finish();
    await waiting.until(({ kinds }) => kinds.includes('running'));
    expect(rig.executor.held[1]?.task.resources.wallTimeMs).toBe(2_000);
  });

  it('is expected to wait as long as such jobs have taken', async () => {
    const { rig, requester } = await startBusy();
    await rig.clock.advance(3_000);
    rig.executor.held[0]?.finish();
    await settle();
    const busy = await lease(requester);
    await busy.until(({ kinds }) => kinds.includes('running'));
    expect((await requester.prepare()).offer.value.startsWithinMs).toBe(3_000);
    await rig.clock.advance(1_000);
    // Of the running one 2 s are left; the offer before this one has its place.
    expect((await requester.prepare()).offer.value.startsWithinMs).toBe(5_000);
  });

  it('is refused with the time to ask again once the wait is longer than is promised', async () => {
    const queue = { ...QUEUE, maxWaitMs: 2_500 };
    const { requester } = await startBusy({ provider: { queue } });
    expect(await askFor(requester)).toBeUndefined();
    expect(await askFor(requester)).toBeUndefined();
    const refusal = await askFor(requester);
    expect(refusal).toMatchObject({ code: 'AT_CAPACITY', retryAfterMs: 500 });
    expect(refusal?.detail).toContain('3000 ms, at most 2500 ms');
  });

  it.each([
    ['in all', { attempts: 2 }, 8],
    ['of one requester', { attemptsPerRequester: 2 }, 9],
    ['by the work that waits', { maxWorkMs: 1_500 }, 9],
  ])('is refused beyond the bound %s', async (_, change, lastSeed) => {
    const { rig, requester } = await startBusy({ provider: { queue: { ...QUEUE, ...change } } });
    expect(await askFor(requester)).toBeUndefined();
    expect(await askFor(requester)).toBeUndefined();
    const refusal = await askFor(await rig.requester(lastSeed));
    expect(refusal?.code).toBe('AT_CAPACITY');
    expect(refusal?.retryAfterMs).toBeGreaterThanOrEqual(RETRY_AFTER_MS.shortest);
    const other = await askFor(await rig.requester(7));
    expect(other === undefined).toBe(lastSeed === 9);
  });

  it('is refused if the wait leaves no time before its deadline', async () => {
    const { rig, requester } = await startBusy();
    const deadlineMs = rig.clock.nowMs() + SERVICE_GUESS_MS + 20;
    const refusal = await askFor(requester, { deadlineMs: deadlineMs as Job['deadlineMs'] });
    expect(refusal).toMatchObject({ code: 'DEADLINE_TOO_SOON' });
    expect(refusal?.detail).toContain('leaves 20 ms');
  });

  it('ends early once its deadline leaves no time to run', async () => {
    const { rig, requester } = await startBusy();
    const deadlineMs = (rig.clock.nowMs() + 3_000) as Job['deadlineMs'];
    const waiting = await lease(requester, { deadlineMs });
    for (let turn = 0; turn < 6; turn += 1) {
      rig.executor.held[0]?.sink.progress({ fuel: turn, step: turn, cpuTimeMs: turn });
      await rig.clock.advance(500);
    }
    expect(await outcomeOf(waiting)).toMatchObject({ kind: 'attempt-failed', code: 'LEASE_EXPIRED' });
    expect(rig.executor.held).toHaveLength(1);
  });

  it('is given back when it waits far longer than its offer said', async () => {
    const { rig, requester } = await startBusy();
    const waiting = await lease(requester);
    const limitMs = SERVICE_GUESS_MS * LATE_START.factor + LATE_START.graceMs + PARAMETERS.leaseDurationMs;
    for (let elapsedMs = 0; elapsedMs < limitMs; elapsedMs += 500) {
      expect(waiting.kinds).not.toContain('receipt');
      rig.executor.held[0]?.sink.progress({ fuel: elapsedMs, step: elapsedMs, cpuTimeMs: elapsedMs });
      await rig.clock.advance(500);
    }
    await rig.clock.advance(500);
    expect(await outcomeOf(waiting)).toMatchObject({ kind: 'attempt-failed', code: 'EXECUTOR_UNAVAILABLE' });
    expect(rig.provider.status()).toMatchObject({ queue: { attempts: 0 }, slots: { running: 1 } });
  });

  it('can be cancelled, and its place is free again', async () => {
    const { rig, requester } = await startBusy({ provider: { queue: { ...QUEUE, attempts: 1 } } });
    const work = await requester.prepare();
    const waiting = requester.lease(work);
    await waiting.until(({ kinds }) => kinds.includes('queued'));
    expect((await askFor(requester))?.code).toBe('AT_CAPACITY');
    await requester.sendOne({ op: 'cancel', leases: work.leases.map(leaseIdOf), reason: 'changed its mind' });
    await waiting.done;
    expect(await outcomeOf(waiting)).toMatchObject({ code: 'CANCELLED' });
    expect(await askFor(requester)).toBeUndefined();
    expect(rig.executor.held).toHaveLength(1);
  });

  it('pauses a requester too that leaves place after place in the queue untaken', async () => {
    const { rig } = await startBusy();
    const squatter = await rig.requester(8);
    let last = await askFor(squatter);
    for (let turn = 0; turn < 40 && last === undefined; turn += 1) {
      await rig.clock.advance(PARAMETERS.offerTtlMs);
      last = await askFor(squatter);
    }
    expect(last).toMatchObject({ code: 'RATE_LIMITED' });
    expect(last?.retryAfterMs).toBeGreaterThan(0);
  });
});

describe('slots', () => {
  it('go to another requester’s job between the jobs of a long batch', async () => {
    const { rig, requester, running } = await startBusy();
    rig.executor.behaviour = () => undefined;
    const jobs = await requester.signJobs(...Array.from({ length: 40 }, () => requester.describeJob()));
    const batch = requester.lease(await requester.prepare(jobs));
    await batch.until(({ responses }) => responses.length > 0);
    const stranger = await rig.requester(8);
    const one = await lease(stranger);
    const ended: HeldExecution[] = [];
    for (let turn = 0; turn < 3 && !one.kinds.includes('running'); turn += 1) {
      await rig.clock.advance(10);
      const execution = rig.executor.held.find((held) => !ended.includes(held));
      if (execution !== undefined) ended.push(execution);
      execution?.finish();
      await settle();
    }
    expect(one.kinds).toContain('running');
    batch.drop();
    running.drop();
  });

  it('go to the more urgent of two that wait', async () => {
    const { rig, running } = await startBusy();
    const [first, second] = [await rig.requester(7), await rig.requester(8)];
    const low = await lease(first, { priority: 'low' });
    const high = await lease(second, { priority: 'high' });
    rig.executor.held[0]?.finish();
    await running.done;
    await high.until(({ kinds }) => kinds.includes('running'));
    expect(low.kinds).not.toContain('running');
    low.drop();
    high.drop();
  });
});

describe('a priority', () => {
  const pricesPerHour = [{ capabilityClass: 'cpu' as const, price: '3600' }];

  it.each([
    ['low', '48'],
    ['normal', '60'],
    ['high', '90'],
    ['critical', '120'],
  ] as const)('%s is in the price', async (priority, price) => {
    const rig = await ProviderRig.start({ provider: { pricesPerHour } });
    const requester = await rig.requester();
    const [job] = await requester.signJobs(requester.describeJob({ priority, priceCeiling: price }));
    if (job === undefined) throw new TypeError();
    const answer = await requester.ask([job]);
    if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
    expect((await openSigned(OFFER, answer.offer)).value.price).toBe(price);
    const cheaper = await askFor(requester, { priority, priceCeiling: `${BigInt(price) - 1n}` });
    expect(cheaper?.code).toBe('PRICE_TOO_LOW');
  });

  it.each(PRIORITIES.flatMap((asked) => PRIORITIES.map((leased) => [asked, leased] as const)))(
    'of terms %s covers a job of at most that: %s',
    async (asked: Priority, leased: Priority) => {
      const rig = await ProviderRig.start();
      const requester = await rig.requester();
      const jobs = await requester.signJobs(requester.describeJob({ priority: leased }));
      const [job] = jobs;
      if (job === undefined) throw new TypeError();
      const terms = { ...termsOf(job.value), priority: asked };
      const answer = await requester.requestOffer({ subject: await subjectOf(job), terms });
      if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
      const offer = await openSigned(OFFER, answer.offer);
      const log = requester.lease({ jobs, offer, leases: await requester.signLeases(jobs, offer) });
      await log.done;
      const isCovered = PRIORITIES.indexOf(leased) <= PRIORITIES.indexOf(asked);
      expect(log.refusal).toBe(isCovered ? undefined : 'LEASE_MISMATCH');
    },
  );
});
