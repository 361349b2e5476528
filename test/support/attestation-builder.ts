import { ed25519 } from '@noble/curves/ed25519.js';
import type { EvidenceJudge, EvidenceQuestion } from '../../src/bundle/interface.ts';
import {
  ATTEMPT_EVIDENCE,
  type AttemptEvidence,
  RELEASE,
  type Release,
  RUNTIME_DATA,
  type RuntimeData,
} from '../../src/domain/confidential.ts';
import { BlobId, JobId, LeaseId, ObjectId, UnixMs } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Lease } from '../../src/domain/lease.ts';
import { encodeObject } from '../../src/domain/object-type.ts';
import type { ReceiptAttestation, Result } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { LocalIdentity } from '../../src/identity/local-identity.ts';
import { encodeHex } from '../../src/lib/bytes.ts';
import { computeRawId } from '../../src/lib/cid.ts';
import { type AttestedStatement, encodeAttestedStatement } from '../../src/proofs/attested-statement.ts';
import { computeOutputRoot } from '../../src/proofs/commitment.ts';
import { signObject } from '../../src/proofs/signed-object.ts';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import { computeReportData } from '../../src/tee/release/report-data.ts';
import { encodeSimulatedReport } from '../../src/tee/simulated/report.ts';

type Change<Value> = (value: Value, replica: number) => Value;
const keep = <Value>(value: Value): Value => value;

/** Changes made before something is signed or hashed, by a party that lies with its own key. */
export interface AttestationLies {
  readonly runtimeData?: Change<RuntimeData>;
  readonly evidence?: Change<AttemptEvidence>;
  readonly release?: Change<Release>;
  readonly attestation?: Change<ReceiptAttestation>;
  /** What the attested key signs. */
  readonly statement?: Change<AttestedStatement>;
  /** Who signs the release instead of the requester. */
  readonly releasedBy?: LocalIdentity;
}

export interface ConfidentialPlan {
  /** By default SIMULATED, by the root of `SIMULATED_ROOT`. Of other kinds the report is nothing that a verifier reads. */
  readonly kind?: AttemptEvidence['kind'];
  readonly gpus?: AttemptEvidence['gpus'];
  readonly lies?: AttestationLies;
}

const ROOT_SEED = new Uint8Array(32).fill(77);
export const SIMULATED_ROOT = ed25519.getPublicKey(ROOT_SEED);
export const MEASUREMENT = new Uint8Array(48).fill(0xc0);

/** The part of a job that makes it confidential, with one commitment for each input. */
export function describeConfidential(job: Pick<Job, 'inputs'>): Pick<Job, 'confidential' | 'capabilityClass'> {
  const policy = JSON.stringify({ simulated: { measurements: [encodeHex(MEASUREMENT)] } });
  const commitments = job.inputs.map((_, index) => new Uint8Array(32).fill(0x50 + index));
  return { capabilityClass: 'tee', confidential: { policy, commitments } };
}

export interface BuiltAttestation {
  readonly attestation: ReceiptAttestation;
  readonly release: Signed<Release>;
  readonly evidence: readonly [BlobId, Uint8Array];
}

interface Terms {
  readonly plan: ConfidentialPlan;
  readonly requester: LocalIdentity;
  readonly result: Result;
  readonly replica: number;
  readonly atMs: number;
}

