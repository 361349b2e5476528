/**
 * What the attested key of a confidential attempt signs (docs/confidential.md):
 *   statement = "fogproof/attested-result@1" ‖ 0x00 ‖ SHA-256(canonical dag-cbor of
 *     { job: link, lease: link, nonce: bytes(32), inputs: SHA-256(c_1 ‖ … ‖ c_n), outputRoot: link })
 * with c_i the job's commitment to input i. The signature is Ed25519 (RFC 8032, section 5.1.7).
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { CID } from 'multiformats/cid';
import type { JobId, LeaseId, ObjectId } from '../domain/ids.ts';
import { concatBytes, encodeUtf8 } from '../lib/bytes.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import { sha256 } from '../lib/cid.ts';

const PREFIX = concatBytes(encodeUtf8('fogproof/attested-result@1'), Uint8Array.of(0));
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export interface AttestedStatement {
  readonly job: JobId;
  readonly lease: LeaseId;
  /** The requester's, of the runtime data: 32 bytes. */
  readonly nonce: Uint8Array;
  /** `confidential.commitments` of the job, in order. */
  readonly commitments: readonly Uint8Array[];
  readonly outputRoot: ObjectId;
}

/** SHA-256 over all commitments: names the inputs without telling anything of them. */
export function computeInputsDigest(commitments: readonly Uint8Array[]): Uint8Array {
  return sha256(...commitments);
}

/** The bytes that are signed. */
export function encodeAttestedStatement(statement: AttestedStatement): Uint8Array {
  const { job, lease, nonce, commitments, outputRoot } = statement;
  const content = encodeCanonical({
    job: CID.parse(job),
    lease: CID.parse(lease),
    nonce,
    inputs: computeInputsDigest(commitments),
    outputRoot: CID.parse(outputRoot),
  });
  return concatBytes(PREFIX, sha256(content));
}

/** False for a signature of another statement or key, and for one or a key of another length. Never throws. */
export function verifyAttestedStatement(
  statement: AttestedStatement,
  { signingKey, signature }: { readonly signingKey: Uint8Array; readonly signature: Uint8Array },
): boolean {
  if (signingKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  // Strict: without it, keys and points of small order verify statements that nobody signed.
  return ed25519.verify(signature, encodeAttestedStatement(statement), signingKey, { zip215: false });
}
