import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { InputSource, JobFile } from '../../domain/job-file.ts';
import { describeMissing, type Reason } from './check-module.ts';
import { checkProgram, type ProgramReason } from './check-program.ts';
import { JobFileError } from './errors.ts';
import { openImage } from './image/open-image.ts';
import type { FieldLocator, JobFileProblem } from './interface.ts';
import { expandFolders } from './load-job-file.ts';
import { resolveJobFile } from './resolve-job-file.ts';

interface Subject {
  readonly path: string;
  readonly jobFile: JobFile;
  readonly locate: FieldLocator;
}

/** Problems of the files that a job file names: absent ones, folders that cannot be taken, a module that cannot run. */
export async function checkFiles({ path, jobFile, locate }: Subject): Promise<readonly JobFileProblem[]> {
  const directory = dirname(resolve(path));
  const found = await Promise.all([
    checkProgramSource(jobFile, directory),
    ...Object.entries(jobFile.inputs).map(([name, source]) =>
      checkSource(['inputs', name], source, async (file) => checkInput(resolve(directory, file))),
    ),
  ]);
  const problems = found.filter((problem) => problem !== undefined);
  const all = problems.length > 0 ? problems : await checkFolders(jobFile, directory);
  return all.map(({ field, message, hint }) => ({
    severity: 'error',
    ...locate(field),
    field: field.join('.'),
    message,
    hint,
  }));
}

async function checkProgramSource(jobFile: JobFile, directory: string): Promise<ProgramReason | undefined> {
  const { workload } = jobFile;
  if (workload.kind === 'container') return await checkImage(workload, directory);
  const source = programSourceOf(workload);
  if (typeof source !== 'string' || source === 'host') return undefined;
  return await checkProgram(jobFile, resolve(directory, source));
}

/** What a provider would look at first; its layers are looked into where they are unpacked. */
async function checkImage(
  workload: Extract<JobFile['workload'], { kind: 'container' }>,
  directory: string,
): Promise<ProgramReason | undefined> {
  try {
    await openImage(resolve(directory, workload.image), workload);
    return undefined;
  } catch (error) {
    if (!(error instanceof JobFileError)) throw error;
    return { field: ['workload', 'image'], message: error.message, hint: error.hint };
  }
}

function programSourceOf(workload: Exclude<JobFile['workload'], { kind: 'container' }>): InputSource {
  switch (workload.kind) {
    case 'wasm':
      return workload.module;
    case 'command':
      return workload.root;
    case 'inference':
      return workload.model;
    default:
      return workload satisfies never;
  }
}

/** Blobs and folders that the node has already are for the node to check. */
async function checkSource(
  field: readonly string[],
  source: InputSource,
  check: (path: string) => Promise<Reason | undefined>,
): Promise<ProgramReason | undefined> {
  const reason = typeof source === 'string' ? await check(source) : undefined;
  return reason && { field, ...reason };
}

async function checkInput(path: string): Promise<Reason | undefined> {
  try {
    await stat(path);
    return undefined;
  } catch (error) {
    return describeMissing(path, error);
  }
}

async function checkFolders(jobFile: JobFile, directory: string): Promise<readonly ProgramReason[]> {
  const random = { bytes: (length: number) => new Uint8Array(length) };
  try {
    await expandFolders(resolveJobFile(jobFile, { directory, nowMs: 0, random }));
    return [];
  } catch (error) {
    if (!(error instanceof JobFileError)) throw error;
    return [{ field: ['inputs'], message: error.message, hint: 'Name regular files, or folders of them.' }];
  }
}
