import { describe, expect, it } from 'vitest';
import { JobId, type PeerKey, type UnixMs } from '../../../../src/domain/ids.ts';
import { JOB, type Job } from '../../../../src/domain/job.ts';
import { LEASE, type Lease } from '../../../../src/domain/lease.ts';
import type { JobRequest } from '../../../../src/domain/messages.ts';
import { OFFER } from '../../../../src/domain/offer.ts';
import { openSigned, packSigned, signObjects } from '../../../../src/proofs/signed-object.ts';
import { MAX_FOLLOWERS_PER_ATTEMPT } from '../../../../src/scheduler/provider/constants.ts';
import { findLeaseMismatch } from '../../../../src/scheduler/provider/leases/lease-checks.ts';
import { settle } from '../../../support/provider-clock.ts';
import {
  identityOf,
  NETWORK,
  PARAMETERS,
  ProviderRig,
  type TestRequester,
  termsOf,
} from '../../../support/provider-rig.ts';
import { wasmOf } from '../../../support/workload.ts';

async function start() {
  const rig = await ProviderRig.start();
  return { rig, requester: await rig.requester() };
}

/** Leases a job under an offer for other terms: what a requester that says one thing and does another would send. */
async function leaseChanged(requester: TestRequester, change: Partial<Job>): Promise<string | undefined> {
  const honest = requester.describeJob();
  const [job] = await requester.signJobs({ ...honest, ...change });
  if (job === undefined) throw new TypeError();
  const answer = await requester.requestOffer({ subject: job.id, terms: termsOf(honest) });
  if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
  const offer = await openSigned(OFFER, answer.offer);
  const leases = await requester.signLeases([job], offer, { commitReveal: false });
  const log = requester.lease({ jobs: [job], leases, offer });
  await log.done;
  return log.refusal;
}

const LATER = (time: UnixMs, ms: number) => (time + ms) as UnixMs;

