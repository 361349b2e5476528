import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../../../../src/domain/job.ts';
import {
  ATTEMPT_OVERHEAD_BYTES,
  BLOCKED_PATIENCE_MS,
  HOST_MEASURE_MS,
} from '../../../../../src/scheduler/provider/constants.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../../src/scheduler/provider/options.ts';
import { countFitting } from '../../../../../src/scheduler/provider/queue/host-gauge.ts';
import { FakeHostCapacity } from '../../../../support/fake-host-capacity.ts';
import { settle } from '../../../../support/provider-clock.ts';
import { ProviderRig, type TestRequester } from '../../../../support/provider-rig.ts';

const GIB = 2 ** 30;
const { reserveMemoryBytes, reserveDiskBytes } = JOB_PROVIDER_DEFAULTS.host;

async function start(slots = 4) {
  const host = new FakeHostCapacity();
  const rig = await ProviderRig.start({ host, provider: { slots } });
  rig.executor.behaviour = () => undefined;
  return { host, rig, requester: await rig.requester() };
}

function sized(requester: TestRequester, memoryBytes: number, outputBytes = 0): Job {
  const { resources } = requester.describeJob();
  return requester.describeJob({ resources: { ...resources, memoryBytes, outputBytes } });
}

async function ask(requester: TestRequester, job: Job) {
  return await requester.ask(await requester.signJobs(job));
}

async function lease(requester: TestRequester, job: Job) {
  const log = requester.lease(await requester.prepare(await requester.signJobs(job)));
  return await log.until(({ responses }) => responses.length > 0);
}

async function conditionOf(rig: ProviderRig, name: string) {
  return (await rig.provider.explainNoWork()).conditions.find((condition) => condition.name === name);
}

