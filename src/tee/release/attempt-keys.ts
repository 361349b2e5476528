import { InternalError } from '../../lib/errors.ts';
import { type AttestedStatement, encodeAttestedStatement } from '../../proofs/attested-statement.ts';
import type { AttemptKeys, JobSecrets, ReleaseOpening } from '../interface.ts';
import { exportPublicKey, generateKeyPair, type KeyPair } from './key-pair.ts';
import { openSecrets } from './released-secrets.ts';

const { subtle } = globalThis.crypto;

interface HeldKeys {
  readonly encryption: KeyPair;
  readonly signing: KeyPair;
}

/** Keys that WebCrypto makes and never gives out: no array of ours ever has a private half. */
export class WebCryptoAttemptKeys implements AttemptKeys {
  readonly encryptionKey: Uint8Array;
  readonly signingKey: Uint8Array;
  #held: HeldKeys | null;

  private constructor(held: HeldKeys, publicKeys: readonly [Uint8Array, Uint8Array]) {
    this.#held = held;
    [this.encryptionKey, this.signingKey] = publicKeys;
  }

  static async create(): Promise<WebCryptoAttemptKeys> {
    const encryption = await generateKeyPair('X25519', ['deriveBits']);
    const signing = await generateKeyPair('Ed25519', ['sign', 'verify']);
    const publicKeys = [await exportPublicKey(encryption), await exportPublicKey(signing)] as const;
    return new WebCryptoAttemptKeys({ encryption, signing }, publicKeys);
  }

  async openRelease(opening: ReleaseOpening): Promise<JobSecrets> {
    return openSecrets(this.#hold().encryption, opening);
  }

  async sign(statement: AttestedStatement): Promise<Uint8Array> {
    const { privateKey } = this.#hold().signing;
    const message = new Uint8Array(encodeAttestedStatement(statement));
    return new Uint8Array(await subtle.sign('Ed25519', privateKey, message));
  }

  [Symbol.dispose](): void {
    this.#held = null;
  }

  #hold(): HeldKeys {
    if (this.#held === null) throw new InternalError('the keys of an attempt are used after they were let go');
    return this.#held;
  }
}
