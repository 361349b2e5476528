import { describe, expect, it } from 'vitest';
import type { BundleVerification, EvidenceJudge, EvidenceJudgement } from '../../../src/bundle/interface.ts';
import { type VerifyOptions, verifyBundle } from '../../../src/bundle/verify.ts';
import type { AssuranceReport } from '../../../src/domain/assurance.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { AgreeableJudge, MEASUREMENT } from '../../support/attestation-builder.ts';
import { type BuildOptions, type BuiltBundle, buildBundle, packBundle, party } from '../../support/bundle-builder.ts';
import { wasmOf } from '../../support/workload.ts';
import { ATTEMPT_LIES, COMMON_LIES } from './attestation-lies.ts';

const AGREEABLE: VerifyOptions = { evidenceJudge: new AgreeableJudge() };

async function verify(options: BuildOptions, verifying = AGREEABLE): Promise<BundleVerification> {
  return await verifyBuilt(await buildBundle(options), verifying);
}

async function verifyBuilt({ bundle, chains }: BuiltBundle, verifying = AGREEABLE): Promise<BundleVerification> {
  return await verifyBundle(await packBundle(bundle, chains), verifying);
}

function attestedOf({ assurances }: BundleVerification): AssuranceReport {
  const found = assurances.find(({ assurance }) => assurance === 'attested');
  if (found === undefined) throw new Error('nothing is attested');
  return found;
}

function verdictOf(verification: BundleVerification, check: string) {
  return attestedOf(verification).checks.find(({ name }) => name === check)?.verdict;
}

describe('an honest bundle of a confidential job', () => {
  it('is valid, and says who, which kind and code, for which inputs, and as of when', async () => {
    const verification = await verify({ confidential: { kind: 'sev-snp' } });
    expect(verification.verdict).toBe('valid');
    const { statement, by, assumes, doesNotClaim, isSimulated } = attestedOf(verification);
    expect(by).toEqual([party(1).peer]);
    expect(statement).toContain('in AMD SEV-SNP');
    expect(statement).toContain(`measurement ${encodeHex(MEASUREMENT)}`);
    expect(statement).toContain(encodeHex(sha256(new Uint8Array(32).fill(0x50))));
    expect(statement).toContain('as of 2023-11-14T22:13:21.600Z');
    expect(assumes.join(' ')).toContain('AMD');
    expect(doesNotClaim.join(' ')).toMatch(/memory bus.*side channels.*bare host.*sizes of files.*not confidential/);
    expect(isSimulated).toBeUndefined();
    expect(JSON.stringify(verification)).not.toContain('SIMULATED');
  });

  it('asks the judge for this attempt, under the policy in the job, as of the time that the requester signed', async () => {
    const evidenceJudge = new AgreeableJudge();
    const { bundle, chains, job } = await buildBundle({ confidential: {}, replicas: 2 });
    await verifyBundle(await packBundle(bundle, chains), { evidenceJudge });
    expect(evidenceJudge.questions.map(({ expectation }) => expectation.provider)).toEqual([
      party(1).peer,
      party(2).peer,
    ]);
    const [question] = evidenceJudge.questions;
    expect(question).toMatchObject({
      policy: job.value.confidential?.policy,
      atMs: 1_700_000_001_600,
      expectation: {
        network: 'test',
        job: job.id,
        requester: party(0).peer,
        isolation: 'process',
        instrumenter: 'fogproof-instrument/2',
      },
    });
    expect(chains.get(bundle.blobs.at(-2)?.blob ?? wasmOf(job.value.workload).module)).toEqual(question?.evidence);
  });

  it('of three providers is replicated and attested, with a line for each', async () => {
    const verification = await verify({ confidential: { kind: 'tdx' }, replicas: 3 });
    expect(verification.verdict).toBe('valid');
    expect(verification.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'replicated', 'attested']);
    expect(attestedOf(verification).statement.split('\n')).toHaveLength(3);
    const [signed, replicated] = verification.assurances;
    expect(signed?.statement).toContain('2 sealed output files');
    expect(replicated?.statement).toContain('2 sealed output files');
    expect(replicated?.doesNotClaim.join(' ')).toContain('sealed with one key');
  });

  it('says of GPUs whose evidence they rest on', async () => {
    const gpus = { report: Uint8Array.of(1), certificates: [], manifests: [] };
    const { statement, assumes, doesNotClaim } = attestedOf(await verify({ confidential: { kind: 'tdx', gpus } }));
    expect(statement).toContain('with NVIDIA GPUs');
    expect(assumes.join(' ')).toContain('NVIDIA');
    expect(doesNotClaim.join(' ')).toContain('GPUs that stand elsewhere');
  });

  it('does not say that no hardware attests anything, nor that the provider read the inputs', async () => {
    const { notProven } = await verify({ confidential: { kind: 'sgx' } });
    expect(notProven.join(' ')).toContain('but for the word of the measured software');
    expect(notProven.join(' ')).not.toContain('no hardware attests it');
    expect(notProven.join(' ')).not.toContain('the provider read them');
  });

  it('tells a failure of the program without its detail', async () => {
    const verification = await verify({
      confidential: {},
      lies: { result: (v) => ({ ...v, outcome: { kind: 'program-failed', code: 'TRAP', detail: '' }, outputs: [] }) },
    });
    expect(verification.outcome).toBe('the program failed (TRAP)');
    expect(attestedOf(verification).verdict).toEqual({ kind: 'valid' });
  });

  it('is not claimed by a job that is not confidential', async () => {
    const verification = await verify({});
    expect(verification.assurances.map(({ assurance }) => assurance)).toEqual(['signed']);
    expect(verification.notProven.join(' ')).toContain('no hardware attests it');
  });
});

