/**
 * Input i of a job is STREAM under HKDF(content key, "fogproof/sealed-input@1" ‖ 0x00 ‖ u32(i)). The job commits to it by
 * SHA-256("fogproof/input-commitment@1" ‖ 0x00 ‖ salt ‖ SHA-256(plaintext)).
 */
import { areBytesEqual, concatBytes } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { InternalError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import { encodeU32 } from '../../proofs/encode-u32.ts';
import { TeeError } from '../errors.ts';
import type { InputOpening, InputSealer, JobSecrets, SealedInput } from '../interface.ts';
import { encodeLabelled } from '../label.ts';
import { KEY_BYTES } from './constants.ts';
import { deriveCipherKey, type SecretKey } from './derive-key.ts';
import { createIncrementalDigest } from './incremental-digest.ts';
import { openStream, sealStream } from './stream.ts';

const INPUT_KEY = 'fogproof/sealed-input@1';
const COMMITMENT = 'fogproof/input-commitment@1';

export class FreshInputSealer implements InputSealer {
  readonly #contentKey: Uint8Array;
  readonly #salts: Uint8Array[] = [];
  readonly #random: Random;

  constructor(modules: { readonly random: Random }) {
    this.#random = modules.random;
    this.#contentKey = modules.random.bytes(KEY_BYTES);
  }

  get secrets(): JobSecrets {
    return { contentKey: this.#contentKey, salts: [...this.#salts] };
  }

  seal(plain: AsyncIterable<Uint8Array>): SealedInput {
    const salt = this.#random.bytes(KEY_BYTES);
    const index = this.#salts.push(salt) - 1;
    let commitment: Uint8Array | null = null;
    const digested = digestOnTheWay(plain, (digest) => {
      commitment = commitInput(salt, digest);
    });
    return {
      bytes: sealWith(deriveInputKey(this.#contentKey, index), digested),
      readCommitment: () => {
        if (commitment !== null) return commitment;
        throw new InternalError(`input ${index} was not read to its end, so there is nothing to commit to`);
      },
    };
  }
}

async function* sealWith(key: Promise<SecretKey>, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* sealStream(await key, plain);
}

async function* digestOnTheWay(
  source: AsyncIterable<Uint8Array>,
  onEnd: (digest: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  const hash = createIncrementalDigest();
  for await (const part of source) {
    hash.update(part);
    yield part;
  }
  onEnd(new Uint8Array(hash.digest()));
}

/** @param digest SHA-256 of the plaintext */
export function commitInput(salt: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha256(encodeLabelled(COMMITMENT, salt, digest));
}

/** @throws TeeError TEE_NOT_OPENED, TEE_COMMITMENT_MISMATCH, TEE_TOO_LARGE */
export async function openInput(sealed: AsyncIterable<Uint8Array>, opening: InputOpening): Promise<Uint8Array> {
  const { secrets, index, commitment, maxBytes } = opening;
  const what = `the sealed input ${index}`;
  const salt = secrets.salts[index];
  if (salt === undefined) throw new TeeError({ code: 'TEE_COMMITMENT_MISMATCH', input: index });
  let found: Uint8Array | null = null;
  const key = await deriveInputKey(secrets.contentKey, index);
  const opened = digestOnTheWay(openStream(key, sealed, what), (digest) => {
    found = commitInput(salt, digest);
  });
  const plain = await collectBytes(opened, { maxBytes, what });
  if (found !== null && areBytesEqual(found, commitment)) return plain;
  plain.fill(0);
  throw new TeeError({ code: 'TEE_COMMITMENT_MISMATCH', input: index });
}

function deriveInputKey(contentKey: Uint8Array, index: number): Promise<SecretKey> {
  return deriveCipherKey(contentKey, encodeLabelled(INPUT_KEY, encodeU32(index)));
}

async function collectBytes(
  source: AsyncIterable<Uint8Array>,
  { maxBytes, what }: { readonly maxBytes: number; readonly what: string },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const part of source) {
      parts.push(part);
      sizeBytes += part.length;
      if (sizeBytes > maxBytes) throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes, limitBytes: maxBytes });
    }
    return concatBytes(...parts);
  } finally {
    for (const part of parts) part.fill(0);
  }
}
