import type { FolderFile } from '../../domain/blob-folder.ts';
import type { BlobId } from '../../domain/ids.ts';
import { jobPathSchema, MAX_JOB_INPUTS } from '../../domain/job.ts';
import { JobFileError } from './errors.ts';
import type { JobPlan, KnownBlob, KnownFolder } from './interface.ts';

/** What is in folders of the node. */
export type FolderContents = ReadonlyMap<BlobId, readonly FolderFile[]>;

/**
 * Replaces each folder of the node by the files in it.
 * @throws JobFileError JOB_FILE_BAD_FOLDER if they are too many or have paths that a job cannot have; JOB_FILE_MISSING_BLOB
 */
export function placeFolders(plan: JobPlan, contents: FolderContents): JobPlan {
  const knownBlobs = [...plan.knownBlobs];
  for (const known of plan.knownFolders) {
    knownBlobs.push(...placeFolder(known, contents));
    const inputs = [...plan.files, ...knownBlobs].filter(({ role }) => role === 'input').length;
    if (inputs > MAX_JOB_INPUTS) throw refuse(known, `a job has at most ${MAX_JOB_INPUTS} input files`);
  }
  return { ...plan, knownBlobs, knownFolders: [] };
}

function placeFolder(known: KnownFolder, contents: FolderContents): readonly KnownBlob[] {
  const files = contents.get(known.folder);
  if (files === undefined) throw new JobFileError({ code: 'JOB_FILE_MISSING_BLOB', path: known.jobPath });
  if (files.length > MAX_JOB_INPUTS) {
    throw refuse(known, `a job has at most ${MAX_JOB_INPUTS} input files, and it has ${files.length}`);
  }
  return files.map(({ path, blob, sizeBytes }) => {
    const jobPath = `${known.jobPath}/${path}`;
    if (!jobPathSchema.safeParse(jobPath).success) throw refuse(known, `'${path.slice(0, 200)}' is no path in a job`);
    return { role: 'input', jobPath, blob, sizeBytes };
  });
}

function refuse({ folder }: KnownFolder, reason: string): JobFileError {
  return new JobFileError({ code: 'JOB_FILE_BAD_FOLDER', folder, reason });
}
