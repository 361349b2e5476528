import { areBytesEqual, encodeHex } from '../../../lib/bytes.ts';
import { decide } from '../../checks.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { verifyChain } from '../../x509/chain.ts';
import type { EnvelopedSignature } from './enveloped-signature.ts';
import type { ReferenceManifest } from './reference-manifest.ts';

export interface ManifestRequest {
  readonly role: 'driver' | 'vbios';
  readonly manifest: ReferenceManifest;
  /** Pinned by us. */
  readonly root: Certificate;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

/** Checks `<role>-rim-signature`, `<role>-rim-chain` and `<role>-rim-validity`. */
export async function verifyManifest(request: ManifestRequest): Promise<readonly EvidenceCheck[]> {
  const { role, manifest, root, atMs, crypto } = request;
  const [leaf, ...intermediates] = manifest.signature.certificates;
  const chain = await verifyChain({ leaf, intermediates, root, atMs, crypto });
  return [
    await checkSignature(`${role}-rim-signature`, manifest.signature, crypto),
    ...chain.map((check) => ({ ...check, name: `${role}-rim-${check.name}` })),
  ];
}

/** W3C XML Signature 1.1, section 3.2: the reference's digest first, then the signature over the signed info. */
async function checkSignature(
  name: string,
  { content, contentDigest, signedInfo, signature, certificates }: EnvelopedSignature,
  crypto: EvidenceCrypto,
): Promise<EvidenceCheck> {
  const digest = await crypto.digest('SHA-384', content);
  if (!areBytesEqual(digest, contentDigest)) {
    const detail = `the RIM has the SHA-384 digest ${encodeHex(digest)}, and ${encodeHex(contentDigest)} is signed`;
    return decide(name, { holds: false, detail });
  }
  const [signer] = certificates;
  const parts = { publicKey: signer.publicKey, message: signedInfo, signature };
  const holds = await crypto.verify('ecdsa-p384-sha384', parts);
  return decide(name, { holds, detail: `ECDSA P-384 of ${signer.subjectText} over the RIM` });
}
