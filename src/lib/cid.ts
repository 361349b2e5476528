import * as dagCbor from '@ipld/dag-cbor';
import { sha256 as sha256Bytes } from '@noble/hashes/sha2.js';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';
import { concatBytes } from './bytes.ts';

/** Multihash code of sha2-256. */
export const SHA2_256 = 0x12;
export const DAG_CBOR_CODE = dagCbor.code;
export const RAW_CODE = raw.code;

/** Node's own hashing is several times faster; a browser has no such module and hashes in JavaScript. */
const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');

/** SHA-256 of the concatenation of `parts`: 32 bytes. Runs in a browser too. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  const whole = parts.length === 1 && first !== undefined ? first : concatBytes(...parts);
  if (nodeCrypto !== undefined) return new Uint8Array(nodeCrypto.hash('sha256', whole, 'buffer'));
  return sha256Bytes(whole);
}

/** CIDv1 of a canonical dag-cbor block. */
export function computeObjectCid(bytes: Uint8Array): CID {
  return CID.createV1(DAG_CBOR_CODE, Digest.create(SHA2_256, sha256(bytes)));
}

/** CIDv1 (raw codec) of a blob whose SHA-256 is `digest` (32 bytes). */
export function createRawCid(digest: Uint8Array): CID {
  return CID.createV1(RAW_CODE, Digest.create(SHA2_256, digest));
}

/** CIDv1 (raw codec) of a blob held in memory. */
export function computeRawCid(bytes: Uint8Array): CID {
  return createRawCid(sha256(bytes));
}
