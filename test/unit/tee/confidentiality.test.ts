import { expect, it } from 'vitest';
import { ATTEMPT_EVIDENCE, RUNTIME_DATA } from '../../../src/domain/confidential.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { encodeObject } from '../../../src/domain/object-type.ts';
import { areBytesEqual, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { buildRuntimeData, EXPECTATION, JUDGED_AT_MS } from '../../support/attempt-evidence.ts';
import { collectStream, patternBytes, streamBytes } from '../../support/byte-streams.ts';
import { TestTee } from '../../support/simulated-tee.ts';

const path = '/out/result';

it('a job goes its whole way: sealed, challenged, judged, released, opened, run, sealed back, opened', async () => {
  const tee = new TestTee();
  const requester = tee.createConfidentiality();
  const provider = tee.createConfidentiality();
  const { job, lease } = EXPECTATION;

  const sealer = requester.createInputSealer();
  const input = sealer.seal(streamBytes(encodeUtf8('a secret input'), 5));
  const sealedInput = await collectStream(input.bytes);
  const commitment = input.readCommitment();
  const challenge = await requester.createChallenge();

  using keys = await provider.createAttemptKeys();
  const runtimeData = encodeObject(
    RUNTIME_DATA,
    buildRuntimeData({
      ...challenge,
      encryptionKey: keys.encryptionKey,
      signingKey: keys.signingKey,
      expiresAtMs: UnixMs(JUDGED_AT_MS + 1),
    }),
  );
  const reportData = await provider.computeReportData(runtimeData);
  const produced = await tee.produce({ reportData, gpuNonce: null, signal: new AbortController().signal });
  const evidence = encodeObject(ATTEMPT_EVIDENCE, { type: 'fogproof/attempt-evidence@1', ...produced, runtimeData });

  const expectation = { ...EXPECTATION, ...challenge, kind: 'simulated' } as const;
  const judgement = await requester.judge(evidence, expectation, { policies: [tee.policy], atMs: JUDGED_AT_MS });
  expect(judgement.verdict).toBe('valid');
  const encryptionKey = judgement.runtimeData?.encryptionKey ?? new Uint8Array();
  const release = await requester.sealSecrets({ secrets: sealer.secrets, job, evidence, encryptionKey });

  const secrets = await keys.openRelease({ job, evidence, release });
  const opening = { secrets, index: 0, commitment, maxBytes: 100 };
  const plain = await provider.openInput(streamBytes(sealedInput, 7), opening);
  expect(Buffer.from(plain).toString()).toBe('a secret input');
  const { contentKey } = secrets;
  const event = await provider.createEventSealer(contentKey, lease).seal({ kind: 'log', stream: 'log', text: 'ran' });
  const sealedOutput = await collectStream(provider.sealOutput(plain, { contentKey, path }));
  const metricsHash = await provider.keyMetricsHash(contentKey, patternBytes(32, 1));
  provider.erase(secrets);
  expect(contentKey).toEqual(new Uint8Array(32));

  const own = { contentKey: sealer.secrets.contentKey };
  expect(await requester.openEvent(event, { ...own, lease })).toMatchObject({ text: 'ran' });
  const output = await collectStream(requester.openOutput(streamBytes(sealedOutput, 9), { ...own, path }));
  expect(areBytesEqual(output, plain)).toBe(true);
  expect(metricsHash).toEqual(await requester.keyMetricsHash(own.contentKey, patternBytes(32, 1)));
  expect(metricsHash).not.toEqual(patternBytes(32, 1));
});

it('a policy that is none is refused before anything is judged', async () => {
  const confidentiality = new TestTee().createConfidentiality();
  const judged = confidentiality.judge(new Uint8Array(), EXPECTATION, { policies: ['{}'], atMs: JUDGED_AT_MS });
  await expect(judged).rejects.toMatchObject({ info: { code: 'TEE_POLICY_INVALID' } });
});
