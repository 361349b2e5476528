import { resolve } from 'node:path';
import { z } from 'zod';
import { listPolicyKinds } from '../../domain/confidential.ts';
import type { JobFile } from '../../domain/job-file.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { checkBatch } from './batch/check-batch.ts';
import { checkConfidential, renderConfidential } from './check-confidential.ts';
import { checkFiles } from './check-files.ts';
import { renderProblem } from './errors.ts';
import type { JobFileProblem } from './interface.ts';
import { readJobFile } from './load-job-file.ts';
import { parseJobFile } from './parse-job-file.ts';

/** Share of the run time that checkpoints may take before `job validate` warns (design section 6). */
const MAX_CHECKPOINT_SHARE = 0.1;
/** Both as measured on two virtual cores (docs/decisions/0009-checkpoints-and-snapshots.md): a guide, not a promise. */
const FUEL_PER_MS = 8_000_000;
const CHECKPOINT_MS_PER_MIB = 0.11;

export const jobValidate = defineCommand({
  name: 'job validate',
  summary: 'check a job file, and the files that it names',
  details:
    'Needs no daemon. Of a batch, goes through all its jobs. Prints every problem with its line, column, field and a hint. Exit code 0 if there is none but warnings, 2 otherwise.',
  arguments: [{ name: 'file', description: 'job file, YAML or JSON', isRequired: true }],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof job validate job.yaml', does: 'Say all that is wrong with it at once.' }],
  run: async ({ arguments: [file = ''] }, { output, workingDirectory }) => {
    const path = resolve(workingDirectory, file);
    const { problems, jobFile, size, policy } = await inspect(path);
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    const jobs = size === undefined ? {} : { jobs: size };
    const confidential = policy === undefined ? null : listPolicyKinds(policy);
    const traits =
      jobFile === null ? {} : { priority: jobFile.priority, private: jobFile.private, confidential, ...jobs };
    output.result({ path, isValid: errors === 0, problems, ...traits }, () => [
      ...problems.map((problem) => renderProblem(problem)),
      errors === 0
        ? `${file} is a valid ${size === undefined ? 'job' : `batch of ${plural(size, 'job')}`}`
        : `${file} has ${plural(errors, 'error')}`,
      ...(jobFile === null ? [] : [renderTraits(jobFile)]),
      ...(policy === undefined ? [] : renderConfidential(policy)),
    ]);
    return errors === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  },
});

interface Inspected {
  readonly problems: readonly JobFileProblem[];
  /** Null where its text is not valid. */
  readonly jobFile: JobFile | null;
  /** Jobs of a batch. */
  readonly size?: number;
  /** JSON, of a confidential job. */
  readonly policy?: string | undefined;
}

async function inspect(path: string): Promise<Inspected> {
  const parsed = parseJobFile(await readJobFile(path));
  if (parsed.kind === 'invalid') return { problems: parsed.problems, jobFile: null };
  const { jobFile, locate } = parsed;
  if (jobFile.batch !== undefined) {
    const { size, problems } = await checkBatch({ path, jobFile, locate });
    return { problems: [...problems, ...listWarnings(jobFile, locate)], jobFile, size };
  }
  const confidential = await checkConfidential({ path, jobFile, locate });
  const files = await checkFiles({ path, jobFile, locate });
  const problems = [...files, ...confidential.problems, ...listWarnings(jobFile, locate)];
  return { problems, jobFile, policy: confidential.policy };
}

function renderTraits(jobFile: JobFile): string {
  const open = jobFile.confidential === undefined ? 'not private' : 'inputs encrypted on the disk of this node';
  const secrecy = jobFile.private ? 'private: encrypted on the disks of this node and of providers' : open;
  return `priority ${jobFile.priority}; ${secrecy}`;
}

function listWarnings(
  { deadline, resources, checkpoints, private: isPrivate }: JobFile,
  locate: (field: readonly string[]) => { readonly line: number; readonly column: number },
): readonly JobFileProblem[] {
  const warnings: JobFileProblem[] = [];
  const warn = (field: readonly string[], message: string, hint: string): void => {
    warnings.push({ severity: 'warning', ...locate(field), field: field.join('.'), message, hint });
  };
  if (resources.wallTime > deadline) {
    const message = 'a run may take longer than there is time: resources.wallTime is above the deadline';
    warn(['deadline'], message, 'Raise the deadline, or lower resources.wallTime.');
  }
  if (isPrivate && typeof checkpoints === 'object' && checkpoints.sealed === false) {
    const message = 'the job is private, and snapshots of its memory are not encrypted';
    warn(['checkpoints', 'sealed'], message, 'Remove checkpoints.sealed: it is true for private jobs.');
  }
  const everyFuel = typeof checkpoints === 'object' ? checkpoints.everyFuel : undefined;
  const share = everyFuel === undefined ? 0 : estimateCheckpointShare(resources.memory, everyFuel);
  if (share > MAX_CHECKPOINT_SHARE) {
    const percent = `about ${Math.round(share * 100)} % of the run time`;
    const message = `checkpoints of a state as large as resources.memory may take ${percent}`;
    warn(
      ['checkpoints', 'everyFuel'],
      message,
      'Raise everyFuel, or lower resources.memory to what the program needs.',
    );
  }
  return warnings;
}

/** Where one page in a hundred changes between two checkpoints, and the program does nothing but arithmetic. */
function estimateCheckpointShare(memoryBytes: number, everyFuel: number): number {
  const intervalMs = everyFuel / FUEL_PER_MS;
  const checkpointMs = (memoryBytes / 2 ** 20) * CHECKPOINT_MS_PER_MIB;
  return checkpointMs / (intervalMs + checkpointMs);
}
