import type { Bundle, BundleAttempt, UnrevealedReplica } from '../domain/bundle.ts';
import { CHECKPOINT, type Checkpoint } from '../domain/checkpoint.ts';
import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../domain/commitment.ts';
import { RELEASE, type Release } from '../domain/confidential.ts';
import { ObjectId } from '../domain/ids.ts';
import { JOB, type Job } from '../domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease, type LeaseAcceptance, PROGRESS, type Progress } from '../domain/lease.ts';
import { encodeObject, type ObjectType } from '../domain/object-type.ts';
import { RECEIPT, type Receipt } from '../domain/receipt.ts';
import type { Signed, SignedWire } from '../domain/signed.ts';
import { computeObjectCid } from '../lib/cid.ts';
import { isDaemonError } from '../lib/errors.ts';
import { openSigned } from '../proofs/signed-object.ts';
import { type AttemptAttestation, openAttestation } from './open-attestation.ts';
import { type AttemptChain, type EvidenceBlobs, openChain } from './open-chain.ts';

/** A signed object whose signature holds, or why it was refused. */
export type Opened<Value> =
  | { readonly kind: 'opened'; readonly signed: Signed<Value> }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string };

export interface OpenedAttempt {
  /** Place in the file, which the names of the checks carry. */
  readonly label: string;
  readonly lease: Opened<Lease>;
  readonly acceptance: Opened<LeaseAcceptance>;
  readonly receipt: Opened<Receipt>;
  readonly commitment: Opened<Commitment> | null;
  readonly setSignature: Opened<CommitmentSet> | null;
  readonly lastProgress: Opened<Progress> | null;
  readonly chain: AttemptChain;
  readonly release: Opened<Release> | null;
  readonly attestation: AttemptAttestation;
  /** Oldest first; empty where the attempt began at the beginning. */
  readonly inherited: readonly OpenedInherited[];
}

/** An earlier attempt that state was inherited from. */
export interface OpenedInherited {
  readonly label: string;
  readonly lease: Opened<Lease>;
  readonly acceptance: Opened<LeaseAcceptance>;
  readonly checkpoints: readonly Opened<Checkpoint>[];
}

export interface OpenedUnrevealed {
  readonly label: string;
  readonly lease: Opened<Lease>;
  readonly commitment: Opened<Commitment>;
  readonly setSignature: Opened<CommitmentSet> | null;
}

/** All signed objects of a bundle with their signatures judged: what the checks, which are pure, start from. */
export interface OpenedEvidence {
  readonly job: Opened<Job>;
  readonly attempts: readonly OpenedAttempt[];
  readonly unrevealed: readonly OpenedUnrevealed[];
  readonly commitmentSet: { readonly id: ObjectId; readonly value: CommitmentSet } | null;
  readonly missingReplicas: Bundle['missingReplicas'];
}

export type Evidence = Pick<Bundle, 'job' | 'attempts' | 'unrevealed' | 'commitmentSet' | 'missingReplicas'>;

export async function openEvidence(evidence: Evidence, blobs: EvidenceBlobs = new Map()): Promise<OpenedEvidence> {
  const { commitmentSet, missingReplicas } = evidence;
  const job = await open(JOB, evidence.job);
  return {
    job,
    attempts: await Promise.all(
      evidence.attempts.map((attempt, index) => openAttempt(attempt, `attempt ${index + 1}`, { job, blobs })),
    ),
    unrevealed: await Promise.all(evidence.unrevealed.map(openUnrevealed)),
    commitmentSet:
      commitmentSet === null
        ? null
        : {
            id: ObjectId(computeObjectCid(encodeObject(COMMITMENT_SET, commitmentSet)).toString()),
            value: commitmentSet,
          },
    missingReplicas,
  };
}

async function openAttempt(
  attempt: BundleAttempt,
  label: string,
  { job, blobs }: { readonly job: Opened<Job>; readonly blobs: EvidenceBlobs },
): Promise<OpenedAttempt> {
  const lease = await open(LEASE, attempt.lease);
  const receipt = await open(RECEIPT, attempt.receipt);
  const receiptValue = signedOf(receipt)?.value;
  return {
    label,
    lease,
    acceptance: await open(LEASE_ACCEPTANCE, attempt.acceptance),
    receipt,
    commitment: attempt.commitment && (await open(COMMITMENT, attempt.commitment)),
    setSignature: attempt.setSignature && (await open(COMMITMENT_SET, attempt.setSignature)),
    lastProgress: attempt.lastProgress === undefined ? null : await open(PROGRESS, attempt.lastProgress),
    chain: openChain({ job: signedOf(job), lease: signedOf(lease), receipt: receiptValue }, blobs),
    release: attempt.release === undefined ? null : await open(RELEASE, attempt.release),
    attestation: openAttestation(receiptValue, blobs),
    inherited: await Promise.all(
      (attempt.inherited ?? []).map((inherited, place) => openInherited(inherited, `${label}: inherited ${place + 1}`)),
    ),
  };
}

type InheritedWire = NonNullable<BundleAttempt['inherited']>[number];

async function openInherited(inherited: InheritedWire, label: string): Promise<OpenedInherited> {
  return {
    label,
    lease: await open(LEASE, inherited.lease),
    acceptance: await open(LEASE_ACCEPTANCE, inherited.acceptance),
    checkpoints: await Promise.all(inherited.checkpoints.map((checkpoint) => open(CHECKPOINT, checkpoint))),
  };
}

function signedOf<Value>(opened: Opened<Value>): Signed<Value> | undefined {
  return opened.kind === 'opened' ? opened.signed : undefined;
}

async function openUnrevealed(replica: UnrevealedReplica, index: number): Promise<OpenedUnrevealed> {
  return {
    label: `unrevealed ${index + 1}`,
    lease: await open(LEASE, replica.lease),
    commitment: await open(COMMITMENT, replica.commitment),
    setSignature: replica.setSignature && (await open(COMMITMENT_SET, replica.setSignature)),
  };
}

async function open<Value extends { readonly type: string }>(
  type: ObjectType<Value>,
  wire: SignedWire,
): Promise<Opened<Value>> {
  try {
    return { kind: 'opened', signed: await openSigned(type, wire) };
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return { kind: 'refused', code: error.code, reason: error.message };
  }
}