describe('a host that is measured', () => {
  it('runs no more at once than its memory less the reserve holds, whatever the slots', async () => {
    const { host, rig, requester } = await start();
    host.setMemory({ availableBytes: 2 * (GIB + ATTEMPT_OVERHEAD_BYTES) + reserveMemoryBytes });
    const logs = [];
    for (let index = 0; index < 3; index += 1) logs.push(await lease(requester, sized(requester, GIB)));
    await settle();
    expect(rig.executor.running).toBe(2);
    expect(rig.provider.status()).toMatchObject({ slots: { running: 2 }, queue: { attempts: 1 } });
    rig.executor.held[0]?.finish();
    await logs[2]?.until(({ kinds }) => kinds.includes('running'));
    expect(rig.executor.peak).toBe(2);
    for (const log of logs) log.drop();
  });

  it('counts what its children hold as theirs to use', async () => {
    const { host, requester } = await start();
    host.setMemory({ availableBytes: reserveMemoryBytes, childrenBytes: GIB + ATTEMPT_OVERHEAD_BYTES });
    expect((await ask(requester, sized(requester, GIB))).kind).toBe('offer');
    expect((await ask(requester, sized(requester, GIB + 1))).kind).toBe('refused');
  });

  it('refuses what it could not hold even alone, with the figures, and says so in why-no-work', async () => {
    const { host, rig, requester } = await start();
    host.setMemory({ availableBytes: reserveMemoryBytes });
    const answer = await ask(requester, sized(requester, GIB));
    expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'AT_CAPACITY' } });
    if (answer.kind !== 'refused') throw new TypeError();
    expect(answer.refusal.detail).toContain(`${GIB + ATTEMPT_OVERHEAD_BYTES} bytes of memory`);
    expect(answer.refusal.retryAfterMs).toBeGreaterThan(0);
    expect(await conditionOf(rig, 'memory')).toMatchObject({ isMet: false });
  });

  it('says so where nobody has asked for anything', async () => {
    const { host, rig } = await start();
    host.value = { ...host.value, diskFreeBytes: 0 };
    expect(await conditionOf(rig, 'disk')).toMatchObject({ isMet: false });
  });

  it('does the same with the disk for outputs', async () => {
    const { host, rig, requester } = await start();
    host.value = { ...host.value, diskFreeBytes: reserveDiskBytes + GIB };
    expect((await ask(requester, sized(requester, 65_536, GIB))).kind).toBe('offer');
    await rig.clock.advance(HOST_MEASURE_MS);
    host.value = { ...host.value, diskFreeBytes: reserveDiskBytes };
    const answer = await ask(requester, sized(requester, 65_536, GIB));
    expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'AT_CAPACITY' } });
    expect(await conditionOf(rig, 'disk')).toMatchObject({ isMet: false });
  });

  it.each([
    ['late', { loopDelayMs: JOB_PROVIDER_DEFAULTS.host.maxLoopDelayMs + 1 }],
    ['pressed', { cpuPressure: 101 }],
  ])('makes no offers while it is %s, and does so again afterwards', async (_, change) => {
    const { host, rig, requester } = await start();
    const calm = host.value;
    host.value = { ...calm, ...change };
    const answer = await ask(requester, requester.describeJob());
    expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'AT_CAPACITY', retryAfterMs: 2_000 } });
    expect(await conditionOf(rig, 'load')).toMatchObject({ isMet: false });
    host.value = calm;
    await rig.clock.advance(HOST_MEASURE_MS);
    expect((await ask(requester, requester.describeJob())).kind).toBe('offer');
  });

  it('is measured no more than once in a while, and its last measure stands if it cannot be', async () => {
    const { host, rig, requester } = await start();
    for (let index = 0; index < 5; index += 1) await ask(requester, requester.describeJob());
    expect(host.measured).toBe(1);
    host.error = new RangeError('no /proc');
    await rig.clock.advance(HOST_MEASURE_MS);
    expect((await ask(requester, requester.describeJob())).kind).toBe('offer');
    expect(host.measured).toBe(2);
  });

  it('starts what fits before what does not, for a while; then keeps room for it', async () => {
    const { host, rig, requester } = await start();
    const small = ATTEMPT_OVERHEAD_BYTES;
    const unit = small + ATTEMPT_OVERHEAD_BYTES;
    host.setMemory({ availableBytes: 4 * unit + reserveMemoryBytes });
    const [one, two] = [await rig.requester(7), await rig.requester(8)];
    const logs = [await lease(one, sized(one, small)), await lease(one, sized(one, small))];
    await settle();
    const big = await lease(requester, sized(requester, 3 * unit));
    logs.push(await lease(two, sized(two, small)));
    await settle();
    expect(rig.executor.running).toBe(3);
    for (let elapsedMs = 0; elapsedMs <= BLOCKED_PATIENCE_MS; elapsedMs += 500) {
      for (const held of rig.executor.held) held.sink.progress({ fuel: elapsedMs, step: 0, cpuTimeMs: 0 });
      await rig.clock.advance(500);
    }
    logs.push(await lease(two, sized(two, small)));
    await settle();
    expect(rig.executor.running).toBe(3);
    for (const held of rig.executor.held.slice(0, 3)) {
      expect(big.kinds).not.toContain('running');
      held.finish();
      await settle();
    }
    await big.until(({ kinds }) => kinds.includes('running'));
    for (const log of logs) log.drop();
    big.drop();
  });
});

describe('what fits', () => {
  it('never sums up to more than there is', () => {
    const amount = fc.record({ memoryBytes: fc.nat(), diskBytes: fc.nat() });
    const one = fc.record({
      memoryBytes: fc.integer({ min: 1, max: 1_000_000 }),
      diskBytes: fc.nat({ max: 1_000_000 }),
    });
    fc.assert(
      fc.property(amount, amount, one, (room, held, each) => {
        const times = countFitting(room, held, each);
        expect(times).toBeGreaterThanOrEqual(0);
        if (times === 0) return;
        expect(held.memoryBytes + times * each.memoryBytes).toBeLessThanOrEqual(room.memoryBytes);
        expect(each.diskBytes === 0 || held.diskBytes + times * each.diskBytes <= room.diskBytes).toBe(true);
      }),
    );
  });
});
