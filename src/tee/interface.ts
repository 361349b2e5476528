/**
 * tee owns what hardware evidence is worth: it parses reports and quotes, walks their certificates to roots that are
 * pinned here, and judges them by a policy. It does not own fetching: what was not given is `unchecked`.
 *
 * - `crypto/` hashes and checks signatures: `NodeEvidenceCrypto` in the daemon, `WebEvidenceCrypto` in a browser.
 * - `x509/` certificates, chains, revocation lists.
 * - `sev-snp/`, `dcap/` (TDX and SGX), `nvidia/`: one verifier each, `(request) => EvidenceVerification`.
 * - `policy.ts` one schema of the kinds' own policies; `verify-evidence.ts` chooses the verifier of a kind.
 *
 * Nothing here reads a clock: the time of evaluation is part of each request. But for the crypto of Node everything
 * runs in a browser.
 */

export type EvidenceKind = 'sev-snp' | 'tdx' | 'sgx' | 'nvidia';

/** unchecked: something that is needed was not given; the detail says what. It never counts as passed. */
export type CheckVerdict = 'passed' | 'failed' | 'unchecked';

export interface EvidenceCheck {
  /** From a closed list for each kind, kebab-case: `report-signature`, `chain`, `tcb`, `policy-debug`, ... */
  readonly name: string;
  readonly verdict: CheckVerdict;
  /** What was compared with what, for a person; never a secret. */
  readonly detail: string;
}

/** valid: every check passed. invalid: one failed. unchecked: none failed, one is unchecked. */
export type EvidenceVerdict = 'valid' | 'invalid' | 'unchecked';

export interface EvidenceVerification<Claims> {
  readonly kind: EvidenceKind;
  readonly verdict: EvidenceVerdict;
  readonly evaluatedAtMs: number;
  readonly checks: readonly EvidenceCheck[];
  /** What the evidence says (measurements, TCB, report data); null if it could not be parsed. Worth something only if valid. */
  readonly claims: Claims | null;
}

export type DigestAlgorithm = 'SHA-256' | 'SHA-384' | 'SHA-512';

/** Only what the vendors use. ecdsa: the signature is r || s, big-endian, of the curve's size. PSS: salt of the digest's size. */
export type SignatureScheme =
  | 'ecdsa-p256-sha256'
  | 'ecdsa-p384-sha384'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pkcs1-sha256'
  | 'rsa-pkcs1-sha384';

export interface SignedParts {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export interface EvidenceCrypto {
  digest(algorithm: DigestAlgorithm, bytes: Uint8Array): Promise<Uint8Array>;
  /**
   * False for a signature that does not verify, and for a key or signature that cannot be decoded or is not of the
   * scheme: a P-256 key never verifies a P-384 signature. Never throws.
   */
  verify(scheme: SignatureScheme, parts: SignedParts): Promise<boolean>;
}
