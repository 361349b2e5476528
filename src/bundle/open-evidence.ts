import type { Bundle, BundleAttempt, UnrevealedReplica } from '../domain/bundle.ts';
import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../domain/commitment.ts';
import { ObjectId } from '../domain/ids.ts';
import { JOB, type Job } from '../domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease, type LeaseAcceptance, PROGRESS, type Progress } from '../domain/lease.ts';
import { encodeObject, type ObjectType } from '../domain/object-type.ts';
import { RECEIPT, type Receipt } from '../domain/receipt.ts';
import type { Signed, SignedWire } from '../domain/signed.ts';
import { computeObjectCid } from '../lib/cid.ts';
import { isDaemonError } from '../lib/errors.ts';
import { openSigned } from '../proofs/signed-object.ts';

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

export async function openEvidence(evidence: Evidence): Promise<OpenedEvidence> {
  const { commitmentSet, missingReplicas } = evidence;
  return {
    job: await open(JOB, evidence.job),
    attempts: await Promise.all(evidence.attempts.map(openAttempt)),
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

async function openAttempt(attempt: BundleAttempt, index: number): Promise<OpenedAttempt> {
  return {
    label: `attempt ${index + 1}`,
    lease: await open(LEASE, attempt.lease),
    acceptance: await open(LEASE_ACCEPTANCE, attempt.acceptance),
    receipt: await open(RECEIPT, attempt.receipt),
    commitment: attempt.commitment && (await open(COMMITMENT, attempt.commitment)),
    setSignature: attempt.setSignature && (await open(COMMITMENT_SET, attempt.setSignature)),
    lastProgress: attempt.lastProgress === undefined ? null : await open(PROGRESS, attempt.lastProgress),
  };
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
