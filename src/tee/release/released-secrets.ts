/**
 * The release of a job's secrets: HPKE to the X25519 key of the attempt's runtime data, with
 *   info = "fogproof/release@1" ‖ 0x00 ‖ SHA-256(evidence),  aad = CID of the job,
 * of the canonical `fogproof/released-secrets@1`.
 */
import { CID } from 'multiformats/cid';
import { RELEASED_SECRETS, type Release } from '../../domain/confidential.ts';
import { decodeObject, encodeObject } from '../../domain/object-type.ts';
import { sha256 } from '../../lib/cid.ts';
import { TeeError } from '../errors.ts';
import type { JobSecrets, ReleaseOpening, SecretsSealing } from '../interface.ts';
import { encodeLabelled } from '../label.ts';
import { type HpkeContext, openHpke, sealHpke } from './hpke.ts';
import type { KeyPair } from './key-pair.ts';

const INFO = 'fogproof/release@1';
const WHAT = 'the release';

/** @throws TeeError TEE_NOT_SEALED for an encryption key that is no X25519 key, or of small order */
export async function sealSecrets(
  sealing: SecretsSealing,
): Promise<Pick<Release, 'encapsulatedKey' | 'sealedSecrets'>> {
  const plain = encodeSecrets(sealing.secrets);
  try {
    const context = computeReleaseContext(sealing);
    const { encapsulatedKey, sealed } = await sealHpke({ recipientKey: sealing.encryptionKey, plain, ...context });
    return { encapsulatedKey, sealedSecrets: sealed };
  } catch (cause) {
    const reason = 'the key that the evidence names is no X25519 key that anything can be sealed to';
    throw new TeeError({ code: 'TEE_NOT_SEALED', what: WHAT, reason }, { cause });
  } finally {
    plain.fill(0);
  }
}

/** @throws TeeError TEE_NOT_OPENED */
export async function openSecrets(keys: KeyPair, opening: ReleaseOpening): Promise<JobSecrets> {
  const plain = await decryptSecrets(keys, opening);
  try {
    return readSecrets(plain);
  } finally {
    plain.fill(0);
  }
}

async function decryptSecrets(keys: KeyPair, opening: ReleaseOpening): Promise<Uint8Array> {
  const { encapsulatedKey, sealedSecrets } = opening.release;
  try {
    return await openHpke(keys, { encapsulatedKey, sealed: sealedSecrets }, computeReleaseContext(opening));
  } catch (cause) {
    const reason = 'it was altered, or sealed to another key, for other evidence or for another job';
    throw new TeeError({ code: 'TEE_NOT_OPENED', what: WHAT, reason }, { cause });
  }
}

/** Copies: what it is read from is erased. */
function readSecrets(plain: Uint8Array): JobSecrets {
  try {
    const { contentKey, salts } = decodeObject(RELEASED_SECRETS, plain);
    if (contentKey.some((byte) => byte !== 0)) {
      return { contentKey: new Uint8Array(contentKey), salts: salts.map((salt) => new Uint8Array(salt)) };
    }
  } catch {
    // The cause would quote what is in it.
  }
  const reason = 'what is in it is not the secrets of a job';
  throw new TeeError({ code: 'TEE_NOT_OPENED', what: WHAT, reason });
}

export function encodeSecrets({ contentKey, salts }: JobSecrets): Uint8Array {
  return encodeObject(RELEASED_SECRETS, { type: 'fogproof/released-secrets@1', contentKey, salts: [...salts] });
}

export function computeReleaseContext({ evidence, job }: Pick<ReleaseOpening, 'evidence' | 'job'>): HpkeContext {
  return { info: encodeLabelled(INFO, sha256(evidence)), associatedData: CID.parse(job).bytes };
}
