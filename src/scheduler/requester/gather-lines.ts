import { type BundleAttempt, MAX_INHERITED_ATTEMPTS, MAX_INHERITED_CHECKPOINTS } from '../../domain/bundle.ts';
import type { JobId, LeaseId } from '../../domain/ids.ts';
import { LEASE, type Lease } from '../../domain/lease.ts';
import { decodeObject } from '../../domain/object-type.ts';
import type { SignedWire } from '../../domain/signed.ts';
import { readSignedPayload } from '../../proofs/signed-object.ts';
import type { CheckpointStore, StoredCheckpoint } from '../checkpoint-store.ts';

/** Checkpoints of all lines of one job in its evidence at most: some 700 bytes each, in a bundle of 4 MiB. */
const MAX_LINE_CHECKPOINTS = 2_048;

type Inherited = NonNullable<BundleAttempt['inherited']>;

export interface LineModules {
  readonly store: Pick<CheckpointStore, 'find' | 'newest'>;
  /** Lease and acceptance of an attempt of this job. */
  readonly find: (lease: LeaseId, kind: 'lease' | 'acceptance') => SignedWire | undefined;
}

/** What an attempt inherited, the oldest first; undefined if it began at the beginning. */
export async function gatherLine(
  { store, find }: LineModules,
  attempt: { readonly job: JobId; readonly lease: SignedWire; readonly lines: number },
): Promise<Inherited | undefined> {
  const points: { readonly resume: NonNullable<Lease['resume']>; readonly lease: SignedWire }[] = [];
  let { resume } = readLease(attempt.lease);
  while (resume !== undefined && points.length < MAX_INHERITED_ATTEMPTS) {
    const lease = find(resume.lease, 'lease');
    if (lease === undefined) break;
    points.push({ resume, lease });
    resume = readLease(lease).resume;
  }
  if (points.length === 0) return undefined;
  const share = Math.floor(MAX_LINE_CHECKPOINTS / (points.length * attempt.lines));
  const limit = Math.max(2, Math.min(MAX_INHERITED_CHECKPOINTS, share));
  const inherited: Inherited = [];
  for (const { resume: point, lease } of points.reverse()) {
    const acceptance = find(point.lease, 'acceptance');
    const checkpoints = await gatherCheckpoints(store, { job: attempt.job, point, limit });
    if (acceptance !== undefined && checkpoints.length > 0) inherited.push({ lease, acceptance, checkpoints });
  }
  return inherited;
}

const readLease = (wire: SignedWire): Lease => decodeObject(LEASE, readSignedPayload(wire));

/** The first, and the last ones up to the one that was taken over. */
async function gatherCheckpoints(
  store: LineModules['store'],
  request: { readonly job: JobId; readonly point: NonNullable<Lease['resume']>; readonly limit: number },
): Promise<SignedWire[]> {
  const { job, point, limit } = request;
  const taken = await findStep(store, job, point);
  if (taken === undefined) return [];
  const last = await store.newest(job, point.lease, { limit, index: taken.value.index });
  const [oldest] = last;
  const first = oldest === undefined || oldest.value.index === 0 ? undefined : await store.find(job, point.lease, 0);
  const kept = first === undefined ? last : [first, ...last.slice(last.length === limit ? 1 : 0)];
  return kept.map(({ wire }) => wire);
}

/** Steps ascend with indices, so the place of a step is found by halving. */
async function findStep(
  store: LineModules['store'],
  job: JobId,
  { lease, step }: NonNullable<Lease['resume']>,
): Promise<StoredCheckpoint | undefined> {
  const [newest] = await store.newest(job, lease, { limit: 1 });
  let low = 0;
  let high = newest?.value.index ?? -1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const [found] = await store.newest(job, lease, { limit: 1, index: middle });
    if (found?.value.step === step) return found;
    if (found === undefined || found.value.step < step) low = middle + 1;
    else high = found.value.index - 1;
  }
  return undefined;
}
