import type { BlobStore } from '../../blob/interface.ts';
import { type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { fitsKind } from '../../domain/workload.ts';
import type { Random } from '../../lib/random.ts';
import { SchedulerError } from '../errors.ts';
import type { JobDraft } from '../interface.ts';
import { listJobBlobs } from './inline-blobs.ts';

/** Bytes of a job's nonce (domain/job.ts). */
const NONCE_BYTES = 16;
/** AES-256-GCM (docs/stepping.md section 6.3). */
const SNAPSHOT_KEY_BYTES = 32;

/** A draft whose inputs are sealed, if the job is confidential. */
export type JobBody = Omit<JobDraft, 'confidential'> & Pick<Job, 'confidential'>;

/** The job that a draft becomes. @throws SchedulerError if no provider could ever fulfil it */
export function createJob(
  draft: JobBody,
  context: { readonly network: string; readonly requester: PeerKey; readonly random: Random; readonly nowMs: number },
): Job {
  const { network, requester, random, nowMs } = context;
  assertPossible(draft, nowMs);
  return {
    ...draft,
    type: 'fogproof/job@1',
    network,
    requester,
    nonce: random.bytes(NONCE_BYTES),
    createdAtMs: UnixMs(nowMs),
  };
}

/** Seals the snapshots of one job (docs/stepping.md section 6.3); null where they are not sealed. */
export function createSnapshotKey(job: Job, random: Random): Uint8Array | null {
  return job.checkpoints?.sealed === true ? random.bytes(SNAPSHOT_KEY_BYTES) : null;
}

/** @throws SchedulerError if no provider could ever fulfil it */
export function assertPossible(draft: Omit<JobDraft, 'confidential'>, nowMs: number): void {
  const { replicas, quorum } = draft.replication;
  if (quorum > replicas || quorum * 2 <= replicas) {
    throw new SchedulerError({ code: 'SCHEDULER_BAD_QUORUM', quorum, replicas });
  }
  if (draft.deadlineMs <= nowMs) {
    throw new SchedulerError({ code: 'SCHEDULER_DEADLINE_PAST', deadlineMs: draft.deadlineMs, nowMs });
  }
  const { workload, resources } = draft;
  if (!fitsKind(workload.kind, resources)) {
    throw new SchedulerError({ code: 'SCHEDULER_FUEL_OF_KIND', kind: workload.kind });
  }
  const isExact = workload.kind === 'command' && draft.comparisons !== undefined;
  if (isExact || (workload.kind !== 'wasm' && draft.checkpoints !== undefined)) {
    throw new SchedulerError({ code: 'SCHEDULER_NO_CHECKPOINTS', kind: workload.kind });
  }
  const paths = new Set<string>();
  for (const { path } of draft.inputs) {
    if (paths.has(path)) throw new SchedulerError({ code: 'SCHEDULER_DUPLICATE_PATH', path });
    paths.add(path);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/**
 * Everything that the jobs name must be in the store: providers fetch it from here. What private jobs name is encrypted on
 * disk when it resolves. @throws SchedulerError
 */
export async function assertBlobsHeld(jobs: readonly Job[], blobs: Pick<BlobStore, 'stat' | 'receive'>): Promise<void> {
  const secret = new Set(
    jobs
      .filter((job) => job.private === true)
      .flatMap(listJobBlobs)
      .map(({ blob }) => blob),
  );
  const named = new Map(jobs.flatMap(listJobBlobs).map((blob) => [`${blob.blob}/${blob.sizeBytes}`, blob]));
  await Promise.all(
    [...named.values()].map((input) => assertBlobHeld(input, blobs, { isPrivate: secret.has(input.blob) })),
  );
}

/** One that is to be private, and is here in plain, is encrypted on disk when it resolves. @throws SchedulerError */
export async function assertBlobHeld(
  { path, blob, sizeBytes }: Job['inputs'][number],
  blobs: Pick<BlobStore, 'stat' | 'receive'>,
  { isPrivate }: { readonly isPrivate: boolean },
): Promise<void> {
  const heldBytes = (await blobs.stat(blob))?.sizeBytes ?? null;
  if (heldBytes !== sizeBytes) throw new SchedulerError({ code: 'SCHEDULER_BLOB_MISSING', path, blob, heldBytes });
  // Nothing is read of what is given.
  if (isPrivate) await blobs.receive(blob, sizeBytes, nothing(), { isPrivate });
}
