import { open } from 'node:fs/promises';
import { z } from 'zod';
import { type PeerKey, peerKeySchema, unixMsSchema } from '../domain/ids.ts';
import { type AtomicWriteOptions, writeFileAtomic } from '../lib/atomic-file.ts';
import { describeError } from '../lib/errors.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import { MAX_KEY_FILE_BYTES } from './constants.ts';
import { IdentityError } from './errors.ts';
import { LocalIdentity } from './local-identity.ts';

/** What a keystore and a backup hold, as JSON. */
const keyFileSchema = z.strictObject({
  type: z.literal('fogproof/key-file@1'),
  /** Ed25519 seed, 32 bytes in hex: all other keys follow from it. */
  seed: z.string().regex(/^[0-9a-f]{64}$/, 'expected 32 bytes in lower-case hex'),
  peer: peerKeySchema,
  createdAtMs: unixMsSchema,
});

export interface StoredKey {
  readonly seed: Uint8Array;
  readonly peer: PeerKey;
}

export function encodeKeyFile(key: StoredKey, createdAtMs: number): string {
  const content = {
    type: 'fogproof/key-file@1',
    seed: Buffer.from(key.seed).toString('hex'),
    peer: key.peer,
    createdAtMs,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/**
 * The identity in a keystore's or backup's plaintext; its seed must give the peer that it names.
 * @throws IdentityError IDENTITY_MALFORMED, IDENTITY_MISMATCH
 */
export async function parseKeyFile(
  text: string,
  path: string,
): Promise<{ readonly key: StoredKey; readonly identity: LocalIdentity }> {
  const { seed, peer } = parseContent(text, path);
  const key = { seed: new Uint8Array(Buffer.from(seed, 'hex')), peer };
  const identity = await LocalIdentity.fromSeed(key.seed);
  if (identity.peer !== peer) {
    throw new IdentityError({ code: 'IDENTITY_MISMATCH', path, expected: peer, found: identity.peer });
  }
  return { key, identity };
}

function parseContent(text: string, path: string): z.output<typeof keyFileSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would quote the secret.
    throw new IdentityError({ code: 'IDENTITY_MALFORMED', path, reason: 'it is not JSON' });
  }
  const result = keyFileSchema.safeParse(value);
  if (result.success) return result.data;
  const field = result.error.issues[0]?.path.join('.') ?? '';
  throw new IdentityError({ code: 'IDENTITY_MALFORMED', path, reason: `the field '${field}' is wrong` });
}

export interface KeyFileBytes {
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/** Undefined if there is no such file. @throws IdentityError IDENTITY_UNREADABLE, IDENTITY_MALFORMED (too large) */
export async function readKeyFile(path: string): Promise<KeyFileBytes | undefined> {
  try {
    await using file = await open(path, 'r');
    const status = await file.stat();
    if (!status.isFile() || status.size > MAX_KEY_FILE_BYTES) {
      throw new IdentityError({ code: 'IDENTITY_MALFORMED', path, reason: 'it is no file or too large' });
    }
    return { bytes: new Uint8Array(await file.readFile()), mode: status.mode & 0o777 };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    if (error instanceof IdentityError) throw error;
    throw new IdentityError({ code: 'IDENTITY_UNREADABLE', path, reason: describeError(error) }, { cause: error });
  }
}

/** Writes a new key file with mode 0600, and never over another. Gives false if there is one. @throws IdentityError */
export async function writeKeyFile(path: string, content: Uint8Array | string): Promise<boolean> {
  const options: AtomicWriteOptions = { mode: 0o600, existing: 'keep' };
  try {
    await writeFileAtomic(path, content, options);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw new IdentityError({ code: 'IDENTITY_UNWRITABLE', path, reason: describeError(error) }, { cause: error });
  }
}
