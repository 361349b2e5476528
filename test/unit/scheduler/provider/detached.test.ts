import { describe, expect, it } from 'vitest';
import { LEASE_ACCEPTANCE, PROGRESS } from '../../../../src/domain/lease.ts';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { openMany, openSigned } from '../../../../src/proofs/signed-object.ts';
import { MAX_BUFFERED_EVENTS } from '../../../../src/scheduler/provider/constants.ts';
import {
  type AnswerLog,
  type LeasedWork,
  leaseIdOf,
  ProviderRig,
  type ProviderRigOptions,
  type TestRequester,
} from '../../../support/provider-rig.ts';

const HOUR_MS = 3_600_000;

/** A program that runs until it is told to end, for a requester that has gone. */
async function runDetached(options: ProviderRigOptions = {}) {
  const rig = await ProviderRig.start(options);
  rig.executor.behaviour = () => undefined;
  const requester = await rig.requester();
  const work = await requester.prepare();
  const log = requester.lease(work);
  await log.until(() => rig.executor.held.length > 0);
  log.drop();
  return { rig, requester, work };
}

/** Time passes, and the program shows life each second. */
async function live(rig: ProviderRig, seconds: number): Promise<void> {
  const [execution] = rig.executor.held;
  for (let second = 1; second <= seconds; second += 1) {
    execution?.sink.progress({ fuel: second, step: second, cpuTimeMs: second });
    await rig.clock.advance(1_000);
  }
}

async function collect(requester: TestRequester, { leases }: LeasedWork): Promise<AnswerLog> {
  const log = requester.send({
    op: 'attach',
    leases: leases.map((lease) => ({ lease: leaseIdOf(lease), fromSequence: 0 })),
  });
  await log.done;
  return log;
}

/** The lease's course as a late receipt is judged by it. */
async function courseOf(log: AnswerLog) {
  const last = log.events.at(-1)?.event;
  const wires = log.events.flatMap(({ event }) => (event.kind === 'progress' ? [event.progress] : []));
  const [progress, receipt] = [wires.at(-1), last?.kind === 'receipt' ? last.receipt : undefined];
  if (progress === undefined || receipt === undefined) throw new TypeError(`there is ${log.kinds.join()}`);
  return {
    progress: (await openSigned(PROGRESS, progress)).value,
    receipt: (await openSigned(RECEIPT, receipt)).value,
  };
}

describe('a provider whose requester is away', () => {
  it('goes on beyond the term of the lease, which its own signed progress renews', async () => {
    const { rig, requester, work } = await runDetached();
    await live(rig, 40);
    expect(rig.provider.status().attempts[0]?.phase).toBe('running');
    rig.executor.held[0]?.finish();
    await rig.clock.advance(100);
    const { progress, receipt } = await courseOf(await collect(requester, work));
    expect(receipt.result.outcome.kind).toBe('completed');
    const [lease] = work.leases;
    const termMs = lease?.value.durationMs ?? 0;
    expect(receipt.finishedAtMs - (lease?.value.issuedAtMs ?? 0)).toBeGreaterThan(9 * termMs);
    expect(receipt.finishedAtMs - progress.atMs).toBeLessThan(termMs);
    expect(progress.sequence).toBeGreaterThanOrEqual(10);
  });

  it('still ends at the deadline of the job', async () => {
    const { rig, requester } = await runDetached();
    const work = await requester.prepare(
      await requester.signJobs(requester.describeJob({ deadlineMs: (rig.clock.nowMs() + 6_000) as never })),
    );
    const log = requester.lease(work);
    await log.until(() => rig.executor.held.length > 1);
    log.drop();
    await live(rig, 8);
    const last = (await collect(requester, work)).events.at(-1)?.event;
    const receipt = last?.kind === 'receipt' ? await openSigned(RECEIPT, last.receipt) : undefined;
    expect(receipt?.value.result.outcome).toMatchObject({ code: 'LEASE_EXPIRED' });
  });

  it('says in its acceptance how long it keeps a result, and keeps it that long whatever is set later', async () => {
    const { rig, requester, work } = await runDetached({ provider: { resultsKeptForMs: 2 * HOUR_MS } });
    const again = requester.send(requester.leaseRequest(work));
    const leased = (await again.until((log) => log.find('leased') !== undefined)).find('leased');
    again.drop();
    const [acceptance] = leased === undefined ? [] : await openMany(LEASE_ACCEPTANCE, leased.acceptances);
    expect(acceptance?.value.resultsKeptForMs).toBe(2 * HOUR_MS);
    rig.executor.held[0]?.finish();
    await rig.clock.advance(100);
    const { clock, switchboard } = rig;
    const database = rig.database.clone();
    const next = await ProviderRig.start({ database, clock, switchboard, provider: { resultsKeptForMs: 1_000 } });
    await next.clock.advance(HOUR_MS);
    expect((await collect(requester, work)).kinds.at(-1)).toBe('receipt');
    await next.clock.advance(HOUR_MS);
    expect((await collect(requester, work)).find('unknown-lease')).toBeDefined();
  });

  it('tells the last progress with the receipt after a restart, when its events are gone', async () => {
    const { rig, requester, work } = await runDetached();
    await live(rig, 12);
    rig.executor.held[0]?.finish();
    await rig.clock.advance(100);
    const { clock, switchboard } = rig;
    await ProviderRig.start({ database: rig.database.clone(), clock, switchboard });
    const log = await collect(requester, work);
    const { progress, receipt } = await courseOf(log);
    expect(receipt.finishedAtMs - progress.atMs).toBeLessThan(4_000);
    expect(new Set(log.events.map(({ sequence }) => sequence)).size).toBe(log.events.length);
  });

  it('keeps the last progress among its events, however much the program says after it', async () => {
    const { rig, requester, work } = await runDetached();
    await live(rig, 6);
    const [execution] = rig.executor.held;
    for (let line = 0; line < 2 * MAX_BUFFERED_EVENTS; line += 1) execution?.sink.log('stdout', `${line}`, line + 1);
    execution?.finish();
    await rig.clock.advance(100);
    await expect(courseOf(await collect(requester, work))).resolves.toBeDefined();
  });
});
