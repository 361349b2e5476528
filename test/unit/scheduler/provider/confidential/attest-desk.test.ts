import { describe, expect, it } from 'vitest';
import { type AttestResponse, RELEASE, type Release } from '../../../../../src/domain/confidential.ts';
import { JobId, LeaseId, type PeerKey } from '../../../../../src/domain/ids.ts';
import { raceSignal } from '../../../../../src/lib/abort.ts';
import { signObject } from '../../../../../src/proofs/signed-object.ts';
import { RELEASE_TIMEOUT_MS } from '../../../../../src/scheduler/provider/confidential/constants.ts';
import { TeeError } from '../../../../../src/tee/errors.ts';
import { type ConfidentialLease, startConfidential } from '../../../../support/confidential-work.ts';
import {
  blobIdOf,
  identityOf,
  leaseIdOf,
  PARAMETERS,
  type ProviderRigOptions,
} from '../../../../support/provider-rig.ts';

async function lease(options: ProviderRigOptions = {}) {
  const scene = await startConfidential(options);
  scene.rig.executor.behaviour = () => undefined;
  const job = await scene.side.sealJob([{ path: '/in', bytes: new Uint8Array([1, 2, 3]) }]);
  return { ...scene, job, leased: await scene.side.lease(job) };
}

function refusalOf(answer: AttestResponse) {
  return answer.kind === 'refused' ? answer.refusal : undefined;
}

describe('a challenge', () => {
  it('is answered by evidence of keys that were made for this attempt', async () => {
    const { leased, rig } = await lease();
    const judgement = await leased.judge(await leased.showEvidence());
    expect(judgement.checks.filter(({ verdict }) => verdict !== 'passed')).toEqual([]);
    expect(judgement.verdict).toBe('valid');
    expect(judgement.runtimeData).toMatchObject({
      lease: leased.id,
      provider: rig.identity.peer,
      sandbox: { isolation: 'bubblewrap', instrumenter: 'scripted/1' },
      expiresAtMs: rig.clock.nowMs() + RELEASE_TIMEOUT_MS,
    });
    expect(rig.metrics.sums.get('fogproof_provider_challenges_total evidence')).toBe(1);
  });

  it('has the same answer again, and no other challenge is answered', async () => {
    const { leased, tee } = await lease();
    const [first, second] = await Promise.all([leased.challenge(), leased.challenge()]);
    expect(first.kind).toBe('evidence');
    expect(second).toEqual(first);
    expect(await leased.challenge()).toEqual(first);
    const detail = 'this lease has been challenged already, with another nonce or key';
    for (const change of [{ nonce: new Uint8Array(32) }, { requesterKey: new Uint8Array(32) }]) {
      expect(refusalOf(await leased.challenge(change))).toEqual({ code: 'LEASE_MISMATCH', detail });
    }
    expect(tee.orders).toHaveLength(1);
  });

  it('of a stranger is answered as if there were no such lease', async () => {
    const { leased, rig, tee } = await lease();
    const stranger = await rig.requester(8);
    const request = { op: 'challenge' as const, nonce: new Uint8Array(32), requesterKey: new Uint8Array(32) };
    const theirs = await stranger.attest({ ...request, lease: leased.id });
    const unknown = LeaseId(blobIdOf(new Uint8Array(1)).replace('bafkrei', 'bafyrei'));
    expect(theirs).toEqual(await stranger.attest({ ...request, lease: unknown }));
    expect(refusalOf(theirs)?.code).toBe('LEASE_MISMATCH');
    expect(tee.orders).toEqual([]);
  });

  it('is refused for a lease that is not confidential, and for one whose attempt has ended', async () => {
    const { leased, rig, side } = await lease();
    const work = await side.requester.prepare();
    const log = side.requester.lease(work);
    await log.until(() => rig.executor.held.length > 0);
    const [other] = work.leases;
    if (other === undefined) throw new TypeError();
    const challenge = { op: 'challenge' as const, nonce: new Uint8Array(32), requesterKey: new Uint8Array(32) };
    expect(refusalOf(await side.requester.attest({ ...challenge, lease: leaseIdOf(other) }))?.code).toBe(
      'LEASE_MISMATCH',
    );
    const evidence = await leased.showEvidence();
    const release = await leased.describeRelease(evidence);
    await side.requester.sendOne({ op: 'cancel', leases: [leased.id], reason: 'enough' });
    await leased.log.done;
    expect(refusalOf(await leased.challenge())?.code).toBe('LEASE_MISMATCH');
    expect(refusalOf(await leased.release(release))?.code).toBe('LEASE_MISMATCH');
  });

  it('asks the GPUs where the terms do, by a nonce of their own', async () => {
    const { side, tee } = await startConfidential();
    const job = await side.sealJob([]);
    tee.hasGpus = true;
    const { requester } = side;
    const plain = await side.lease(job);
    await plain.challenge();
    expect(tee.orders.map(({ gpuNonce }) => gpuNonce)).toEqual([null]);
    const [signed] = await requester.signJobs({ ...job.signed.value, nonce: new Uint8Array(16) });
    if (signed === undefined) throw new TypeError();
    const asking = await side.lease({ ...job, signed }, { kinds: ['simulated'], gpus: true });
    await asking.challenge();
    const [, order] = tee.orders;
    const expected = await side.confidentiality.computeGpuNonce(order?.reportData ?? new Uint8Array(64));
    expect(order?.gpuNonce).toEqual(expected);
  });

  it('that the hardware does not answer is refused by its code alone, and stays refused', async () => {
    const { leased, rig, tee } = await lease();
    tee.before = () =>
      Promise.reject(new TeeError({ code: 'TEE_PRODUCE_FAILED', what: '/sys/secret/path', reason: 'no device' }));
    const refusal = { code: 'EVIDENCE_FAILED', detail: 'TEE_PRODUCE_FAILED' };
    expect(refusalOf(await leased.challenge())).toEqual(refusal);
    tee.before = () => Promise.resolve();
    expect(refusalOf(await leased.challenge())).toEqual(refusal);
    expect(rig.metrics.sums.get('fogproof_provider_challenges_total EVIDENCE_FAILED')).toBe(2);
    const { refusals } = await rig.provider.explainNoWork();
    expect(refusals).toMatchObject([{ code: 'EVIDENCE_FAILED', count: 2 }]);
  });

  it('ends with the attempt', async () => {
    const { leased, side, tee } = await lease();
    const asked = Promise.withResolvers<AbortSignal>();
    tee.before = ({ signal }) => {
      asked.resolve(signal);
      return raceSignal(new Promise(() => undefined), signal);
    };
    const answer = leased.challenge();
    await asked.promise;
    await side.requester.sendOne({ op: 'cancel', leases: [leased.id], reason: 'enough' });
    expect(refusalOf(await answer)).toEqual({ code: 'LEASE_MISMATCH', detail: 'the attempt has ended' });
  });
});

