import { readFile, stat } from 'node:fs/promises';
import type { FolderFile } from '../../domain/blob-folder.ts';
import type { GpuRequest } from '../../domain/gpu.ts';
import type { BlobId } from '../../domain/ids.ts';
import { formatDuration, formatSize } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import type { JobDraft } from '../../scheduler/interface.ts';
import { formatCount, plural, renderFields } from '../format.ts';
import { describeEvidence } from '../job-file/check-confidential.ts';
import { JobFileError } from '../job-file/errors.ts';
import type { AddedBlob, JobPlan } from '../job-file/interface.ts';
import type { FolderContents } from '../job-file/place-folders.ts';
import { completeDraft } from '../job-file/resolve-job-file.ts';

/** Files up to this size travel in the request, bytes: the daemon need not be able to read them. */
const INLINE_BYTES = 1024 * 1024;

function describeGpus({ count, models, minMemoryBytes, mig }: GpuRequest): string {
  const kind = mig === null ? 'whole' : `slices ${mig}`;
  const which = models.length === 0 ? 'of any model' : models.join(' or ');
  return `${count} ${kind}, ${which}${minMemoryBytes === 0 ? '' : `, ${formatSize(minMemoryBytes)} each`}`;
}

/** What a submit will do and cost at most, before it does it. */
export function renderPlan(plan: JobPlan, sizeBytes: number, nowMs: number): string[] {
  const { name, replication, isolation, resources, deadlineMs, retries, capabilityClass } = plan.draft;
  const { priority = 'normal', private: isPrivate = false, confidential } = plan.draft;
  const { replicas, quorum } = replication;
  const where = replicas === 1 ? 'one provider' : `${replicas} different providers, ${quorum} must agree`;
  const files = plan.files.length + plan.knownBlobs.length;
  return renderFields([
    ['job', name],
    ['runs', `on ${where} (${capabilityClass})`],
    ['isolation', `${isolation} or stronger; ${plural(retries, 'other provider')} tried where one fails`],
    [
      'limits',
      `memory ${formatSize(resources.memoryBytes)}, ${resources.fuel === null ? '' : `fuel ${formatCount(resources.fuel)}, `}time ${formatDuration(resources.wallTimeMs)}, ` +
        `output ${formatSize(resources.outputBytes)}, logs ${formatSize(resources.logBytes)}`,
    ],
    ['GPUs', resources.gpus === undefined ? undefined : describeGpus(resources.gpus)],
    ['deadline', `in ${formatDuration(Math.max(0, deadlineMs - nowMs))}`],
    ['files', `${files}, ${formatSize(sizeBytes)}${isPrivate ? ', private: encrypted on disk' : ''}`],
    ['evidence', confidential === undefined ? undefined : describeEvidence(confidential.policy)],
    ['priority', priority],
    ['price', renderPrice(plan.draft)],
  ]);
}

function renderPrice({ priceCeiling, replication }: JobPlan['draft']): string {
  if (priceCeiling === '0') return 'nothing: unpaid work';
  const total = BigInt(priceCeiling) * BigInt(replication.replicas);
  return `at most ${priceCeiling} a replica, ${total} in all`;
}

export async function measureFiles(plan: JobPlan): Promise<number> {
  const sizes = await Promise.all(plan.files.map(async ({ path }) => (await stat(path)).size));
  return [...sizes, ...plan.knownBlobs.map(({ sizeBytes }) => sizeBytes)].reduce((sum, size) => sum + size, 0);
}

/**
 * What is in these folders of the node. As of single blobs, their files have to be here: providers fetch them from this node.
 * @throws JobFileError JOB_FILE_FOLDER_NOT_HERE
 */
export async function listFolders(
  client: RpcClient,
  folders: Iterable<BlobId>,
  signal: AbortSignal,
): Promise<FolderContents> {
  const contents = new Map<BlobId, readonly FolderFile[]>();
  for (const folder of new Set(folders)) {
    const { files } = await client.call('blob.folder', { folder }, { signal });
    const missing = files.filter(({ isHere }) => !isHere).length;
    if (missing > 0) {
      throw new JobFileError({ code: 'JOB_FILE_FOLDER_NOT_HERE', folder, missing, files: files.length });
    }
    contents.set(folder, files);
  }
  return contents;
}

/** Gives every file of the plan to the node; the draft then names their blobs. */
export async function addFiles(client: RpcClient, plan: JobPlan, signal: AbortSignal): Promise<JobDraft> {
  const paths = [...new Set(plan.files.map(({ path }) => path))];
  const added = new Map<string, AddedBlob>();
  const inputs = new Set(plan.files.flatMap(({ role, path }) => (role === 'input' ? [path] : [])));
  const { private: isPrivate = false, confidential } = plan.draft;
  for (const path of paths) {
    // What is sealed for providers is encrypted on the disk of this node as well.
    const isSecret = isPrivate || (confidential !== undefined && inputs.has(path));
    added.set(path, await addFile(client, path, { isPrivate: isSecret, signal }));
  }
  return completeDraft(plan, added);
}

export async function addFile(
  client: RpcClient,
  path: string,
  { isPrivate, signal }: { readonly isPrivate: boolean; readonly signal: AbortSignal },
): Promise<AddedBlob> {
  const { size } = await stat(path);
  const how = isPrivate ? { private: true as const } : {};
  if (size > INLINE_BYTES) return client.call('blob.add', { path, ...how }, { signal });
  return client.call('blob.addBytes', { bytes: await readFile(path), ...how }, { signal });
}
