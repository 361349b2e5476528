/**
 * tee owns what hardware evidence is worth: it parses reports and quotes, walks their certificates to roots that are
 * pinned here, and judges them by a policy. What was not given is `unchecked`; judging never fetches. Apart from that
 * it makes such evidence, on a machine that has the hardware.
 *
 * - `crypto/` hashes and checks signatures: `NodeEvidenceCrypto` in the daemon, `WebEvidenceCrypto` in a browser.
 * - `x509/` certificates, chains, revocation lists.
 * - `sev-snp/`, `dcap/` (TDX and SGX), `nvidia/`: one verifier each, `(request) => EvidenceVerification`.
 * - `simulated/` for tests: a key of a test network stands in for the hardware.
 * - `policy.ts` one schema of the kinds' own policies; `verify-evidence.ts` chooses the verifier of a kind.
 * - `judge/` evidence of one attempt of a confidential job: what it is bound to, and each policy.
 * - `sealing/`, `release/` of inputs, outputs, events and of the keys to them; `confidentiality.ts` joins these for others.
 * - `produce/` an EvidenceProducer for each interface to the hardware, and what vendors say of it: fetched and cached.
 *
 * No verifier reads a clock: the time of evaluation is part of each request. But for `produce/` and the crypto of Node
 * everything runs in a browser.
 */
import type { IsolationLevel, TeeKind } from '../domain/capability.ts';
import type { AttemptEvidence, Release, RuntimeData } from '../domain/confidential.ts';
import type { JobId, LeaseId, PeerKey } from '../domain/ids.ts';
import type { AttemptEvent } from '../domain/messages.ts';
import type { AttestedStatement } from '../proofs/attested-statement.ts';

export type EvidenceKind = 'sev-snp' | 'tdx' | 'sgx' | 'nvidia' | 'simulated';

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

/**
 * Only what the vendors use, and Ed25519, which is ours. ecdsa: the signature is r || s, big-endian, of the curve's
 * size. PSS: salt of the digest's size.
 */
export type SignatureScheme =
  | 'ed25519'
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

export interface EvidenceOrder {
  /** 64 bytes that the report has to carry. */
  readonly reportData: Uint8Array;
  /** 32 bytes that each GPU's report has to answer; null: the GPUs are not asked. */
  readonly gpuNonce: Uint8Array | null;
  readonly signal: AbortSignal;
}

/** Everything that the hardware and its vendor say; the caller adds the runtime data that the report data is the hash of. */
export type ProducedEvidence = Omit<AttemptEvidence, 'type' | 'runtimeData'>;

/** Makes evidence of the trusted execution environment that this process runs in. */
export interface EvidenceProducer {
  readonly kind: TeeKind;
  /** Whether it can answer a `gpuNonce`; without GPUs one is refused. */
  readonly hasGpus: boolean;
  /**
   * Calls may overlap; they are served one after the other. Each has its own deadline besides the signal.
   * @throws TeeError TEE_PRODUCE_FAILED, TEE_BUSY, TEE_KEY_FILE_INVALID, TEE_TOO_LARGE; the signal's reason
   */
  produce(order: EvidenceOrder): Promise<ProducedEvidence>;
}

/** Secrets of one confidential job. Whoever holds them calls `Confidentiality.erase` when they are needed no more. */
export interface JobSecrets {
  /** 32 bytes, from which every key of inputs, outputs and events is derived. */
  readonly contentKey: Uint8Array;
  /** Of the commitments to the inputs, in the order of the job's; 32 bytes each. */
  readonly salts: readonly Uint8Array[];
}

/** One input as it is sealed. */
export interface SealedInput {
  /** To be read once, to its end. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** For `confidential.commitments`. @throws InternalError before `bytes` was read to its end */
  readCommitment(): Uint8Array;
}

/**
 * Seals the inputs of one job under a content key that it makes, and each input once: so no key and nonce ever meet two
 * plaintexts. A submission that begins again takes another sealer.
 */