describe('a release', () => {
  async function shown() {
    const scene = await lease();
    const evidence = await scene.leased.showEvidence();
    return { ...scene, evidence, release: await scene.leased.describeRelease(evidence) };
  }

  const OTHER_JOB = JobId(blobIdOf(new Uint8Array(2)).replace('bafkrei', 'bafyrei'));

  it('lets the program run, and is taken once', async () => {
    const { leased, release, rig, side } = await shown();
    const { wire } = await signObject(RELEASE, release, side.requester.identity);
    expect(await leased.sendRelease(wire)).toEqual({ kind: 'released' });
    expect(await leased.sendRelease(wire)).toEqual({ kind: 'released' });
    const again = await leased.describeRelease(await leased.showEvidence());
    expect(refusalOf(await leased.release(again))).toEqual({
      code: 'RELEASE_INVALID',
      detail: 'something else has been released under this lease',
    });
    expect(rig.metrics.sums.get('fogproof_provider_releases_total released')).toBe(2);
    expect(rig.metrics.sums.get('fogproof_provider_releases_total RELEASE_INVALID')).toBe(1);
    expect(rig.metrics.sums.get('fogproof_provider_misbehaviour_total RELEASE_INVALID')).toBe(1);
  });

  it.each<[string, (release: Release, other: PeerKey) => Partial<Release>]>([
    ['it is for another network', () => ({ network: 'other' })],
    ['it names another requester', (_, requester) => ({ requester })],
    ['it names another provider', (_, provider) => ({ provider })],
    ['it is of another job', () => ({ job: OTHER_JOB })],
    ['it is for other evidence than was shown', () => ({ evidence: blobIdOf(new Uint8Array(3)) })],
  ])('is refused where %s', async (rule, change) => {
    const { leased, release } = await shown();
    const other = (await identityOf(77)).peer;
    const answer = await leased.release({ ...release, ...change(release, other) });
    expect(refusalOf(answer)).toEqual({ code: 'RELEASE_INVALID', detail: rule });
    expect(await leased.release(release)).toEqual({ kind: 'released' });
  });

  it('is refused to any but the requester of the lease', async () => {
    const { leased, release, rig, side } = await shown();
    const stranger = await rig.requester(8);
    const { wire: stolen } = await signObject(RELEASE, release, side.requester.identity);
    expect(refusalOf(await stranger.attest({ op: 'release', release: stolen }))?.detail).toContain('WRONG_SIGNER');
    const { wire: forged } = await signObject(RELEASE, release, stranger.identity);
    expect(refusalOf(await stranger.attest({ op: 'release', release: forged }))?.code).toBe('LEASE_MISMATCH');
    expect(refusalOf(await leased.sendRelease(forged))?.detail).toContain('WRONG_SIGNER');
  });

  it('is refused where it does not open: altered, or sealed to the keys of another attempt', async () => {
    const { leased, release, side } = await shown();
    const sealedSecrets = release.sealedSecrets.slice();
    sealedSecrets[0] = (sealedSecrets[0] ?? 0) ^ 1;
    expect(refusalOf(await leased.release({ ...release, sealedSecrets }))?.detail).toContain('TEE_NOT_OPENED');
    const other = await side.lease(await side.sealJob([{ path: '/in', bytes: new Uint8Array(1) }]));
    const theirs = await other.describeRelease(await other.showEvidence());
    const { encapsulatedKey } = theirs;
    const swapped = { ...release, encapsulatedKey, sealedSecrets: theirs.sealedSecrets };
    expect(refusalOf(await leased.release(swapped))).toMatchObject({ code: 'RELEASE_INVALID' });
  });

  it('is refused before evidence was shown', async () => {
    const { leased, release, side } = await shown();
    const other = await side.lease(await side.sealJob([]));
    const early = { ...release, lease: other.id, job: other.jobId };
    expect(refusalOf(await other.release(early))?.detail).toBe('no evidence has been shown under this lease');
    expect(await leased.release(release)).toEqual({ kind: 'released' });
  });

  it('is refused with more or fewer salts than there are inputs', async () => {
    const { leased, evidence } = await shown();
    const { contentKey } = leased.job.secrets;
    for (const salts of [[], [new Uint8Array(32), new Uint8Array(32)]]) {
      const release = await leased.describeRelease(evidence, { contentKey, salts });
      expect(refusalOf(await leased.release(release))).toEqual({
        code: 'RELEASE_INVALID',
        detail: `${salts.length} salts were released for 1 inputs`,
      });
    }
  });
});

