import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RUNTIME_DATA, type RuntimeData } from '../../../../src/domain/confidential.ts';
import { UnixMs } from '../../../../src/domain/ids.ts';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { ATTEMPT_CHECKS, type AttemptExpectation, type AttemptJudgement } from '../../../../src/tee/interface.ts';
import { type AttemptEvidenceRequest, judgeAttemptEvidence } from '../../../../src/tee/judge/judge-attempt-evidence.ts';
import { parsePolicyJson } from '../../../../src/tee/judge/read-policy.ts';
import { WebCryptoAttemptKeys } from '../../../../src/tee/release/attempt-keys.ts';
import {
  buildRuntimeData,
  EXPECTATION,
  JUDGED_AT_MS,
  OTHER_JOB,
  OTHER_LEASE,
  produceEvidence,
  STRANGER,
} from '../../../support/attempt-evidence.ts';
import { patternBytes } from '../../../support/byte-streams.ts';
import { TestTee } from '../../../support/simulated-tee.ts';

const crypto = new NodeEvidenceCrypto();
const tee = new TestTee();
const policy = parsePolicyJson(tee.policy);
const never = new AbortController().signal;
const genuine = await produceEvidence(tee, buildRuntimeData());

function judge(evidence: Uint8Array, changes: Partial<AttemptEvidenceRequest> = {}): Promise<AttemptJudgement> {
  const given = { evidence, expectation: EXPECTATION, policies: [policy], atMs: JUDGED_AT_MS };
  return judgeAttemptEvidence({ ...given, crypto, simulatedRoot: tee.root, ...changes });
}

const listFailed = ({ checks }: AttemptJudgement): readonly string[] =>
  checks.filter(({ verdict }) => verdict === 'failed').map(({ name }) => name);

/** That it is refused, and by nothing else than the check of this name. */
async function expectRefused(name: string, judgement: AttemptJudgement): Promise<void> {
  expect(judgement.verdict).toBe('invalid');
  expect(listFailed(judgement)).toEqual([name]);
}

