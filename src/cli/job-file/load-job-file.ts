import type { Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { jobPathSchema, MAX_JOB_INPUTS } from '../../domain/job.ts';
import { MAX_JOB_FILE_BYTES } from '../../domain/job-file.ts';
import type { Random } from '../../lib/random.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';
import { JobFileError } from './errors.ts';
import type { JobPlan, PlannedFile } from './interface.ts';
import { parseJobFile } from './parse-job-file.ts';
import { resolveJobFile } from './resolve-job-file.ts';

/** Text of a job file. @throws JobFileError JOB_FILE_UNREADABLE, JOB_FILE_TOO_LARGE */
export async function readJobFile(path: string): Promise<string> {
  const { size } = await statFile(path);
  if (size > MAX_JOB_FILE_BYTES) {
    throw new JobFileError({ code: 'JOB_FILE_TOO_LARGE', path, maxBytes: MAX_JOB_FILE_BYTES });
  }
  return await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** Reads, checks and resolves a job file; input folders become the files in them. @throws JobFileError */
export async function loadJobFile(
  path: string,
  context: { readonly nowMs: number; readonly random: Random },
): Promise<JobPlan> {
  const parsed = parseJobFile(await readJobFile(path));
  if (parsed.kind === 'invalid') {
    throw new JobFileError({ code: 'JOB_FILE_INVALID', path, problems: parsed.problems });
  }
  const plan = resolveJobFile(parsed.jobFile, { ...context, directory: dirname(resolve(path)) });
  return await expandFolders(plan);
}

/** Replaces each input that is a folder by the files in it, in order of their paths. @throws JobFileError */
export async function expandFolders(plan: JobPlan): Promise<JobPlan> {
  const files: PlannedFile[] = [];
  for (const file of plan.files) {
    for await (const found of expandFile(file)) {
      files.push(found);
      if (files.length + plan.knownBlobs.length > MAX_JOB_INPUTS + 1) {
        throw unreadable(file.path, `a job has at most ${MAX_JOB_INPUTS} input files`);
      }
    }
  }
  return { ...plan, files };
}

async function* expandFile(file: PlannedFile): AsyncIterable<PlannedFile> {
  const found = await statFile(file.path);
  if (found.isFile()) yield file;
  else if (file.role === 'input' && found.isDirectory()) yield* expandFolder(file.path, file.jobPath);
  else throw unreadable(file.path, 'it is not a regular file');
}

/** Links inside a folder are refused: they may lead anywhere, and round in circles. */
async function* expandFolder(folder: string, jobFolder: string): AsyncIterable<PlannedFile> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    const jobPath = `${jobFolder}/${entry.name}`;
    if (entry.isDirectory()) yield* expandFolder(path, jobPath);
    else if (entry.isFile() && jobPathSchema.safeParse(jobPath).success) yield { role: 'input', path, jobPath };
    else throw unreadable(path, 'it is not a regular file with a path that a job can have');
  }
}

async function statFile(path: string): Promise<Stats> {
  return await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

function unreadable(path: string, reason: unknown): JobFileError {
  return new JobFileError(
    { code: 'JOB_FILE_UNREADABLE', path, reason: describeFileProblem(reason) },
    { cause: reason },
  );
}