/** What a provider in a simulated TEE and its requester make for one attempt. */
export async function buildAttestation(
  job: Signed<Job>,
  lease: Signed<Lease>,
  { plan, requester, result, replica, atMs }: Terms,
): Promise<BuiltAttestation> {
  const { lies = {} } = plan;
  const signingSeed = new Uint8Array(32).fill(120 + replica);
  const runtimeData = (lies.runtimeData ?? keep)(
    createRuntimeData(job, lease, { result, replica, atMs, signingKey: ed25519.getPublicKey(signingSeed) }),
    replica,
  );
  const evidence = (lies.evidence ?? keep)(await createEvidence(plan, runtimeData, atMs), replica);
  const bytes = encodeObject(ATTEMPT_EVIDENCE, evidence);
  const blob = BlobId(computeRawId(bytes));
  const release = await signObject(
    RELEASE,
    (lies.release ?? keep)(createRelease(job, lease, { evidence: blob, atMs }), replica),
    lies.releasedBy ?? requester,
  );
  const statement = (lies.statement ?? keep)(
    {
      job: JobId(job.id),
      lease: LeaseId(lease.id),
      nonce: runtimeData.nonce,
      commitments: job.value.confidential?.commitments ?? [],
      outputRoot: computeOutputRoot(result),
    },
    replica,
  );
  const attestation = {
    evidence: blob,
    evidenceSizeBytes: bytes.length,
    release: ObjectId(release.id),
    signature: ed25519.sign(encodeAttestedStatement(statement), signingSeed),
  };
  return { release, attestation: (lies.attestation ?? keep)(attestation, replica), evidence: [blob, bytes] };
}

interface RuntimeTerms extends Pick<Terms, 'result' | 'replica' | 'atMs'> {
  readonly signingKey: Uint8Array;
}

function createRuntimeData(
  { id, value: job }: Signed<Job>,
  lease: Signed<Lease>,
  { result, replica, atMs, signingKey }: RuntimeTerms,
): RuntimeData {
  return {
    type: 'fogproof/runtime-data@1',
    network: job.network,
    nonce: new Uint8Array(32).fill(140 + replica),
    job: JobId(id),
    lease: LeaseId(lease.id),
    requester: job.requester,
    requesterKey: new Uint8Array(32).fill(160 + replica),
    provider: lease.value.provider,
    encryptionKey: new Uint8Array(32).fill(180 + replica),
    signingKey,
    sandbox: { isolation: 'process', instrumenter: result.instrumenter },
    expiresAtMs: UnixMs(atMs + 60_000),
  };
}

function createRelease(
  { id, value: job }: Signed<Job>,
  lease: Signed<Lease>,
  { evidence, atMs }: { readonly evidence: BlobId; readonly atMs: number },
): Release {
  return {
    type: 'fogproof/release@1',
    network: job.network,
    job: JobId(id),
    lease: LeaseId(lease.id),
    requester: job.requester,
    provider: lease.value.provider,
    evidence,
    evaluatedAtMs: UnixMs(atMs + 100),
    encapsulatedKey: new Uint8Array(32).fill(200),
    sealedSecrets: new Uint8Array(80).fill(201),
  };
}

async function createEvidence(
  plan: ConfidentialPlan,
  runtimeData: RuntimeData,
  atMs: number,
): Promise<AttemptEvidence> {
  const encoded = encodeObject(RUNTIME_DATA, runtimeData);
  const reportData = await computeReportData(new NodeEvidenceCrypto(), encoded);
  const report = encodeSimulatedReport(
    { type: 'fogproof/simulated-report@1', measurement: MEASUREMENT, reportData, signedAtMs: UnixMs(atMs) },
    (message) => ed25519.sign(message, ROOT_SEED),
  );
  return {
    type: 'fogproof/attempt-evidence@1',
    kind: plan.kind ?? 'simulated',
    runtimeData: encoded,
    report,
    certificates: [],
    collateral: null,
    gpus: plan.gpus ?? null,
  };
}

/** Finds everything good, so that what is left is found by the bundle's own checks; keeps what it was asked. */
export class AgreeableJudge implements EvidenceJudge {
  readonly questions: EvidenceQuestion[] = [];

  async judge(question: EvidenceQuestion) {
    this.questions.push(question);
    return {
      checks: [{ name: 'report-signature', verdict: 'passed' as const, detail: 'it holds' }],
      measurements: [{ name: 'measurement', value: encodeHex(MEASUREMENT) }],
    };
  }
}
