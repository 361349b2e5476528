import { open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { FileSource, JobFile } from '../../domain/job-file.ts';
import { describeError } from '../../lib/errors.ts';
import { JobFileError } from './errors.ts';
import type { FieldLocator, JobFileProblem } from './interface.ts';
import { expandFolders } from './load-job-file.ts';
import { resolveJobFile } from './resolve-job-file.ts';

/** `\0asm` and version 1: how every WebAssembly module begins (WebAssembly core specification 5.5.16). */
const WASM_MAGIC = '0061736d01000000';

interface Subject {
  readonly path: string;
  readonly jobFile: JobFile;
  readonly locate: FieldLocator;
}

/** Problems of the files that a job file names: absent ones, folders that cannot be taken, a module that is none. */
export async function checkFiles({ path, jobFile, locate }: Subject): Promise<readonly JobFileProblem[]> {
  const directory = dirname(resolve(path));
  const problem = (field: readonly string[], message: string, hint: string): JobFileProblem => ({
    severity: 'error',
    ...locate(field),
    field: field.join('.'),
    message,
    hint,
  });
  const problems: JobFileProblem[] = [];
  const fields: [string[], FileSource][] = [
    [['workload', 'module'], jobFile.workload.module],
    ...Object.entries(jobFile.inputs).map(([name, source]): [string[], FileSource] => [['inputs', name], source]),
  ];
  for (const [field, source] of fields) {
    if (typeof source !== 'string') continue;
    const reason =
      field[0] === 'workload'
        ? await checkModule(resolve(directory, source))
        : await checkInput(resolve(directory, source));
    if (reason !== undefined) problems.push(problem(field, reason.message, reason.hint));
  }
  if (problems.length === 0) {
    const reason = await checkFolders(jobFile, directory);
    if (reason !== undefined) problems.push(problem(['inputs'], reason, 'Name regular files, or folders of them.'));
  }
  return problems;
}

interface Reason {
  readonly message: string;
  readonly hint: string;
}

const PATH_HINT = 'Relative paths start at the folder of the job file.';

async function checkModule(path: string): Promise<Reason | undefined> {
  try {
    await using file = await open(path, 'r');
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    if (buffer.toString('hex') === WASM_MAGIC) return undefined;
  } catch (error) {
    return { message: describeMissing(path, error), hint: PATH_HINT };
  }
  return {
    message: `${path} is no WebAssembly module: it does not begin with \\0asm and version 1`,
    hint: 'Name the binary module (.wasm); text (.wat) and components are not taken.',
  };
}

async function checkInput(path: string): Promise<Reason | undefined> {
  try {
    await stat(path);
    return undefined;
  } catch (error) {
    return { message: describeMissing(path, error), hint: PATH_HINT };
  }
}

function describeMissing(path: string, error: unknown): string {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return isMissing ? `${path} does not exist` : `${path} cannot be read: ${describeError(error)}`;
}

async function checkFolders(jobFile: JobFile, directory: string): Promise<string | undefined> {
  try {
    await expandFolders(resolveJobFile(jobFile, { directory, nowMs: 0, random: { bytes: (n) => new Uint8Array(n) } }));
    return undefined;
  } catch (error) {
    if (error instanceof JobFileError) return error.message;
    throw error;
  }
}
