import { type JobId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease, ResumePoint } from '../../domain/lease.ts';
import type { Offer } from '../../domain/offer.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Random } from '../../lib/random.ts';
import type { JobMachineEventOf } from '../job-machine-events.ts';
import type { HeldPoint } from '../job-resume.ts';
import { offerIdOf } from '../object-ids.ts';
import type { JobRequesterOptions } from '../options.ts';
import type { AttemptCase } from './attempt-case.ts';

/** Bytes of a lease's nonce (domain/lease.ts). */
const NONCE_BYTES = 16;

export interface LeaseDescription {
  readonly id: JobId;
  readonly job: Job;
  readonly offer: Signed<Offer>;
  readonly replica: number;
  readonly attempt: number;
  /** What it goes on from; undefined is the beginning. */
  readonly resume?: HeldPoint | undefined;
}

export function createLease(
  description: LeaseDescription,
  context: { readonly requester: PeerKey; readonly random: Random; readonly nowMs: number },
  options: Pick<JobRequesterOptions, 'networkId' | 'parameters'>,
): Lease {
  const { id, job, offer, replica, attempt, resume } = description;
  const holder = job.checkpoints === undefined ? undefined : (job.checkpoints.holder ?? context.requester);
  return {
    type: 'fogproof/lease@1',
    network: options.networkId,
    job: id,
    offer: offerIdOf(offer),
    requester: context.requester,
    provider: offer.value.provider,
    nonce: context.random.bytes(NONCE_BYTES),
    replica,
    attempt,
    price: offer.value.price,
    issuedAtMs: UnixMs(context.nowMs),
    durationMs: options.parameters.leaseDurationMs,
    renewalMs: options.parameters.leaseRenewalMs,
    deadlineMs: job.deadlineMs,
    commitReveal: job.replication.replicas > 1,
    ...(holder === undefined ? {} : { snapshotHolder: holder }),
    ...(job.checkpoints?.sealed === true ? { snapshotsSealed: true } : {}),
    ...(holder === undefined || resume === undefined ? {} : { resume: describeResume(resume, holder) }),
  };
}

function describeResume({ lease, step, head, stateRoot, snapshot }: HeldPoint, holder: PeerKey): ResumePoint {
  return { lease, step, head, stateRoot, snapshot, holder };
}

/** The intent that is journalled before the lease is sent. */
export function describeIssued(attempt: AttemptCase, instrumenter: string): JobMachineEventOf<'lease-issued'> {
  const { provider, replica, attempt: number, issuedAtMs, durationMs, resume } = attempt.lease.value;
  return {
    kind: 'lease-issued',
    atMs: issuedAtMs,
    lease: attempt.id,
    provider,
    replica,
    attempt: number,
    instrumenter,
    leaseEndsAtMs: UnixMs(issuedAtMs + durationMs),
    ...(resume === undefined ? {} : { resumedFrom: { lease: resume.lease, step: resume.step } }),
  };
}