export interface InputSealer {
  /** With the salts of the inputs so far. The arrays are the sealer's own: erased once, they are gone. */
  readonly secrets: JobSecrets;
  /** The next input of the job, in order. Several may be read at the same time. */
  seal(plain: AsyncIterable<Uint8Array>): SealedInput;
}

/** The part of an attempt's events that says something of the inputs. */
export type PlainEvent = Extract<AttemptEvent, { readonly kind: 'log' | 'metric' }>;
export type SealedEvent = Extract<AttemptEvent, { readonly kind: 'sealed' }>;

/** Seals the events of one lease; numbers them from 1, so that none is used twice. There is one for a lease, ever. */
export interface EventSealer {
  /** Calls may overlap: numbers are given, and promises resolve, in the order of the calls. */
  seal(event: PlainEvent): Promise<SealedEvent>;
}

export interface ReleaseOpening {
  readonly job: JobId;
  /** Canonical `fogproof/attempt-evidence@1` as it was shown. */
  readonly evidence: Uint8Array;
  readonly release: Pick<Release, 'encapsulatedKey' | 'sealedSecrets'>;
}

/**
 * The keys of one attempt, made inside the trusted execution environment. Their private halves are in WebCrypto and
 * cannot be read out. Disposed, they are let go and every call is refused.
 */
export interface AttemptKeys extends Disposable {
  /** X25519, raw. */
  readonly encryptionKey: Uint8Array;
  /** Ed25519, raw. */
  readonly signingKey: Uint8Array;
  /** @throws TeeError TEE_NOT_OPENED if it was sealed to another key, for other evidence or for another job, or is altered */
  openRelease(opening: ReleaseOpening): Promise<JobSecrets>;
  /** For `ReceiptAttestation.signature`; `verifyAttestedStatement` (src/proofs/attested-statement.ts) checks it. */
  sign(statement: AttestedStatement): Promise<Uint8Array>;
}

/** What a requester sends in `attest` op `challenge`. Both are fresh; nothing is ever sealed to the key. */
export interface AttestChallenge {
  readonly nonce: Uint8Array;
  readonly requesterKey: Uint8Array;
}

/** What is to be released to whom. */
export interface SecretsSealing {
  readonly secrets: JobSecrets;
  readonly job: JobId;
  /** Canonical `fogproof/attempt-evidence@1` that was judged valid. */
  readonly evidence: Uint8Array;
  /** Of its runtime data. */
  readonly encryptionKey: Uint8Array;
}

/** What the runtime data of evidence has to say. What is left out is not compared. */
export interface AttemptExpectation {
  readonly network: string;
  readonly job: JobId;
  readonly lease: LeaseId;
  readonly requester: PeerKey;
  readonly provider: PeerKey;
  /** Left out only by who did not choose it: a third party years later. */
  readonly nonce?: Uint8Array;
  readonly requesterKey?: Uint8Array;
  /** As the offer has them. */
  readonly kind?: TeeKind;
  readonly isolation?: IsolationLevel;
  readonly instrumenter?: string;
}

/**
 * Names of the checks that are made besides those of the evidence's kind. `binding` is that kind's `report-data`: the
 * report carries the digest of the runtime data. Those of GPUs begin with `gpu/`, but for `gpu-nonce`.
 */
export const ATTEMPT_CHECKS = [
  'evidence-format',
  'evidence-kind',
  'evidence-files',
  'runtime-data',
  'binding',
  'network',
  'nonce',
  'job',
  'lease',
  'requester',
  'requester-key',
  'provider',
  'keys',
  'sandbox',
  'expiry',
  'policy',
  'gpus',
  'gpu-nonce',
] as const;

export interface AttemptJudgement {
  /** Nothing is released but on `valid`. */
  readonly verdict: EvidenceVerdict;
  readonly evaluatedAtMs: number;
  /** Of every policy after the first, those that differ begin with `policy-2/`, `policy-3/`, ... */
  readonly checks: readonly EvidenceCheck[];
  /** Null if it could not be read. Worth something only if valid, as all that follows. */
  readonly runtimeData: RuntimeData | null;
  readonly kind: TeeKind | null;
  /** What code the report says that runs, hex: of SEV-SNP and simulated the measurement, MRTD of TDX, MRENCLAVE of SGX. */
  readonly measurement: string | null;
  /** Of the report, by its kind. */
  readonly claims: object | null;
}

