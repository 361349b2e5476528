import { satisfiesIsolation } from '../../../domain/capability.ts';
import type { ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { Job, Resources } from '../../../domain/job.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { NetworkParameters } from '../../../domain/network-definition.ts';
import type { Offer } from '../../../domain/offer.ts';
import type { Signed } from '../../../domain/signed.ts';
import { SNAPSHOT } from '../../../domain/snapshot.ts';
import { findProgramBlob, fitsKind } from '../../../domain/workload.ts';
import { CLOCK_SKEW_MS } from '../../constants.ts';
import { isMoreUrgent, priorityOf } from '../queue/urgency.ts';

/** A job with the lease that is to run it, their signatures verified. */
export interface LeasedJob {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
}

export interface LeaseContext {
  readonly networkId: string;
  readonly parameters: NetworkParameters;
  readonly self: PeerKey;
  readonly requester: PeerKey;
  readonly offer: Signed<Offer>;
  /** Batch statements that sign the jobs, by job. */
  readonly statements: ReadonlyMap<ObjectId, ObjectId>;
  /** True for several leases of one request. */
  readonly isBatch: boolean;
  /** Of jobs whose snapshots are sealed, by lease. */
  readonly snapshotKeys: ReadonlyMap<string, Uint8Array>;
  readonly nowMs: number;
}

/** Each rule that a lease must keep, with what is wrong where it does not. In the order checked. */
const RULES: readonly (readonly [name: string, isKept: (pair: LeasedJob, context: LeaseContext) => boolean])[] = [
  ['the lease is for another network', ({ lease }, { networkId }) => lease.value.network === networkId],
  ['the job is for another network', ({ job }, { networkId }) => job.value.network === networkId],
  ['the lease names another requester', ({ lease }, { requester }) => lease.value.requester === requester],
  ['the job names another requester', ({ job }, { requester }) => job.value.requester === requester],
  ['the lease names another provider', ({ lease }, { self }) => lease.value.provider === self],
  ['the offer was made to another requester', (_, { offer, requester }) => offer.value.requester === requester],
  ['the lease is of another job', ({ lease, job }) => isSameId(lease.value.job, job.id)],
  ['the lease takes another offer', ({ lease }, { offer }) => isSameId(lease.value.offer, offer.id)],
  ['the offer is about another job', isSubject],
  ['the price differs from the offer', ({ lease }, { offer }) => lease.value.price === offer.value.price],
  ['the price is above the ceiling of the job', ({ job }, { offer }) => isPayable(job.value, offer.value)],
  ['the job asks for more than its terms', ({ job }, { offer }) => areResourcesCovered(job.value, offer.value)],
  [
    'the job is more urgent than its terms',
    ({ job }, { offer }) => !isMoreUrgent(priorityOf(job.value), priorityOf(offer.value.terms)),
  ],
  ['the job is of another kind', ({ job }, { offer }) => job.value.workload.kind === offer.value.terms.workloadKind],
  [
    'its limits name fuel and its kind has none, or the reverse',
    ({ job }) => fitsKind(job.value.workload.kind, job.value.resources),
  ],
  [
    'its kind of work makes no checkpoints',
    ({ job }) => job.value.workload.kind === 'wasm' || job.value.checkpoints === undefined,
  ],
  [
    'the job demands stronger isolation',
    ({ job }, { offer }) => satisfiesIsolation(offer.value.isolation, job.value.isolation),
  ],
  [
    'the deadline of the job is after that of its terms',
    ({ job }, { offer }) => job.value.deadlineMs <= offer.value.terms.deadlineMs,
  ],
  ['the lease outlasts the job', ({ lease, job }) => lease.value.deadlineMs <= job.value.deadlineMs],
  [
    'commit and reveal differ between job, terms and lease',
    ({ lease, job }, { offer }) =>
      lease.value.commitReveal === offer.value.terms.commitReveal &&
      lease.value.commitReveal === job.value.replication.replicas > 1,
  ],
  [
    'the job and its terms differ on whether it is confidential',
    ({ job }, { offer }) => (job.value.confidential === undefined) === (offer.value.terms.confidential === undefined),
  ],
  ['a confidential job is neither one of a batch nor kept in checkpoints', isKeptNowhere],
  ['the commitments of the job are not one for each of its inputs', hasCommitments],
  ['the lease names another holder of snapshots than its job', namesHolderOfJob],
  ['the lease and its job differ on whether snapshots are sealed', agreesOnSealing],
  ['the lease resumes a job that makes no checkpoints', ({ lease, job }) => isResumable(lease.value, job.value)],
  ['a batch resumes nothing', ({ lease }, { isBatch }) => lease.value.resume === undefined || !isBatch],
  ['the snapshot to resume from is larger than any', ({ lease }) => isSnapshotSize(lease.value.resume)],
  ['the key of the sealed snapshots is missing', hasSnapshotKey],
  ['the job has no such replica', ({ lease, job }) => lease.value.replica < job.value.replication.replicas],
  [
    "the lease's times are not the network's",
    ({ lease }, { parameters }) =>
      lease.value.durationMs === parameters.leaseDurationMs && lease.value.renewalMs === parameters.leaseRenewalMs,
  ],
  [
    'the lease was issued too far from now',
    ({ lease }, { parameters, nowMs }) =>
      Math.abs(nowMs - lease.value.issuedAtMs) <= CLOCK_SKEW_MS + parameters.offerTtlMs,
  ],
];

/** The first broken rule in words; undefined if all are kept. */
export function findLeaseMismatch(pair: LeasedJob, context: LeaseContext): string | undefined {
  return RULES.find(([, isKept]) => !isKept(pair, context))?.[0];
}

/** Ids of one object that differ in brand only. */
function isSameId(a: string, b: string): boolean {
  return a === b;
}

/** An offer is about the job itself or about the statement that signs it together with others. */
function isSubject({ job }: LeasedJob, { offer, statements }: LeaseContext): boolean {
  return offer.value.subject === job.id || offer.value.subject === statements.get(job.id);
}

/** The state of a confidential job is plaintext: it must not be kept. Each attempt is shown evidence of its own. */
function isKeptNowhere({ job }: LeasedJob, { isBatch }: LeaseContext): boolean {
  const { confidential, checkpoints } = job.value;
  return confidential === undefined || (checkpoints === undefined && !isBatch);
}

function hasCommitments({ job }: LeasedJob): boolean {
  const { confidential, inputs } = job.value;
  return confidential === undefined || confidential.commitments.length === inputs.length;
}

/** Who is given the snapshots: as the job says, and nobody where there are none. */
function namesHolderOfJob({ lease, job }: LeasedJob): boolean {
  const { checkpoints, requester } = job.value;
  const holder = checkpoints === undefined ? undefined : (checkpoints.holder ?? requester);
  return lease.value.snapshotHolder === holder;
}

function agreesOnSealing({ lease, job }: LeasedJob): boolean {
  return (lease.value.snapshotsSealed === true) === (job.value.checkpoints?.sealed === true);
}

function isResumable({ resume }: Lease, { checkpoints }: Job): boolean {
  return resume === undefined || checkpoints !== undefined;
}

function isSnapshotSize(resume: Lease['resume']): boolean {
  return resume === undefined || resume.snapshot.sizeBytes <= SNAPSHOT.maxBytes;
}

/** A batch makes no snapshots, so it needs no keys. */
function hasSnapshotKey({ lease, job }: LeasedJob, { isBatch, snapshotKeys }: LeaseContext): boolean {
  return job.value.checkpoints?.sealed !== true || isBatch || snapshotKeys.has(lease.id);
}

function isPayable(job: Job, offer: Offer): boolean {
  return BigInt(offer.price) <= BigInt(job.priceCeiling);
}

function areResourcesCovered(job: Job, offer: Offer): boolean {
  const names = Object.keys(offer.terms.resources) as (keyof Resources)[];
  return names.every((name) => isWithin(job.resources[name], offer.terms.resources[name]));
}

/** Fuel is null where the kind of work has none; what has a limit is never covered by terms without one. */
function isWithin(asked: number | null, limit: number | null): boolean {
  return asked === null || (limit !== null && asked <= limit);
}

/** Bytes of a job's program and inputs, as the job says. */
export function computeInputBytes(job: Job): number {
  const program = findProgramBlob(job.workload);
  return job.inputs.reduce((sum, input) => sum + input.sizeBytes, program?.sizeBytes ?? 0);
}