describe('the evidence of an attempt', () => {
  it('is valid if every check of the kind and of the attempt passes', async () => {
    const judgement = await judge(genuine, { expectation: { ...EXPECTATION, kind: 'simulated' } });
    expect(listFailed(judgement)).toEqual([]);
    expect(judgement.verdict).toBe('valid');
    expect(judgement.kind).toBe('simulated');
    expect(judgement.measurement).toBe(policy.simulated?.measurements?.[0]);
    expect(judgement.runtimeData).toEqual(buildRuntimeData());
    const names = judgement.checks.map((check) => check.name);
    const absent = ['evidence-files', 'gpus', 'gpu-nonce'];
    expect(ATTEMPT_CHECKS.filter((name) => !names.includes(name))).toEqual(absent);
    expect(new Set(names).size).toBe(names.length);
  });

  const one = new Uint8Array(32);
  one[0] = 1;
  const planted: readonly (readonly [string, Partial<RuntimeData>])[] = [
    ['network', { network: 'other' }],
    ['nonce', { nonce: patternBytes(32, 9) }],
    ['job', { job: OTHER_JOB }],
    ['lease', { lease: OTHER_LEASE }],
    ['requester', { requester: STRANGER }],
    ['requester-key', { requesterKey: patternBytes(32, 9) }],
    ['provider', { provider: STRANGER }],
    ['keys', { encryptionKey: new Uint8Array(32) }],
    ['keys', { encryptionKey: one }],
    ['keys', { signingKey: one }],
    ['keys', { signingKey: new Uint8Array(32).fill(0xff) }],
    ['sandbox', { sandbox: { isolation: 'process', instrumenter: EXPECTATION.instrumenter } }],
    ['sandbox', { sandbox: { isolation: EXPECTATION.isolation, instrumenter: 'other@1' } }],
    ['expiry', { expiresAtMs: UnixMs(JUDGED_AT_MS) }],
  ];
  it.each(planted)('that genuine hardware made for another attempt is refused by %s', async (name, changes) => {
    await expectRefused(name, await judge(await produceEvidence(tee, buildRuntimeData(changes))));
  });

  it('of another kind than was offered is refused', async () => {
    const judgement = await judge(genuine, { expectation: { ...EXPECTATION, kind: 'sev-snp' } });
    await expectRefused('evidence-kind', judgement);
  });

  it("another job's evidence is refused, whole or with our runtime data around its report", async () => {
    const other = await produceEvidence(tee, buildRuntimeData({ job: OTHER_JOB, lease: OTHER_LEASE }));
    expect(listFailed(await judge(other))).toEqual(['job', 'lease']);
    const ofOther = await tee.produce({ reportData: patternBytes(64, 1), gpuNonce: null, signal: never });
    const dressed = await produceEvidence(tee, buildRuntimeData(), { report: ofOther.report });
    await expectRefused('binding', await judge(dressed));
  });

  it('a replayed nonce is refused: evidence that answered an earlier challenge', async () => {
    const earlier = await produceEvidence(tee, buildRuntimeData());
    const expectation = { ...EXPECTATION, nonce: patternBytes(32, 77) };
    await expectRefused('nonce', await judge(earlier, { expectation }));
  });

  it('a swapped key is refused: runtime data with a key that the report does not carry', async () => {
    const other = await WebCryptoAttemptKeys.create();
    for (const swapped of [{ encryptionKey: other.encryptionKey }, { signingKey: other.signingKey }]) {
      const runtimeData = encodeObject(RUNTIME_DATA, buildRuntimeData(swapped));
      await expectRefused('binding', await judge(await produceEvidence(tee, buildRuntimeData(), { runtimeData })));
    }
  });

  it('a man in the middle is refused: who passes our challenge on to another provider, or makes a report himself', async () => {
    const passedOn = await produceEvidence(tee, buildRuntimeData({ provider: STRANGER, lease: OTHER_LEASE }));
    expect(listFailed(await judge(passedOn))).toEqual(['lease', 'provider']);
    const selfMade = await produceEvidence(new TestTee(), buildRuntimeData());
    await expectRefused('report-signature', await judge(selfMade));
  });

  it('without a simulated root is not valid', async () => {
    const judgement = await judge(genuine, { simulatedRoot: null });
    expect(judgement.verdict).toBe('unchecked');
    expect(listFailed(judgement)).toEqual([]);
  });

  it('with any bit flipped is not valid', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: genuine.length * 8 - 1 }), async (bit) => {
        const altered = genuine.slice();
        altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect((await judge(altered)).verdict).toBe('invalid');
      }),
      { numRuns: 60 },
    );
  });

  it('of any bytes is judged, and refused by its form', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (garbage) => {
        await expectRefused('evidence-format', await judge(garbage));
      }),
    );
    await expectRefused('evidence-format', await judge(genuine.subarray(0, -1)));
    await expectRefused('evidence-format', await judge(new Uint8Array(1024 * 1024)));
  });

  it('with runtime data of any bytes is refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 100 }), async (runtimeData) => {
        const judgement = await judge(await produceEvidence(tee, buildRuntimeData(), { runtimeData }));
        await expectRefused('runtime-data', judgement);
        expect(judgement.runtimeData).toBeNull();
      }),
      { numRuns: 20 },
    );
  });

  it('of which a third party does not know the nonce is judged by the rest', async () => {
    const { network, job, lease, requester, provider } = EXPECTATION;
    const expectation: AttemptExpectation = { network, job, lease, requester, provider };
    const judgement = await judge(genuine, { expectation });
    expect(judgement.verdict).toBe('valid');
    expect(judgement.checks.map(({ name }) => name)).not.toContain('nonce');
    const other = await produceEvidence(tee, buildRuntimeData({ job: OTHER_JOB }));
    await expectRefused('job', await judge(other, { expectation }));
  });
});

describe('the policies', () => {
  it('are needed: without one nothing is valid', async () => {
    const judgement = await judge(genuine, { policies: [] });
    expect(judgement.verdict).toBe('unchecked');
  });

  it('have to name the kind', async () => {
    const others = parsePolicyJson('{"sev-snp":{}}');
    const judgement = await judge(genuine, { policies: [others] });
    expect(judgement.verdict).toBe('invalid');
    expect(listFailed(judgement)).toEqual(['policy']);
  });

  it('have to list the measurement', async () => {
    const other = parsePolicyJson(JSON.stringify({ simulated: { measurements: ['ab'.repeat(48)] } }));
    expect(listFailed(await judge(genuine, { policies: [other] }))).toEqual(['measurement']);
    expect((await judge(genuine, { policies: [parsePolicyJson('{"simulated":{}}')] })).verdict).toBe('unchecked');
  });

  it('have to accept it each: the second by checks of its own name', async () => {
    const other = parsePolicyJson(JSON.stringify({ simulated: { measurements: ['ab'.repeat(48)] } }));
    const none = parsePolicyJson('{"tdx":{}}');
    expect((await judge(genuine, { policies: [policy, policy] })).checks).toEqual((await judge(genuine)).checks);
    expect(listFailed(await judge(genuine, { policies: [policy, other] }))).toEqual(['policy-2/measurement']);
    expect(listFailed(await judge(genuine, { policies: [policy, policy, none] }))).toEqual(['policy-3/policy']);
  });
});