/** A policy of a confidential job, read. */
export interface ReadPolicy {
  /** TEE kinds that it has sections of; at least one. */
  readonly kinds: readonly TeeKind[];
  /** It has a section `nvidia`: evidence of GPUs is demanded. */
  readonly gpus: boolean;
}

/**
 * What requester and provider of confidential jobs need of keys, sealing and judging (docs/confidential.md). An array
 * that comes in is not changed but by `erase`; one that goes out is the caller's.
 */
export interface Confidentiality {
  /** @throws TeeError TEE_POLICY_INVALID, also for a policy without a section of a TEE kind */
  readPolicy(policyJson: string): ReadPolicy;

  // Requester, at intake
  createInputSealer(): InputSealer;
  // Requester, for each lease
  createChallenge(): Promise<AttestChallenge>;
  /**
   * Never throws for what is in `evidence`. `policies` are JSON: the job's own first, which says what has to be shown;
   * every one has to accept what is shown. @throws TeeError TEE_POLICY_INVALID
   */
  judge(evidence: Uint8Array, expectation: AttemptExpectation, terms: JudgingTerms): Promise<AttemptJudgement>;
  /** @throws TeeError TEE_NOT_SEALED for an encryption key that is no X25519 key */
  sealSecrets(sealing: SecretsSealing): Promise<Pick<Release, 'encapsulatedKey' | 'sealedSecrets'>>;
  /** @throws TeeError TEE_NOT_OPENED */
  openEvent(event: SealedEvent, key: { readonly contentKey: Uint8Array; readonly lease: LeaseId }): Promise<PlainEvent>;
  /**
   * Chunks come as they are found right; that the whole is this output is known, and the file cut short told, only at the
   * end: use nothing of it before. @throws TeeError TEE_NOT_OPENED
   */
  openOutput(
    sealed: AsyncIterable<Uint8Array>,
    key: { readonly contentKey: Uint8Array; readonly path: string },
  ): AsyncIterable<Uint8Array>;

  // Provider, in the trusted execution environment
  createAttemptKeys(): Promise<AttemptKeys>;
  /** 64 bytes. @param runtimeData canonical `fogproof/runtime-data@1` */
  computeReportData(runtimeData: Uint8Array): Promise<Uint8Array>;
  /** 32 bytes. */
  computeGpuNonce(reportData: Uint8Array): Promise<Uint8Array>;
  /** The plaintext, in memory, its commitment checked. @throws TeeError TEE_NOT_OPENED, TEE_COMMITMENT_MISMATCH, TEE_TOO_LARGE */
  openInput(sealed: AsyncIterable<Uint8Array>, opening: InputOpening): Promise<Uint8Array>;
  /** Equal outputs at the same path give equal bytes. `plain` must not change before all was read. */
  sealOutput(
    plain: Uint8Array,
    key: { readonly contentKey: Uint8Array; readonly path: string },
  ): AsyncIterable<Uint8Array>;
  createEventSealer(contentKey: Uint8Array, lease: LeaseId): EventSealer;
  /** What stands in `Result.metricsHash` of a confidential job. */
  keyMetricsHash(contentKey: Uint8Array, metricsHash: Uint8Array): Promise<Uint8Array>;

  /** Zeroes the arrays. Copies that the engine made while it ran are beyond what JavaScript can reach. */
  erase(secrets: JobSecrets): void;
}

export interface JudgingTerms {
  readonly policies: readonly string[];
  /** Unix ms. Everything is judged as of then. */
  readonly atMs: number;
}

export interface InputOpening {
  readonly secrets: JobSecrets;
  /** Place among the inputs of the job, from 0. */
  readonly index: number;
  /** `confidential.commitments[index]`. */
  readonly commitment: Uint8Array;
  /** Of the plaintext. */
  readonly maxBytes: number;
}
