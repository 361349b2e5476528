import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { JobId } from '../../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { computeObjectId, sha256 } from '../../../../src/lib/cid.ts';
import { InternalError } from '../../../../src/lib/errors.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import type { AttemptKeys, JobSecrets, ReleaseOpening } from '../../../../src/tee/interface.ts';
import { encodeLabelled } from '../../../../src/tee/label.ts';
import { WebCryptoAttemptKeys } from '../../../../src/tee/release/attempt-keys.ts';
import { createChallenge } from '../../../../src/tee/release/challenge.ts';
import { sealHpke } from '../../../../src/tee/release/hpke.ts';
import { sealSecrets } from '../../../../src/tee/release/released-secrets.ts';
import { patternBytes } from '../../../support/byte-streams.ts';

const [job, otherJob] = [1, 2].map((byte) => JobId(computeObjectId(Uint8Array.of(byte)))) as [JobId, JobId];
const evidence = encodeUtf8('the evidence of this attempt');
const otherEvidence = encodeUtf8('the evidence of another attempt');
const secrets: JobSecrets = { contentKey: patternBytes(32, 1), salts: [patternBytes(32, 2), patternBytes(32, 3)] };
const refused = { info: { code: 'TEE_NOT_OPENED', what: 'the release' } };

async function release(keys: AttemptKeys): Promise<ReleaseOpening> {
  return { job, evidence, release: await sealSecrets({ secrets, job, evidence, encryptionKey: keys.encryptionKey }) };
}

async function sealContents(keys: AttemptKeys, plain: Uint8Array): Promise<ReleaseOpening> {
  const { encapsulatedKey, sealed } = await sealHpke({
    recipientKey: keys.encryptionKey,
    info: encodeLabelled('fogproof/release@1', sha256(evidence)),
    associatedData: CID.parse(job).bytes,
    plain,
  });
  return { job, evidence, release: { encapsulatedKey, sealedSecrets: sealed } };
}

describe('a release', () => {
  it('is opened by the attested key, for this evidence and this job', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const opened = await keys.openRelease(await release(keys));
    expect(opened).toEqual(secrets);
    expect(opened.contentKey.buffer.byteLength).toBe(32);
  });

  it("is not opened by a man in the middle: another attempt's keys", async () => {
    const [keys, other] = [await WebCryptoAttemptKeys.create(), await WebCryptoAttemptKeys.create()];
    await expect(other.openRelease(await release(keys))).rejects.toMatchObject(refused);
  });

  it('is not opened as the release to other evidence', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const swapped = { ...(await release(keys)), evidence: otherEvidence };
    await expect(keys.openRelease(swapped)).rejects.toMatchObject(refused);
  });

  it('is not opened as the release of another job', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    await expect(keys.openRelease({ ...(await release(keys)), job: otherJob })).rejects.toMatchObject(refused);
  });

  it('is not opened with another encapsulated key, altered, or cut short', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const [{ release: first }, { release: second }] = [await release(keys), await release(keys)];
    const altered = first.sealedSecrets.slice();
    altered[3] = (altered[3] ?? 0) ^ 1;
    const changes = [
      { ...first, encapsulatedKey: second.encapsulatedKey },
      { ...first, encapsulatedKey: new Uint8Array(32) },
      { ...first, sealedSecrets: altered },
      { ...first, sealedSecrets: first.sealedSecrets.subarray(1) },
      { ...first, sealedSecrets: new Uint8Array() },
    ];
    for (const changed of changes) {
      await expect(keys.openRelease({ job, evidence, release: changed })).rejects.toMatchObject(refused);
    }
  });

  it('of something that is not the secrets of a job is refused, and nothing of it is told', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const error: unknown = await sealContents(keys, encodeUtf8('hidden words'))
      .then((opening) => keys.openRelease(opening))
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject(refused);
    expect((error as Error).cause).toBeUndefined();
    expect(String(error)).not.toContain('hidden');
  });

  it('of a content key of zeros is refused: it is that of nobody', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const none = { contentKey: new Uint8Array(32), salts: [] };
    const sealed = await sealSecrets({ secrets: none, job, evidence, encryptionKey: keys.encryptionKey });
    await expect(keys.openRelease({ job, evidence, release: sealed })).rejects.toMatchObject(refused);
  });

  it('is not sealed to a key of small order, or to one that is none', async () => {
    const one = new Uint8Array(32);
    one[0] = 1;
    for (const encryptionKey of [new Uint8Array(32), one, new Uint8Array(31)]) {
      const sealing = { secrets, job, evidence, encryptionKey };
      await expect(sealSecrets(sealing)).rejects.toMatchObject({ info: { code: 'TEE_NOT_SEALED' } });
    }
  });
});

describe('the keys of an attempt', () => {
  it('are others each time', async () => {
    const [first, second] = [await WebCryptoAttemptKeys.create(), await WebCryptoAttemptKeys.create()];
    const all = [first.encryptionKey, first.signingKey, second.encryptionKey, second.signingKey];
    expect(new Set(all.map((key) => Buffer.from(key).toString('hex'))).size).toBe(4);
  });

  it('open and sign nothing once they were let go', async () => {
    const keys = await WebCryptoAttemptKeys.create();
    const opening = await release(keys);
    keys[Symbol.dispose]();
    await expect(keys.openRelease(opening)).rejects.toThrow(InternalError);
    await expect(keys.sign({ job } as never)).rejects.toThrow(InternalError);
  });
});

it('a challenge is another each time', async () => {
  const modules = { random: new SystemRandom() };
  const [first, second] = [await createChallenge(modules), await createChallenge(modules)];
  expect([first.nonce.length, first.requesterKey.length]).toEqual([32, 32]);
  expect(first.nonce).not.toEqual(second.nonce);
  expect(first.requesterKey).not.toEqual(second.requesterKey);
});
