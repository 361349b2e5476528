/**
 * The output at path p is sealed so that equal outputs give equal bytes, by which replicas are compared, and so that no
 * key and nonce ever meet two plaintexts (the construction of SIV, RFC 5297, with a key of its own for each output):
 *   synthetic = HMAC-SHA-256(HKDF(content key, "fogproof/output-mac@1"), u32(|p|) ‖ p ‖ SHA-256(plaintext))
 *   sealed    = synthetic ‖ STREAM under HKDF(content key, "fogproof/sealed-output@1" ‖ 0x00 ‖ synthetic)
 */
import { concatBytes, encodeUtf8 } from '../../lib/bytes.ts';
import { encodeU32 } from '../../proofs/encode-u32.ts';
import { TeeError } from '../errors.ts';
import { encodeLabelled } from '../label.ts';
import { SYNTHETIC_BYTES } from './constants.ts';
import { deriveCipherKey, deriveMacKey, type SecretKey } from './derive-key.ts';
import { createIncrementalDigest } from './incremental-digest.ts';
import { openStream, sealStream } from './stream.ts';
import { takeHead } from './take-head.ts';

const { subtle } = globalThis.crypto;
const MAC_KEY = encodeUtf8('fogproof/output-mac@1');
const OUTPUT_KEY = 'fogproof/sealed-output@1';
/** Hashed at once, so that the event loop turns between. */
const HASH_BYTES = 1024 * 1024;

export interface OutputKey {
  readonly contentKey: Uint8Array;
  readonly path: string;
}

/** @param plain not changed before all was read */
export async function* sealOutput(plain: Uint8Array, { contentKey, path }: OutputKey): AsyncGenerator<Uint8Array> {
  const macKey = await deriveMacKey(contentKey, MAC_KEY);
  const subject = encodeSubject(path, await computeDigest(plain));
  const synthetic = new Uint8Array(await subtle.sign('HMAC', macKey, subject));
  const key = await deriveOutputKey(contentKey, synthetic);
  yield synthetic;
  yield* sealStream(key, splitBytes(plain));
}

/** @throws TeeError TEE_NOT_OPENED; what was given before is then worth nothing */
export async function* openOutput(
  sealed: AsyncIterable<Uint8Array>,
  { contentKey, path }: OutputKey,
): AsyncGenerator<Uint8Array> {
  const what = `the sealed output ${path}`;
  const macKey = await deriveMacKey(contentKey, MAC_KEY);
  const { head, rest } = await takeHead(sealed, SYNTHETIC_BYTES);
  const hash = createIncrementalDigest();
  for await (const chunk of openStream(await deriveOutputKey(contentKey, head), rest, what)) {
    hash.update(chunk);
    yield chunk;
  }
  if (await subtle.verify('HMAC', macKey, head, encodeSubject(path, hash.digest()))) return;
  const reason = 'it was sealed as the output at another path, or its beginning is not that of its contents';
  throw new TeeError({ code: 'TEE_NOT_OPENED', what, reason });
}

function deriveOutputKey(contentKey: Uint8Array, synthetic: Uint8Array): Promise<SecretKey> {
  return deriveCipherKey(contentKey, encodeLabelled(OUTPUT_KEY, synthetic));
}

function encodeSubject(path: string, digest: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoded = encodeUtf8(path);
  return new Uint8Array(concatBytes(encodeU32(encoded.length), encoded, digest));
}

async function computeDigest(plain: Uint8Array): Promise<Uint8Array> {
  const hash = createIncrementalDigest();
  for await (const part of splitBytes(plain)) hash.update(part);
  return new Uint8Array(hash.digest());
}

async function* splitBytes(plain: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < plain.length; offset += HASH_BYTES) {
    yield plain.subarray(offset, offset + HASH_BYTES);
  }
}
