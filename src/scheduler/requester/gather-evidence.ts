import type { UnrevealedReplica } from '../../domain/bundle.ts';
import type { LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import type { JobEvidence, JobView } from '../interface.ts';
import type { AttemptObject, AttemptObjectKind, MissingReplica } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import { gatherLine, type LineModules } from './gather-lines.ts';

export interface EvidenceStores {
  readonly jobs: Pick<JobStore, 'loadObjects' | 'loadSet'>;
  readonly checkpoints: Pick<CheckpointStore, 'find' | 'newest'>;
}

/** The signed objects of a job that has results, agreeing or not. Undefined if no attempt gave one. */
export async function gatherEvidence(
  { jobs: store, checkpoints }: EvidenceStores,
  job: Signed<Job>,
  ended: { readonly view: JobView; readonly missingReplicas: readonly MissingReplica[] },
): Promise<JobEvidence | undefined> {
  const objects = Map.groupBy(await store.loadObjects(ended.view.job), (object) => object.lease);
  const commitmentSet = (await store.loadSet(ended.view.job)) ?? null;
  const revealed = ended.view.attempts.filter((attempt) => attempt.state === 'revealed');
  const found = revealed.flatMap(({ lease }) => describeAttempt(objects, lease));
  const modules: LineModules = { store: checkpoints, find: (lease, kind) => find(objects, lease, kind) };
  const attempts = await Promise.all(
    found.map(async (attempt) => {
      const line = { job: ended.view.job, lease: attempt.lease, lines: found.length };
      const inherited = await gatherLine(modules, line);
      return inherited === undefined ? attempt : { ...attempt, inherited };
    }),
  );
  if (attempts.length === 0) return undefined;
  const unrevealed = commitmentSet === null ? [] : listUnrevealed(objects, ended.view);
  return { job, attempts, commitmentSet, unrevealed, missingReplicas: ended.missingReplicas };
}

type Objects = ReadonlyMap<LeaseId, readonly AttemptObject[]>;

function find(objects: Objects, lease: LeaseId, kind: AttemptObjectKind): SignedWire | undefined {
  return objects.get(lease)?.find((object) => object.kind === kind)?.wire;
}

function describeAttempt(objects: Objects, id: LeaseId): JobEvidence['attempts'][number][] {
  const lease = find(objects, id, 'lease');
  const acceptance = find(objects, id, 'acceptance');
  const receipt = find(objects, id, 'receipt');
  if (lease === undefined || acceptance === undefined || receipt === undefined) return [];
  const commitment = find(objects, id, 'commitment') ?? null;
  const setSignature = find(objects, id, 'set-signature') ?? null;
  const lastProgress = find(objects, id, 'progress');
  const progress = lastProgress === undefined ? {} : { lastProgress };
  const release = find(objects, id, 'release');
  const released = release === undefined ? {} : { release };
  return [{ lease, acceptance, receipt, commitment, setSignature, ...progress, ...released }];
}

/** Attempts whose signature stands under the set and that gave no result. */
function listUnrevealed(objects: Objects, view: JobView): UnrevealedReplica[] {
  return view.attempts.flatMap(({ lease: id, state }) => {
    const lease = find(objects, id, 'lease');
    const commitment = find(objects, id, 'commitment');
    const setSignature = find(objects, id, 'set-signature');
    if (state === 'revealed' || !lease || !commitment || !setSignature) return [];
    return [{ lease, commitment, setSignature }];
  });
}
