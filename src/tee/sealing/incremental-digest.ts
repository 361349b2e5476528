import { sha256 } from '@noble/hashes/sha2.js';

/** SHA-256 of bytes that come in parts. */
export interface IncrementalDigest {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** Node's own hashing is several times faster; a browser has no such module, and WebCrypto takes no parts. */
const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');

export function createIncrementalDigest(): IncrementalDigest {
  return nodeCrypto === undefined ? sha256.create() : nodeCrypto.createHash('sha256');
}
