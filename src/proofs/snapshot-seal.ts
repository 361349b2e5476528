/**
 * Sealed snapshots, docs/stepping.md section 6.3: AES-256-GCM (NIST SP 800-38D) with a nonce of 12 zero bytes and a tag of
 * 16 bytes behind the ciphertext, under HKDF-SHA-256 (RFC 5869) of the job's snapshot key:
 *   piece: HKDF(key, salt = SHA-256(piece), info = "fogproof/snapshot-piece@1")
 *   body:  SHA-256(body) ‖ …, HKDF(key, salt = SHA-256(body), info = "fogproof/snapshot-body@1")
 * Each such key seals one plaintext, so the nonce may be the same for all.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { SEAL_TAG_BYTES } from '../domain/snapshot.ts';
import { areBytesEqual } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';

export const SNAPSHOT_KEY_BYTES = 32;
const PIECE_INFO = 'fogproof/snapshot-piece@1';
const BODY_INFO = 'fogproof/snapshot-body@1';
const CIPHER = 'aes-256-gcm';
const NONCE = new Uint8Array(12);
const DIGEST_BYTES = 32;

/** `too-short`: not even a tag. `wrong-key`: another key, or altered. `wrong-digest`: sealed by who has the key, but other bytes. */
export type SealFault = 'too-short' | 'wrong-key' | 'wrong-digest';
export type Opened =
  | { readonly kind: 'opened'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly reason: SealFault };

/** @param digest SHA-256 of the piece */
export function sealPiece(key: Uint8Array, digest: Uint8Array, bytes: Uint8Array): Uint8Array {
  return seal(deriveKey(key, digest, PIECE_INFO), bytes, new Uint8Array());
}

export function openPiece(key: Uint8Array, digest: Uint8Array, sealed: Uint8Array): Opened {
  return open(key, sealed, { digest, info: PIECE_INFO });
}

/** @param body encoded `fogproof/snapshot-body@1` */
export function sealBody(key: Uint8Array, body: Uint8Array): Uint8Array {
  const digest = sha256(body);
  return seal(deriveKey(key, digest, BODY_INFO), body, digest);
}

export function openBody(key: Uint8Array, sealed: Uint8Array): Opened {
  if (sealed.length < DIGEST_BYTES + SEAL_TAG_BYTES) return { kind: 'failed', reason: 'too-short' };
  return open(key, sealed.subarray(DIGEST_BYTES), { digest: sealed.subarray(0, DIGEST_BYTES), info: BODY_INFO });
}

/** `head` goes before the ciphertext as it is. */
function seal(key: Uint8Array, bytes: Uint8Array, head: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, NONCE);
  const sealed = new Uint8Array(head.length + bytes.length + SEAL_TAG_BYTES);
  sealed.set(head);
  sealed.set(cipher.update(bytes), head.length);
  cipher.final();
  sealed.set(cipher.getAuthTag(), head.length + bytes.length);
  return sealed;
}

function open(
  key: Uint8Array,
  sealed: Uint8Array,
  { digest, info }: { readonly digest: Uint8Array; readonly info: string },
): Opened {
  const length = sealed.length - SEAL_TAG_BYTES;
  if (length < 0) return { kind: 'failed', reason: 'too-short' };
  const decipher = createDecipheriv(CIPHER, deriveKey(key, digest, info), NONCE, { authTagLength: SEAL_TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(length));
  const bytes = new Uint8Array(decipher.update(sealed.subarray(0, length)));
  try {
    decipher.final();
  } catch {
    return { kind: 'failed', reason: 'wrong-key' };
  }
  // The tag tells only that somebody with the key sealed it under this digest.
  if (!areBytesEqual(sha256(bytes), digest)) return { kind: 'failed', reason: 'wrong-digest' };
  return { kind: 'opened', bytes };
}

/** @throws RangeError unless key and digest have 32 bytes */
function deriveKey(key: Uint8Array, digest: Uint8Array, info: string): Uint8Array {
  if (key.length !== SNAPSHOT_KEY_BYTES) throw new RangeError('a snapshot key has 32 bytes');
  if (digest.length !== DIGEST_BYTES) throw new RangeError('a digest has 32 bytes');
  return new Uint8Array(hkdfSync('sha256', key, digest, info, SNAPSHOT_KEY_BYTES));
}
