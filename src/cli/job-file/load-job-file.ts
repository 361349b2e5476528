import type { Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { jobPathSchema, MAX_JOB_INPUTS } from '../../domain/job.ts';
import { MAX_JOB_FILE_BYTES } from '../../domain/job-file.ts';
import type { Random } from '../../lib/random.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';
import { JobFileError } from './errors.ts';
import { openImage } from './image/open-image.ts';
import type { JobPlan, OpenedJobFile, PlannedFile, PlannedImage } from './interface.ts';
import { loadPolicy } from './load-policy.ts';
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

/** Reads and checks a job file; it may describe one job or a batch. @throws JobFileError */
export async function openJobFile(path: string): Promise<OpenedJobFile> {
  const parsed = parseJobFile(await readJobFile(path));
  if (parsed.kind === 'valid') return { path, jobFile: parsed.jobFile, locate: parsed.locate };
  throw new JobFileError({ code: 'JOB_FILE_INVALID', path, problems: parsed.problems });
}

/** @throws JobFileError */
export async function loadJobFile(path: string, context: PlanContext): Promise<JobPlan> {
  return planJob(await openJobFile(path), context);
}

export interface PlanContext {
  readonly nowMs: number;
  readonly random: Random;
}

/** The one job of a file; input folders become the files in them. @throws JobFileError */
export async function planJob(opened: OpenedJobFile, context: PlanContext): Promise<JobPlan> {
  const directory = dirname(resolve(opened.path));
  const policy = await loadPolicy(opened, directory);
  return await expandFolders(resolveJobFile(opened.jobFile, { ...context, directory, policy }));
}

/** Replaces each input that is a folder by the files in it, in order of their paths. @throws JobFileError */
export async function expandFolders(plan: JobPlan): Promise<JobPlan> {
  const files: PlannedFile[] = [];
  for (const file of plan.files) {
    for await (const found of expandFile(file)) {
      files.push(found);
      assertFileCount(file.path, countInputs(files) + plan.knownBlobs.length);
    }
  }
  return { ...plan, files };
}

/** Parts of an image are counted by its manifest. */
export function countInputs(files: readonly PlannedFile[]): number {
  return files.filter(({ role }) => role !== 'image-part').length;
}

/** @throws JobFileError */
export function assertFileCount(path: string, count: number): void {
  if (count > MAX_JOB_INPUTS + 1) throw unreadable(path, `a job has at most ${MAX_JOB_INPUTS} input files`);
}

export async function* expandFile(file: PlannedFile): AsyncIterable<PlannedFile> {
  if (file.role === 'image') {
    yield* expandImage(file);
    return;
  }
  const found = await statFile(file.path);
  if (found.isFile()) yield file;
  else if (file.role === 'input' && found.isDirectory()) yield* expandFolder(file.path, file.jobPath);
  else throw unreadable(file.path, 'it is not a regular file');
}

async function* expandImage(image: PlannedImage): AsyncIterable<PlannedFile> {
  const { manifest, config, layers } = await openImage(image.path, image);
  yield { role: 'image-part', part: 'manifest', ...manifest };
  yield { role: 'image-part', part: 'config', ...config };
  for (const layer of layers) yield { role: 'image-part', part: 'layer', ...layer };
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
