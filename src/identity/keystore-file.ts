import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import { makeFolder } from '../lib/make-folder.ts';
import type { Random } from '../lib/random.ts';
import { decryptAge, encryptAge } from './age-file.ts';
import { KEYSTORE_SCRYPT_LOG_N, SEED_BYTES } from './constants.ts';
import { IdentityError } from './errors.ts';
import {
  encodeKeyFile,
  type KeyFileBytes,
  parseKeyFile,
  readKeyFile,
  type StoredKey,
  writeKeyFile,
} from './key-file.ts';
import { LocalIdentity } from './local-identity.ts';
import { assertStrongEnough, findPassphrase, type Passphrase, type PassphraseSources } from './passphrase.ts';

export interface KeystoreModules {
  readonly clock: Clock;
  readonly random: Random;
}

export interface KeystoreOptions {
  /** The data folder. */
  readonly home: string;
}

/** How a new keystore is kept; `plain` only by explicit choice. */
export type KeystoreProtection =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'plain' };

export interface UnlockedKeystore {
  readonly identity: LocalIdentity;
  readonly key: StoredKey;
  /** What is weaker than it could be about how it is kept or was opened. */
  readonly remarks: readonly string[];
}

type Found = { readonly kind: 'encrypted' | 'plain'; readonly path: string; readonly file: KeyFileBytes };

/** The identity's seed on disk: `identity.age` (age format, passphrase) or `identity.json` (mode 0600). */
export class KeystoreFile {
  readonly #modules: KeystoreModules;
  readonly #home: string;
  readonly #encryptedPath: string;
  readonly #plainPath: string;

  constructor(modules: KeystoreModules, options: KeystoreOptions) {
    this.#modules = modules;
    this.#home = options.home;
    this.#encryptedPath = join(options.home, 'identity.age');
    this.#plainPath = join(options.home, 'identity.json');
  }

  /** @throws IdentityError IDENTITY_EXISTS if there is an identity already */
  async assertAbsent(): Promise<void> {
    const found = await this.#find();
    if (found !== undefined) throw new IdentityError({ code: 'IDENTITY_EXISTS', path: found.path });
  }

  /** Makes a new identity. @throws IdentityError IDENTITY_EXISTS, IDENTITY_WEAK_PASSPHRASE, IDENTITY_UNWRITABLE */
  async create(protection: KeystoreProtection): Promise<UnlockedKeystore> {
    return this.store(this.#modules.random.bytes(SEED_BYTES), protection);
  }

  /** Keeps a given seed, such as one of a backup. @throws as `create` */
  async store(seed: Uint8Array, protection: KeystoreProtection): Promise<UnlockedKeystore> {
    await this.assertAbsent();
    const identity = await LocalIdentity.fromSeed(seed);
    const key = { seed, peer: identity.peer };
    const text = encodeKeyFile(key, this.#modules.clock.nowMs());
    const path = protection.kind === 'plain' ? this.#plainPath : this.#encryptedPath;
    const content = protection.kind === 'plain' ? text : await encryptKey(text, protection.passphrase);
    await this.#makeHome();
    if (!(await writeKeyFile(path, content))) throw new IdentityError({ code: 'IDENTITY_EXISTS', path });
    return { identity, key, remarks: describeProtection(protection.kind) };
  }

  /**
   * Opens the keystore, asking `sources` for a passphrase only if it is encrypted.
   * @throws IdentityError IDENTITY_MISSING, IDENTITY_AMBIGUOUS, IDENTITY_NO_PASSPHRASE, IDENTITY_WRONG_PASSPHRASE,
   *   IDENTITY_EXPOSED, IDENTITY_MALFORMED, IDENTITY_MISMATCH
   */
  async unlock(sources: PassphraseSources): Promise<UnlockedKeystore> {
    const found = await this.#find();
    if (found === undefined) throw new IdentityError({ code: 'IDENTITY_MISSING', path: this.#home });
    const { path, file } = found;
    if (found.kind === 'plain') {
      if ((file.mode & 0o077) !== 0) {
        throw new IdentityError({ code: 'IDENTITY_EXPOSED', path, mode: file.mode.toString(8).padStart(4, '0') });
      }
      const { key, identity } = await parseKeyFile(Buffer.from(file.bytes).toString('utf8'), path);
      return { identity, key, remarks: describeProtection('plain') };
    }
    const passphrase = await findPassphrase(sources);
    if (passphrase === undefined) throw new IdentityError({ code: 'IDENTITY_NO_PASSPHRASE', path });
    const text = await openEncrypted({ path, bytes: file.bytes, passphrase });
    const { key, identity } = await parseKeyFile(text, path);
    return { identity, key, remarks: passphrase.remark === null ? [] : [passphrase.remark] };
  }

  async #find(): Promise<Found | undefined> {
    const [encrypted, plain] = await Promise.all([readKeyFile(this.#encryptedPath), readKeyFile(this.#plainPath)]);
    if (encrypted !== undefined && plain !== undefined) {
      throw new IdentityError({
        code: 'IDENTITY_AMBIGUOUS',
        encrypted: this.#encryptedPath,
        plain: this.#plainPath,
      });
    }
    if (encrypted !== undefined) return { kind: 'encrypted', path: this.#encryptedPath, file: encrypted };
    if (plain !== undefined) return { kind: 'plain', path: this.#plainPath, file: plain };
    return undefined;
  }

  async #makeHome(): Promise<void> {
    try {
      await makeFolder(this.#home, 0o700);
    } catch (error) {
      const reason = describeError(error);
      throw new IdentityError({ code: 'IDENTITY_UNWRITABLE', path: this.#home, reason }, { cause: error });
    }
  }
}

function encryptKey(text: string, passphrase: string): Promise<Uint8Array> {
  assertStrongEnough(passphrase);
  return encryptAge(text, { passphrase, logN: KEYSTORE_SCRYPT_LOG_N });
}

function describeProtection(kind: KeystoreProtection['kind']): readonly string[] {
  return kind === 'plain' ? ['The identity is not encrypted on disk: whoever reads identity.json is this node.'] : [];
}

export interface EncryptedKeyFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly passphrase: Passphrase;
}

/** Plaintext of a keystore or a backup. @throws IdentityError IDENTITY_WRONG_PASSPHRASE, IDENTITY_MALFORMED */
export async function openEncrypted({ path, bytes, passphrase }: EncryptedKeyFile): Promise<string> {
  const result = await decryptAge(bytes, passphrase.text);
  switch (result.kind) {
    case 'opened':
      return result.plaintext;
    case 'wrong-passphrase':
      throw new IdentityError({ code: 'IDENTITY_WRONG_PASSPHRASE', path, source: passphrase.source });
    case 'malformed':
      throw new IdentityError({ code: 'IDENTITY_MALFORMED', path, reason: result.reason });
    default:
      return result satisfies never;
  }
}
