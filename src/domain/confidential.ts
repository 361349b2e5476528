/**
 * Confidential jobs: inputs are sealed, and the key that opens them is released to a provider that has shown evidence of
 * confidential hardware. docs/confidential.md has the steps and what each of them binds.
 */
import { z } from 'zod';
import { isolationLevelSchema, TEE_KINDS, type TeeKind, teeKindSchema } from './capability.ts';
import { blobLink, boundedBytesSchema, bytesSchema, jobLink, leaseLink, peerKeySchema, unixMsSchema } from './ids.ts';
import { MAX_JOB_INPUTS } from './job.ts';
import type { ObjectType } from './object-type.ts';
import { refusalSchema } from './refusal.ts';
import { signedWireSchema } from './signed.ts';

/** Largest evidence of one attempt: quote, certificates, collateral, and of GPUs their reports and manifests. */
export const MAX_EVIDENCE_BYTES = 900 * 1024;
const MAX_REPORT_BYTES = 32 * 1024;
const MAX_EVIDENCE_FILES = 16;
const MAX_EVIDENCE_FILE_BYTES = 512 * 1024;

/**
 * What a provider makes for one attempt, inside the trusted execution environment. The report data of its evidence is
 * SHA-512("fogproof/attest@1" ‖ 0x00 ‖ canonical bytes of this), so that evidence shown for one nonce, job, lease or
 * key is worth nothing for another.
 */
export const runtimeDataSchema = z.strictObject({
  type: z.literal('fogproof/runtime-data@1'),
  network: z.string().min(1).max(64),
  /** The requester's: used once. */
  nonce: bytesSchema(32),
  job: jobLink,
  lease: leaseLink,
  requester: peerKeySchema,
  /** The requester's X25519 key of this attempt. */
  requesterKey: bytesSchema(32),
  provider: peerKeySchema,
  /** X25519: the content key is sealed to it. Made for this attempt, never on a disk. */
  encryptionKey: bytesSchema(32),
  /** Ed25519: signs the result. Made for this attempt, never on a disk. */
  signingKey: bytesSchema(32),
  sandbox: z.strictObject({ isolation: isolationLevelSchema, instrumenter: z.string().min(1).max(64) }),
  /** After it, nothing is released to these keys. */
  expiresAtMs: unixMsSchema,
});
export type RuntimeData = z.output<typeof runtimeDataSchema>;
export const RUNTIME_DATA: ObjectType<RuntimeData> = {
  type: 'fogproof/runtime-data@1',
  schema: runtimeDataSchema,
  maxBytes: 4 * 1024,
};

const evidenceFileSchema = boundedBytesSchema(MAX_EVIDENCE_FILE_BYTES);
const evidenceFilesSchema = z.array(evidenceFileSchema).max(MAX_EVIDENCE_FILES);

/** Evidence of one attempt as it is shown, kept and exported: everything but the pinned roots and the policy. */
export const attemptEvidenceSchema = z.strictObject({
  type: z.literal('fogproof/attempt-evidence@1'),
  kind: teeKindSchema,
  /** Canonical `fogproof/runtime-data@1`. */
  runtimeData: boundedBytesSchema(4 * 1024),
  /** Report or quote, as the hardware gave it. */
  report: boundedBytesSchema(MAX_REPORT_BYTES),
  /** DER, or PEM of one or several. */
  certificates: evidenceFilesSchema,
  /** What the vendor says of revocation and TCB (docs/attestation.md): JSON of a PCCS, or AMD's revocation list. */
  collateral: evidenceFileSchema.nullable(),
  /** Of the machine's GPUs; their nonce is SHA-256("fogproof/attest-gpu@1" ‖ 0x00 ‖ report data). */
  gpus: z
    .strictObject({ report: evidenceFileSchema, certificates: evidenceFilesSchema, manifests: evidenceFilesSchema })
    .nullable(),
});
export type AttemptEvidence = z.output<typeof attemptEvidenceSchema>;
export const ATTEMPT_EVIDENCE: ObjectType<AttemptEvidence> = {
  type: 'fogproof/attempt-evidence@1',
  schema: attemptEvidenceSchema,
  maxBytes: MAX_EVIDENCE_BYTES,
};

/** What a release seals, to the attested key alone. */
export const releasedSecretsSchema = z.strictObject({
  type: z.literal('fogproof/released-secrets@1'),
  contentKey: bytesSchema(32),
  /** Of the commitments to the inputs, in the order of the job's. */
  salts: z.array(bytesSchema(32)).max(MAX_JOB_INPUTS),
});
export type ReleasedSecrets = z.output<typeof releasedSecretsSchema>;
export const RELEASED_SECRETS: ObjectType<ReleasedSecrets> = {
  type: 'fogproof/released-secrets@1',
  schema: releasedSecretsSchema,
  maxBytes: 16 * 1024,
};

/** The requester's signed word that it has judged this evidence, when, and the secrets, sealed with HPKE (RFC 9180). */
export const releaseSchema = z.strictObject({
  type: z.literal('fogproof/release@1'),
  network: z.string().min(1).max(64),
  job: jobLink,
  lease: leaseLink,
  requester: peerKeySchema,
  provider: peerKeySchema,
  /** Of the canonical bytes of the evidence. */
  evidence: blobLink,
  /** As of when it was found valid. */
  evaluatedAtMs: unixMsSchema,
  encapsulatedKey: bytesSchema(32),
  sealedSecrets: boundedBytesSchema(16 * 1024 + 16),
});
export type Release = z.output<typeof releaseSchema>;
export const RELEASE: ObjectType<Release> = { type: 'fogproof/release@1', schema: releaseSchema, maxBytes: 20 * 1024 };

/**
 * Which evidence a job's policy has sections for: of environments, and of GPUs. Everything else of a policy is for who judges
 * by it (tee/policy.ts); a text that is no policy names no kind.
 */
export function listPolicyKinds(policy: string): { readonly kinds: readonly TeeKind[]; readonly gpus: boolean } {
  const sections = readSections(policy);
  return { kinds: TEE_KINDS.filter((kind) => sections.has(kind)), gpus: sections.has('nvidia') };
}

function readSections(policy: string): ReadonlySet<string> {
  try {
    const value: unknown = JSON.parse(policy);
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return new Set(isMap ? Object.keys(value) : []);
  } catch {
    return new Set();
  }
}

// attest/1: one request, one response
export const attestRequestSchema = z.discriminatedUnion('op', [
  /** Show evidence for this lease. Answered by `evidence`, or `refused`. The same challenge has the same answer. */
  z.strictObject({
    op: z.literal('challenge'),
    lease: leaseLink,
    nonce: bytesSchema(32),
    requesterKey: bytesSchema(32),
  }),
  /** The secrets, for the lease that the release names. Answered by `released` or `refused`. */
  z.strictObject({ op: z.literal('release'), release: signedWireSchema }),
]);
export const attestResponseSchema = z.discriminatedUnion('kind', [
  /** Canonical `fogproof/attempt-evidence@1`. */
  z.strictObject({ kind: z.literal('evidence'), evidence: boundedBytesSchema(MAX_EVIDENCE_BYTES) }),
  z.strictObject({ kind: z.literal('released') }),
  z.strictObject({ kind: z.literal('refused'), refusal: refusalSchema }),
]);
export type AttestRequest = z.output<typeof attestRequestSchema>;
export type AttestResponse = z.output<typeof attestResponseSchema>;
