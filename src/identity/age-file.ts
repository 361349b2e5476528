/**
 * Files encrypted with a passphrase in the age format, version 1 (age-encryption.org/v1, scrypt recipient), so that any
 * age tool opens them: `age --decrypt FILE`. The key derivation is Node's own scrypt, in its thread pool:
 *   wrap key = scrypt(N = 2^logN, r = 8, p = 1, dkLen = 32, P = passphrase, S = "age-encryption.org/v1/scrypt" ‖ salt)
 *   body = ChaCha20-Poly1305(key = wrap key, nonce = 12 zero bytes, plaintext = file key)
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { Identity, Recipient, Stanza } from 'age-encryption';
import { MAX_SCRYPT_LOG_N } from './constants.ts';

const LABEL = Buffer.from('age-encryption.org/v1/scrypt');
const SALT_BYTES = 16;
const NONCE = Buffer.alloc(12);
const TAG_BYTES = 16;
const FILE_KEY_BYTES = 16;

export interface EncryptOptions {
  readonly passphrase: string;
  readonly logN: number;
}

export async function encryptAge(plaintext: string, options: EncryptOptions): Promise<Uint8Array> {
  const age = await import('age-encryption');
  const recipient: Recipient = {
    wrapFileKey: async (fileKey) => {
      const salt = randomBytes(SALT_BYTES);
      const body = wrapKey(fileKey, await deriveWrapKey(options.passphrase, salt, options.logN));
      return [new age.Stanza(['scrypt', encodeBase64(salt), String(options.logN)], body)];
    },
  };
  const encrypter = new age.Encrypter();
  encrypter.addRecipient(recipient);
  return encrypter.encrypt(plaintext);
}

export type DecryptResult =
  | { readonly kind: 'opened'; readonly plaintext: string }
  | { readonly kind: 'wrong-passphrase' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Never throws for what is in the file; a wrong passphrase and an altered wrapped key cannot be told apart. */
export async function decryptAge(bytes: Uint8Array, passphrase: string): Promise<DecryptResult> {
  const age = await import('age-encryption');
  let isWrongPassphrase = false;
  const identity: Identity = {
    unwrapFileKey: async (stanzas) => {
      const { salt, logN, body } = parseStanza(stanzas);
      const fileKey = unwrapKey(body, await deriveWrapKey(passphrase, salt, logN));
      isWrongPassphrase = fileKey === null;
      return fileKey;
    },
  };
  const decrypter = new age.Decrypter();
  decrypter.addIdentity(identity);
  try {
    return { kind: 'opened', plaintext: await decrypter.decrypt(bytes, 'text') };
  } catch (error) {
    if (isWrongPassphrase) return { kind: 'wrong-passphrase' };
    return { kind: 'malformed', reason: error instanceof Error ? error.message : String(error) };
  }
}

function parseStanza(stanzas: readonly Stanza[]): { salt: Buffer; logN: number; body: Uint8Array } {
  // The format: a scrypt stanza must be the only one, else others could decrypt what the passphrase authenticates.
  const [stanza] = stanzas;
  if (stanza === undefined || stanzas.length !== 1) throw new TypeError('it is not encrypted to one passphrase');
  const [type, saltText, logNText] = stanza.args;
  if (type !== 'scrypt' || stanza.args.length !== 3) throw new TypeError('it is not encrypted with a passphrase');
  const salt = Buffer.from(saltText ?? '', 'base64');
  if (salt.length !== SALT_BYTES || encodeBase64(salt) !== saltText) throw new TypeError('the salt is malformed');
  const logN = /^[1-9][0-9]?$/.test(logNText ?? '') ? Number(logNText) : Number.NaN;
  if (!(logN <= MAX_SCRYPT_LOG_N)) throw new TypeError('the scrypt work factor is too high');
  return { salt, logN, body: stanza.body };
}

function deriveWrapKey(passphrase: string, salt: Uint8Array, logN: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // scrypt needs 128·N·r bytes and a little more (RFC 7914 section 2).
  const options = { N: 2 ** logN, r: 8, p: 1, maxmem: 2 ** logN * 8 * 128 + 1024 * 1024 };
  scrypt(passphrase, Buffer.concat([LABEL, salt]), 32, options, (error, key) => {
    if (error === null) resolve(key);
    else reject(error);
  });
  return promise;
}

function wrapKey(fileKey: Uint8Array, key: Buffer): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  return new Uint8Array(Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]));
}

function unwrapKey(body: Uint8Array, key: Buffer): Uint8Array | null {
  if (body.length !== FILE_KEY_BYTES + TAG_BYTES) throw new TypeError('the wrapped key is malformed');
  const decipher = createDecipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  try {
    const fileKey = Buffer.concat([decipher.update(body.subarray(0, FILE_KEY_BYTES)), decipher.final()]);
    return new Uint8Array(fileKey);
  } catch {
    return null;
  }
}

function encodeBase64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
