import type { BlobId } from '../../../src/domain/ids.ts';
import { JobId, LeaseId, ObjectId, UnixMs } from '../../../src/domain/ids.ts';
import { computeObjectCid, computeRawId } from '../../../src/lib/cid.ts';
import type { AttestationLies } from '../../support/attestation-builder.ts';
import { type Lies, party, START_MS } from '../../support/bundle-builder.ts';

/** A party that lies about one field of what `attested` rests on, with its own good signature. */
export interface AttestationLie {
  readonly what: string;
  readonly lies?: AttestationLies;
  readonly others?: Lies;
  readonly check: string;
  readonly code: string;
}

const OTHER = computeObjectCid(Uint8Array.of(1)).toString();
const OTHER_BLOB = computeRawId(Uint8Array.of(1)) as BlobId;
const LIAR = party(4).peer;
const at = (ms: number) => UnixMs(START_MS + ms);

const RELEASE_LIES: readonly AttestationLie[] = [
  {
    what: 'release signer',
    lies: { releasedBy: party(1) },
    check: 'release signature',
    code: 'WRONG_SIGNER',
  },
  {
    what: 'release.network',
    lies: { release: (v) => ({ ...v, network: 'other' }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.job',
    lies: { release: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.lease',
    lies: { release: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.requester',
    lies: { release: (v) => ({ ...v, requester: LIAR }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.provider',
    lies: { release: (v) => ({ ...v, provider: LIAR }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.evidence',
    lies: { release: (v) => ({ ...v, evidence: OTHER_BLOB }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
  {
    what: 'release.evaluatedAtMs before the acceptance',
    lies: { release: (v) => ({ ...v, evaluatedAtMs: at(60_000 - 31_000) }) },
    others: { acceptance: (v) => ({ ...v, acceptedAtMs: at(60_000) }) },
    check: 'release times',
    code: 'WRONG_TIME',
  },
  {
    what: 'release.evaluatedAtMs after the end',
    lies: { release: (v) => ({ ...v, evaluatedAtMs: at(51_000) }) },
    check: 'release times',
    code: 'WRONG_TIME',
  },
  {
    what: 'attestation.release',
    lies: { attestation: (v) => ({ ...v, release: ObjectId(OTHER) }) },
    check: 'release',
    code: 'WRONG_RELEASE',
  },
];

const RUNTIME_LIES: readonly AttestationLie[] = [
  {
    what: 'runtimeData.network',
    lies: { runtimeData: (v) => ({ ...v, network: 'other' }) },
    check: 'runtime data parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'runtimeData.job',
    lies: { runtimeData: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'runtime data parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'runtimeData.lease',
    lies: { runtimeData: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'runtime data parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'runtimeData.requester',
    lies: { runtimeData: (v) => ({ ...v, requester: LIAR }) },
    check: 'runtime data parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'runtimeData.provider',
    lies: { runtimeData: (v) => ({ ...v, provider: LIAR }) },
    check: 'runtime data parties',
    code: 'WRONG_PARTIES',
  },
  {
    what: 'runtimeData.sandbox.isolation',
    lies: { runtimeData: (v) => ({ ...v, sandbox: { ...v.sandbox, isolation: 'bubblewrap' } }) },
    check: 'runtime data sandbox',
    code: 'WRONG_ISOLATION',
  },
  {
    what: 'runtimeData.sandbox.instrumenter',
    lies: { runtimeData: (v) => ({ ...v, sandbox: { ...v.sandbox, instrumenter: 'other/1' } }) },
    check: 'runtime data sandbox',
    code: 'WRONG_ISOLATION',
  },
  {
    what: 'runtimeData.expiresAtMs',
    lies: { runtimeData: (v) => ({ ...v, expiresAtMs: at(1_600) }) },
    check: 'runtime data expiry',
    code: 'WRONG_TIME',
  },
  {
    what: 'evidence.runtimeData',
    lies: { evidence: (v) => ({ ...v, runtimeData: v.runtimeData.subarray(1) }) },
    check: 'evidence',
    code: 'WRONG_EVIDENCE',
  },
];

const SIGNATURE_LIES: readonly AttestationLie[] = [
  {
    what: 'attestation.signature',
    lies: {
      attestation: (v) => ({ ...v, signature: v.signature.map((byte, place) => (place === 3 ? byte ^ 1 : byte)) }),
    },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'the signing key',
    lies: { runtimeData: (v) => ({ ...v, signingKey: v.encryptionKey }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'statement.job',
    lies: { statement: (v) => ({ ...v, job: JobId(OTHER) }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'statement.lease',
    lies: { statement: (v) => ({ ...v, lease: LeaseId(OTHER) }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'statement.nonce',
    lies: { statement: (v) => ({ ...v, nonce: new Uint8Array(32) }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'statement.commitments',
    lies: { statement: (v) => ({ ...v, commitments: [new Uint8Array(32)] }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'statement.outputRoot',
    lies: { statement: (v) => ({ ...v, outputRoot: ObjectId(OTHER) }) },
    check: 'attested signature',
    code: 'WRONG_ATTESTATION',
  },
  {
    what: 'a result without an attestation',
    others: {
      receipt: (v) => {
        const { attestation: _, ...plain } = v;
        return plain;
      },
    },
    check: 'attestation',
    code: 'NOT_ATTESTED',
  },
  {
    what: 'an attestation of what is no result',
    others: {
      result: (v) => ({ ...v, outcome: { kind: 'attempt-failed', code: 'INTERNAL', detail: '' } }),
    },
    check: 'attestation',
    code: 'NOT_ATTESTED',
  },
];

/** Names of their checks begin with the attempt. */
export const ATTEMPT_LIES: readonly AttestationLie[] = [...RELEASE_LIES, ...RUNTIME_LIES, ...SIGNATURE_LIES];

/** About the job, or about two attempts together. */
export const COMMON_LIES: readonly AttestationLie[] = [
  {
    what: 'one commitment too few',
    others: { job: (v) => ({ ...v, confidential: { policy: '{}', commitments: [] } }) },
    check: 'confidential terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.capabilityClass',
    others: { job: (v) => ({ ...v, capabilityClass: 'cpu' }) },
    check: 'confidential terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.checkpoints',
    others: {
      job: (v) => ({ ...v, checkpoints: { schedule: { kind: 'rounds', every: 1 }, holder: null, sealed: false } }),
    },
    check: 'confidential terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'job.comparisons',
    others: {
      job: (v) => ({
        ...v,
        comparisons: [{ path: '/model.bin', element: 'f32', absolute: '0', relative: '0' }],
      }),
    },
    check: 'confidential terms',
    code: 'WRONG_TERMS',
  },
  {
    what: 'one nonce for two attempts',
    lies: { runtimeData: (v) => ({ ...v, nonce: new Uint8Array(32) }) },
    check: 'evidence distinct',
    code: 'REPEATED',
  },
  {
    what: 'one signing key for two attempts',
    lies: { runtimeData: (v) => ({ ...v, signingKey: new Uint8Array(32).fill(1) }) },
    check: 'evidence distinct',
    code: 'REPEATED',
  },
  {
    what: 'one encryption key for two attempts',
    lies: { runtimeData: (v) => ({ ...v, encryptionKey: new Uint8Array(32).fill(1) }) },
    check: 'evidence distinct',
    code: 'REPEATED',
  },
];