describe('without a release', () => {
  const reason = { code: 'NOT_RELEASED', detail: 'nothing was released to it within 60000 ms' };
  async function outcomeAfter(leased: ConfidentialLease, advance: (ms: number) => Promise<void>) {
    await advance(RELEASE_TIMEOUT_MS - 1);
    expect(leased.log.kinds).not.toContain('receipt');
    await advance(1);
    return (await leased.readReceipt()).result.outcome;
  }

  it('an attempt ends in time, challenged or not, and gives its slot back', async () => {
    const { leased, rig, side } = await lease();
    const other = await side.lease(await side.sealJob([]));
    await other.showEvidence();
    expect(await outcomeAfter(leased, (ms) => rig.clock.advance(ms))).toEqual({ kind: 'attempt-failed', ...reason });
    expect((await other.readReceipt()).result.outcome).toMatchObject(reason);
    expect(rig.provider.status().slots).toMatchObject({ reserved: 0, running: 0 });
    expect(rig.executor.held).toEqual([]);
    expect(leased.log.kinds.filter((kind) => kind !== 'progress')).toEqual(['fetching', 'receipt']);
  });

  it('one that waits in the queue ends in time too', async () => {
    const parameters = { ...PARAMETERS, leaseDurationMs: 600_000 };
    const { leased, rig, side } = await lease({ provider: { slots: 1, parameters } });
    await leased.unlock();
    const queued = await side.lease(await side.sealJob([]));
    await queued.showEvidence();
    await rig.clock.advance(RELEASE_TIMEOUT_MS);
    expect((await queued.readReceipt()).result.outcome).toMatchObject(reason);
    expect(leased.log.kinds).not.toContain('receipt');
  });
});
