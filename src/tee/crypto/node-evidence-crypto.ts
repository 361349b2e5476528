import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { DigestAlgorithm, EvidenceCrypto, SignatureScheme, SignedParts } from '../interface.ts';
import { MIN_RSA_BITS, type SchemeParts, SIGNATURE_SCHEMES } from './signature-schemes.ts';

const CURVES = { 'P-256': 'prime256v1', 'P-384': 'secp384r1' } as const;
const HASHES = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' } as const;

/** Outside of `produce/` the only file of tee/ that needs Node. */
export class NodeEvidenceCrypto implements EvidenceCrypto {
  async digest(algorithm: DigestAlgorithm, bytes: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(createHash(HASHES[algorithm]).update(bytes).digest());
  }

  async verify(scheme: SignatureScheme, { publicKey, message, signature }: SignedParts): Promise<boolean> {
    const parts = SIGNATURE_SCHEMES[scheme];
    try {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
      if (!isKeyOf(parts, key)) return false;
      if (parts.kind === 'ed25519') return verify(null, message, key, signature);
      return verify(HASHES[parts.hash], message, { key, ...computeVerifyOptions(parts) }, signature);
    } catch {
      // OpenSSL throws on what it cannot decode: that verifies nothing.
      return false;
    }
  }
}

function isKeyOf(parts: SchemeParts, key: KeyObject): boolean {
  if (parts.kind === 'ed25519') return key.asymmetricKeyType === 'ed25519';
  if (parts.kind === 'ecdsa') {
    return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === CURVES[parts.curve];
  }
  return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
}

function computeVerifyOptions(parts: Exclude<SchemeParts, { readonly kind: 'ed25519' }>) {
  if (parts.kind === 'ecdsa') return { dsaEncoding: 'ieee-p1363' as const };
  if (parts.padding === 'pkcs1') return { padding: constants.RSA_PKCS1_PADDING };
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}