describe('a lie, signed with a good key', () => {
  it.each(ATTEMPT_LIES)('$what: $check is invalid', async ({ lies = {}, others = {}, check, code }) => {
    const verification = await verify({ confidential: { kind: 'sgx', lies }, lies: others });
    expect(verification.verdict).toBe('invalid');
    expect(verdictOf(verification, `attempt 1: ${check}`)).toMatchObject({ kind: 'invalid', code });
  });

  it.each(COMMON_LIES)('$what: $check is invalid', async ({ lies = {}, others = {}, check, code }) => {
    const verification = await verify({ replicas: 2, confidential: { kind: 'sgx', lies }, lies: others });
    expect(verification.verdict).toBe('invalid');
    expect(verdictOf(verification, check)).toMatchObject({ kind: 'invalid', code });
  });

  it('evidence of a size that is not stated is refused twice', async () => {
    const verification = await verify({
      confidential: { lies: { attestation: (v) => ({ ...v, evidenceSizeBytes: v.evidenceSizeBytes + 1 }) } },
    });
    expect(verdictOf(verification, 'attempt 1: SIMULATED evidence')).toMatchObject({ code: 'WRONG_EVIDENCE' });
    const signed = verification.assurances[0]?.checks.find(({ name }) => name === 'blobs named');
    expect(signed?.verdict).toMatchObject({ kind: 'invalid', code: 'WRONG_BLOB' });
  });

  it('an attestation for a job that is not confidential is refused', async () => {
    const verification = await verify({
      confidential: { kind: 'sgx' },
      lies: {
        job: (v) => {
          const { confidential: _, ...plain } = v;
          return plain;
        },
      },
    });
    expect(verdictOf(verification, 'attempt 1: attestation')).toMatchObject({ code: 'NOT_ATTESTED' });
  });

  it('a release for a job that is not confidential is refused', async () => {
    const { bundle } = await buildBundle({});
    const [release] = (await buildBundle({ confidential: {} })).bundle.attempts.map((attempt) => attempt.release);
    if (release === undefined) throw new TypeError('it has a release');
    const attempts = bundle.attempts.map((attempt) => ({ ...attempt, release }));
    const verification = await verifyBuilt({ ...(await buildBundle({})), bundle: { ...bundle, attempts } });
    expect(verdictOf(verification, 'attempt 1: attestation')).toMatchObject({ code: 'NOT_ATTESTED' });
  });

  it("another attempt's evidence, release and signature are refused", async () => {
    const built = await buildBundle({ replicas: 2, confidential: { kind: 'sgx' } });
    const [first, second] = built.bundle.attempts;
    if (first === undefined || second?.release === undefined) throw new TypeError('there are two');
    const attempts = [{ ...first, release: second.release }, second];
    const verification = await verifyBuilt({ ...built, bundle: { ...built.bundle, attempts } });
    expect(verdictOf(verification, 'attempt 1: release')).toMatchObject({ code: 'WRONG_RELEASE' });
  });

  it('nothing is told as a fact of evidence that does not pass', async () => {
    const lies = { statement: ATTEMPT_LIES.find(({ what }) => what === 'statement.nonce')?.lies?.statement };
    if (lies.statement === undefined) throw new TypeError('there is such a lie');
    const { statement, by } = attestedOf(
      await verify({ confidential: { kind: 'sgx', lies: { statement: lies.statement } } }),
    );
    expect(statement).toMatch(/^The evidence of attempt 1, by provider .* does not pass its checks\.$/);
    expect(by).toEqual([]);
  });
});

