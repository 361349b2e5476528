import { checkProgram } from '../check-program.ts';
import { JobFileError } from '../errors.ts';
import type { JobFileProblem, OpenedJobFile } from '../interface.ts';
import { expandBatch } from './expand-batch.ts';

/** Problems that are told at most. */
const MAX_PROBLEMS = 20;

export interface CheckedBatch {
  readonly size: number;
  readonly problems: readonly JobFileProblem[];
}

/** Goes through all jobs of a batch: every row, every file, every module. */
export async function checkBatch(file: OpenedJobFile): Promise<CheckedBatch> {
  const { jobFile, locate } = file;
  const random = { bytes: (length: number) => new Uint8Array(length) };
  const problems: JobFileProblem[] = [];
  const modules = new Set<string>();
  const add = (field: string, message: string, hint: string): void => {
    problems.push({ severity: 'error', ...locate(field.split('.')), field, message, hint });
  };
  let size = 0;
  try {
    for await (const { plan } of expandBatch(file, { nowMs: 0, random })) {
      size += 1;
      const [module] = plan.files.flatMap((each) => (each.role === 'program' ? [each.path] : []));
      if (module === undefined || modules.has(module) || problems.length >= MAX_PROBLEMS) continue;
      modules.add(module);
      const reason = await checkProgram(jobFile, module);
      if (reason !== undefined) add(reason.field.join('.'), reason.message, reason.hint);
    }
  } catch (error) {
    if (!(error instanceof JobFileError)) throw error;
    add('batch', error.message, error.hint);
  }
  return { size, problems };
}