describe('a lease', () => {
  it.each<[string, (lease: Lease, other: PeerKey) => Partial<Lease>]>([
    ['another network', () => ({ network: 'other' })],
    ['another requester', (_, other) => ({ requester: other })],
    ['another provider', (_, other) => ({ provider: other })],
    ['another price', () => ({ price: '1' })],
    ['a deadline after the job’s', (lease) => ({ deadlineMs: LATER(lease.deadlineMs, 1) })],
    ['another duration', (lease) => ({ durationMs: lease.durationMs + 1 })],
    ['another renewal', (lease) => ({ renewalMs: lease.renewalMs - 1 })],
    ['commit and reveal that was not offered', () => ({ commitReveal: true })],
    ['a replica that the job has not', () => ({ replica: 1 })],
    ['a time of issue long ago', (lease) => ({ issuedAtMs: LATER(lease.issuedAtMs, -36_000) })],
    ['a time of issue far ahead', (lease) => ({ issuedAtMs: LATER(lease.issuedAtMs, 36_000) })],
  ])('with %s is refused', async (_, change) => {
    const { rig, requester } = await start();
    const work = await requester.prepare();
    const honest = work.leases[0]?.value;
    if (honest === undefined) throw new TypeError();
    const other = (await identityOf(77)).peer;
    const leases = await signObjects(LEASE, [{ ...honest, ...change(honest, other) }], requester.identity);
    const log = requester.lease({ ...work, leases });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
    expect(rig.executor.held).toEqual([]);
    // The offer stands: an honest lease under it is still taken.
    const honestLog = requester.lease(work);
    await honestLog.done;
    expect(honestLog.kinds.at(-1)).toBe('receipt');
  });

  it.each<[string, Partial<Job>]>([
    ['more fuel', { resources: { memoryBytes: 65_536, fuel: 1_001, wallTimeMs: 60_000, outputBytes: 1, logBytes: 1 } }],
    ['more time', { resources: { memoryBytes: 65_536, fuel: 1, wallTimeMs: 60_001, outputBytes: 1, logBytes: 1 } }],
    ['another network', { network: 'other' }],
    ['a later deadline', { deadlineMs: 1_700_003_600_001 as UnixMs }],
    ['a higher priority', { priority: 'critical' }],
    ['replicas, without commit and reveal', { replication: { replicas: 2, quorum: 2, diversity: 'peer' } }],
  ])('of a job that asks for %s than its terms is refused', async (_, change) => {
    const { rig, requester } = await start();
    expect(await leaseChanged(requester, change)).toBe('LEASE_MISMATCH');
    expect(rig.executor.held).toEqual([]);
  });

  it('of a job under less than its terms is taken', async () => {
    const { requester } = await start();
    const resources = { memoryBytes: 65_536, fuel: 999, wallTimeMs: 1, outputBytes: 100, logBytes: 0 };
    expect(await leaseChanged(requester, { resources })).toBeUndefined();
  });

  it('signed by anybody but the peer of the connection is refused', async () => {
    const { rig, requester } = await start();
    const thief = await rig.requester(8);
    const work = await requester.prepare();
    const stolen = thief.lease(work);
    await stolen.done;
    expect(stolen.refusal).toBe('LEASE_MISMATCH');
    const leases = await thief.signLeases(work.jobs, work.offer);
    const half = thief.lease({ ...work, leases });
    await half.done;
    expect(half.refusal).toBe('LEASE_MISMATCH');
    expect(rig.executor.held).toEqual([]);
    expect(rig.metrics.sums.get('fogproof_provider_misbehaviour_total LEASE_MISMATCH')).toBe(2);
  });

  it('or job that names its requester but is signed by another key is refused', async () => {
    const { rig, requester } = await start();
    const forger = await identityOf(60);
    const work = await requester.prepare();
    const [lease, job] = [work.leases[0]?.value, work.jobs[0]?.value];
    if (lease === undefined || job === undefined) throw new TypeError();
    const byLease = requester.lease({ ...work, leases: await signObjects(LEASE, [lease], forger) });
    const byJob = requester.lease({ ...work, jobs: await signObjects(JOB, [job], forger) });
    await Promise.all([byLease.done, byJob.done]);
    expect([byLease.refusal, byJob.refusal]).toEqual(['LEASE_MISMATCH', 'LEASE_MISMATCH']);
    expect(rig.executor.held).toEqual([]);
  });

  it('under an offer made to somebody else is refused', async () => {
    const { rig, requester } = await start();
    const thief = await rig.requester(8);
    const { offer } = await requester.prepare();
    const jobs = await thief.signJobs(thief.describeJob());
    const log = thief.lease({ jobs, leases: await thief.signLeases(jobs, offer), offer });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('under an offer that somebody else asked for about the same job is refused', async () => {
    const { rig, requester } = await start();
    const other = await rig.requester(8);
    const jobs = await requester.signJobs(requester.describeJob());
    const offer = await other.takeOffer(jobs);
    const log = requester.lease({ jobs, offer, leases: await requester.signLeases(jobs, offer) });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('that names another job than the one offered on is refused', async () => {
    const { requester } = await start();
    const [other] = await requester.signJobs(requester.describeJob());
    const work = await requester.prepare(undefined, { job: JobId(other?.id ?? '') });
    const log = requester.lease(work);
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('of another kind of work than its terms is refused', async () => {
    const { rig, requester } = await start();
    const { jobs, leases, offer } = await requester.prepare();
    const [job, lease] = [jobs[0], leases[0]];
    if (job === undefined || lease === undefined) throw new TypeError();
    const terms = { ...offer.value.terms, workloadKind: 'command' as const };
    const context = {
      networkId: NETWORK,
      parameters: PARAMETERS,
      self: rig.identity.peer,
      requester: requester.peer,
      statements: new Map(),
      isBatch: false,
      snapshotKeys: new Map(),
      nowMs: rig.clock.nowMs(),
    };
    expect(findLeaseMismatch({ job, lease }, { ...context, offer })).toBeUndefined();
    const changed = { ...offer, value: { ...offer.value, terms } };
    expect(findLeaseMismatch({ job, lease }, { ...context, offer: changed })).toBe('the job is of another kind');
  });

  it('with another job than it names is refused', async () => {
    const { requester } = await start();
    const work = await requester.prepare();
    const jobs = await requester.signJobs(requester.describeJob());
    const log = requester.lease({ ...work, jobs });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('altered after it was signed is refused', async () => {
    const { requester } = await start();
    const work = await requester.prepare();
    const request = requester.leaseRequest(work);
    if (request.op !== 'lease' || request.leases.kind !== 'each') throw new TypeError();
    const [wire] = request.leases.items;
    if (wire?.kind !== 'envelope') throw new TypeError();
    const envelope = wire.envelope.slice();
    envelope[envelope.length - 70] = (envelope[envelope.length - 70] ?? 0) ^ 1;
    const altered: JobRequest = { ...request, leases: { kind: 'each', items: [{ ...wire, envelope }] } };
    const log = requester.send(altered);
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('under an expired offer is refused', async () => {
    const { rig, requester } = await start();
    const work = await requester.prepare();
    await rig.clock.advance(PARAMETERS.offerTtlMs);
    const log = requester.lease(work);
    await log.done;
    expect(log.refusal).toBe('OFFER_UNKNOWN');
  });

  it('is taken once for an offer: another one is refused', async () => {
    const { rig, requester } = await start();
    const work = await requester.prepare();
    const first = requester.lease(work);
    const second = requester.lease({ ...work, leases: await requester.signLeases(work.jobs, work.offer) });
    await Promise.all([first.done, second.done]);
    expect(new Set([first.refusal, second.refusal])).toEqual(new Set(['DUPLICATE_LEASE', undefined]));
    expect(rig.executor.held).toHaveLength(1);
  });

  it('sent again runs once and is answered the same', async () => {
    const { rig, requester } = await start();
    rig.executor.behaviour = () => undefined;
    const work = await requester.prepare();
    const first = requester.lease(work);
    const same = requester.lease(work);
    await settle();
    rig.executor.held[0]?.finish();
    await Promise.all([first.done, same.done]);
    const after = requester.lease(work);
    await after.done;
    expect(rig.executor.held).toHaveLength(1);
    expect(same.responses[0]).toEqual(first.responses[0]);
    expect(after.responses[0]).toEqual(first.responses[0]);
    expect(same.events).toEqual(first.events);
    expect(after.events).toEqual(first.events);
  });

  it('sent again and again has few answers open: each would hold its request', async () => {
    const { rig, requester } = await start();
    rig.executor.behaviour = () => undefined;
    const work = await requester.prepare();
    const answers = Array.from({ length: 3 * MAX_FOLLOWERS_PER_ATTEMPT }, () => requester.lease(work));
    await settle();
    let ended = 0;
    for (const answer of answers) void answer.done.then(() => (ended += 1));
    await settle();
    expect(ended).toBe(2 * MAX_FOLLOWERS_PER_ATTEMPT);
    const last = requester.lease(work);
    await settle();
    rig.executor.held[0]?.finish();
    await last.done;
    expect(last.kinds.at(-1)).toBe('receipt');
  });

  it('sent again by another peer is not answered', async () => {
    const { rig, requester } = await start();
    const work = await requester.prepare();
    await requester.lease(work).done;
    const stranger = await rig.requester(8);
    const log = stranger.lease(work);
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('of inputs that do not fit into memory is refused', async () => {
    const rig = await ProviderRig.start({ provider: { maxInputBytes: 1_000 } });
    const requester = await rig.requester();
    const input = { path: '/in', blob: wasmOf(requester.describeJob().workload).module, sizeBytes: 1_000 };
    const log = requester.lease(
      await requester.prepare(await requester.signJobs(requester.describeJob({ inputs: [input] }))),
    );
    await log.done;
    expect(log.refusal).toBe('RESOURCES_TOO_LARGE');
  });

  it('request without any lease is refused', async () => {
    const { requester } = await start();
    const nothing = packSigned([]);
    const log = requester.send({ op: 'lease', jobs: nothing, leases: nothing, inlineBlobs: [] });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });
});
