import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { RELEASED_SECRETS } from '../../../domain/confidential.ts';
import type { JobId } from '../../../domain/ids.ts';
import { decodeObject, encodeObject } from '../../../domain/object-type.ts';
import { concatBytes, encodeUtf8 } from '../../../lib/bytes.ts';
import type { Random } from '../../../lib/random.ts';
import type { JobSecrets } from '../../../tee/interface.ts';
import { SchedulerError } from '../../errors.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const INFO = 'fogproof/job-secrets@1';

/**
 * Encrypts the secrets of own confidential jobs for the database: nonce ‖ AES-256-GCM, the job's id as additional data, under
 * HKDF-SHA256 of the key that the node derives from its identity.
 */
export class SecretsVault {
  readonly #random: Random;
  readonly #key: Uint8Array;

  /** @param options.storeKey 32 bytes */
  constructor(modules: { readonly random: Random }, options: { readonly storeKey: Uint8Array }) {
    this.#random = modules.random;
    this.#key = new Uint8Array(hkdfSync('sha256', options.storeKey, new Uint8Array(), encodeUtf8(INFO), 32));
  }

  seal(job: JobId, { contentKey, salts }: JobSecrets): Uint8Array {
    const plain = encodeObject(RELEASED_SECRETS, {
      type: 'fogproof/released-secrets@1',
      contentKey,
      salts: [...salts],
    });
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(encodeUtf8(job));
    const sealed = concatBytes(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag());
    plain.fill(0);
    return sealed;
  }

  /** @throws SchedulerError SCHEDULER_STORE_CORRUPT if it is damaged, another job's, or of another identity */
  open(job: JobId, sealed: Uint8Array): JobSecrets {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const body = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
    try {
      const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES })
        .setAAD(encodeUtf8(job))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      const plain = concatBytes(decipher.update(body), decipher.final());
      const { contentKey, salts } = decodeObject(RELEASED_SECRETS, plain);
      const secrets = { contentKey: contentKey.slice(), salts: salts.map((salt) => salt.slice()) };
      plain.fill(0);
      return secrets;
    } catch (cause) {
      const reason = 'its secrets do not open with the key of this identity';
      throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key: `jobs/${job}`, reason }, { cause });
    }
  }
}