describe('what is not there', () => {
  it('is unchecked without a judge, and is not told as a fact', async () => {
    const verification = await verify({ confidential: { kind: 'sgx' } }, {});
    expect(verification.verdict).toBe('unchecked');
    expect(attestedOf(verification).verdict).toMatchObject({ missing: expect.stringContaining('a judge of evidence') });
    expect(attestedOf(verification).statement).toMatch(/^The file says, and not all of it is checked, that/);
    expect(verification.notProven.join(' ')).toContain('is not established here');
    expect(verification.notProven.join(' ')).toContain('no hardware attests it');
  });

  it('is unchecked without the evidence, which is named', async () => {
    const built = await buildBundle({ confidential: { kind: 'sgx' } });
    const blobs = built.bundle.blobs.map((entry) =>
      built.chains.has(entry.blob) ? { ...entry, included: false } : entry,
    );
    const verification = await verifyBuilt({ ...built, bundle: { ...built.bundle, blobs } });
    expect(attestedOf(verification).verdict).toEqual({
      kind: 'unchecked',
      missing: `the evidence of attempt 1 (${[...built.chains.keys()][0]})`,
    });
  });

  it('is unchecked without the release, which is named: it says as of when to judge', async () => {
    const evidenceJudge = new AgreeableJudge();
    const built = await buildBundle({ confidential: { kind: 'sgx' } });
    const attempts = built.bundle.attempts.map((attempt) => {
      const { release: _, ...others } = attempt;
      return others;
    });
    const verification = await verifyBuilt({ ...built, bundle: { ...built.bundle, attempts } }, { evidenceJudge });
    expect(verification.verdict).toBe('unchecked');
    expect(verdictOf(verification, 'attempt 1: release')).toMatchObject({
      missing: expect.stringContaining('release'),
    });
    expect(evidenceJudge.questions).toEqual([]);
  });

  it('is unchecked where no receipt can be read', async () => {
    const built = await buildBundle({ confidential: { kind: 'sgx' } });
    const attempts = built.bundle.attempts.map((attempt) => ({ ...attempt, receipt: attempt.lease }));
    const { blobs } = built.bundle;
    const without = { ...built.bundle, attempts, blobs: blobs.filter(({ blob }) => !built.chains.has(blob)) };
    expect(attestedOf(await verifyBuilt({ ...built, bundle: without })).verdict).toMatchObject({ kind: 'unchecked' });
  });
});

describe('what the judge finds', () => {
  const judgeOf = (...checks: EvidenceJudgement['checks']): EvidenceJudge => ({
    judge: async () => ({ checks, measurements: [] }),
  });
  const passed = { name: 'chain', verdict: 'passed', detail: 'it leads to the root' } as const;

  it('makes it invalid where one check failed, with its reason', async () => {
    const evidenceJudge = judgeOf(passed, { name: 'tcb', verdict: 'failed', detail: 'OutOfDate' });
    const verification = await verify({ confidential: { kind: 'tdx' } }, { evidenceJudge });
    expect(verification.verdict).toBe('invalid');
    expect(verdictOf(verification, 'attempt 1: evidence tcb')).toEqual({
      kind: 'invalid',
      code: 'EVIDENCE_REFUSED',
      reason: 'OutOfDate',
    });
    expect(verdictOf(verification, 'attempt 1: evidence chain')).toEqual({ kind: 'valid' });
  });

  it('makes it unchecked where one could not be done', async () => {
    const evidenceJudge = judgeOf(passed, { name: 'gpu/revocation', verdict: 'unchecked', detail: 'nobody asked' });
    const verification = await verify({ confidential: { kind: 'tdx' } }, { evidenceJudge });
    expect(attestedOf(verification).verdict).toEqual({ kind: 'unchecked', missing: 'nobody asked' });
  });

  it('makes it unchecked where nothing was judged', async () => {
    const verification = await verify({ confidential: { kind: 'tdx' } }, { evidenceJudge: judgeOf() });
    expect(attestedOf(verification).verdict).toMatchObject({ kind: 'unchecked' });
  });
});
