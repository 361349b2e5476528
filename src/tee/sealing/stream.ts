/**
 * STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance,
 * CRYPTO 2015) over AES-256-GCM. The plaintext is cut into chunks of 64 KiB, the last being what is left; of nothing there
 * is one empty chunk. Chunk i is sealed, its tag of 16 bytes behind it, with
 *   nonce = u88(i) ‖ f,  big-endian, f = 1 for the last chunk and 0 for the others
 * so a chunk that is altered, in another place, left out at the end or behind the last does not open.
 */
import { TeeError } from '../errors.ts';
import { CHUNK_BYTES, NONCE_BYTES, TAG_BYTES } from './constants.ts';
import type { SecretKey } from './derive-key.ts';
import { type Chunk, splitChunks } from './split-chunks.ts';

const { subtle } = globalThis.crypto;
const FINAL_FLAG_OFFSET = NONCE_BYTES - 1;

/** @param key of AES-256-GCM, used for one plaintext alone */
export async function* sealStream(
  key: SecretKey,
  plain: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of splitChunks(plain, CHUNK_BYTES)) {
    yield new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv: encodeNonce(chunk) }, key, chunk.bytes));
  }
}

/**
 * Gives chunks that are right, and throws at the first that is not: whoever has seen the end knows that it is whole.
 * @param what names it in the error
 * @throws TeeError TEE_NOT_OPENED
 */
export async function* openStream(
  key: SecretKey,
  sealed: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const chunk of splitChunks(sealed, CHUNK_BYTES + TAG_BYTES)) {
    yield await openChunk(key, chunk, what);
  }
}

async function openChunk(key: SecretKey, chunk: Chunk, what: string): Promise<Uint8Array<ArrayBuffer>> {
  const { bytes, index, isFinal } = chunk;
  // Only of nothing is the last chunk empty: else one plaintext had two sealed forms.
  const leastBytes = TAG_BYTES + (index === 0 ? 0 : 1);
  if (bytes.length < leastBytes) {
    const reason = `it ends in chunk ${index} after ${bytes.length} bytes`;
    throw new TeeError({ code: 'TEE_NOT_OPENED', what, reason });
  }
  try {
    return new Uint8Array(await subtle.decrypt({ name: 'AES-GCM', iv: encodeNonce(chunk) }, key, bytes));
  } catch (cause) {
    const place = isFinal ? 'not the last one' : 'in another place';
    const reason = `chunk ${index} is altered, ${place}, or sealed with another key`;
    throw new TeeError({ code: 'TEE_NOT_OPENED', what, reason }, { cause });
  }
}

function encodeNonce({ index, isFinal }: Chunk): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setBigUint64(FINAL_FLAG_OFFSET - 8, BigInt(index));
  nonce[FINAL_FLAG_OFFSET] = isFinal ? 1 : 0;
  return nonce;
}
