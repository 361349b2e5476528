import { resolve } from 'node:path';
import { z } from 'zod';
import type { JobFile } from '../../domain/job-file.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { checkFiles } from './check-files.ts';
import { renderProblem } from './errors.ts';
import type { JobFileProblem } from './interface.ts';
import { readJobFile } from './load-job-file.ts';
import { parseJobFile } from './parse-job-file.ts';

export const jobValidate = defineCommand({
  name: 'job validate',
  summary: 'check a job file, and the files that it names',
  details:
    'Needs no daemon. Prints every problem with its line, column, field and a hint. Exit code 0 if there is none but warnings, 2 otherwise.',
  arguments: [{ name: 'file', description: 'job file, YAML or JSON', isRequired: true }],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof job validate job.yaml', does: 'Say all that is wrong with it at once.' }],
  run: async ({ arguments: [file = ''] }, { output, workingDirectory }) => {
    const path = resolve(workingDirectory, file);
    const problems = await findProblems(path);
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    output.result({ path, isValid: errors === 0, problems }, () => [
      ...problems.map((problem) => renderProblem(problem)),
      errors === 0 ? `${file} is a valid job` : `${file} has ${plural(errors, 'error')}`,
    ]);
    return errors === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  },
});

async function findProblems(path: string): Promise<readonly JobFileProblem[]> {
  const parsed = parseJobFile(await readJobFile(path));
  if (parsed.kind === 'invalid') return parsed.problems;
  const { jobFile, locate } = parsed;
  return [...(await checkFiles({ path, jobFile, locate })), ...listWarnings(jobFile, locate)];
}

function listWarnings(
  { deadline, resources }: JobFile,
  locate: (field: readonly string[]) => { readonly line: number; readonly column: number },
): readonly JobFileProblem[] {
  if (resources.wallTime <= deadline) return [];
  return [
    {
      severity: 'warning',
      ...locate(['deadline']),
      field: 'deadline',
      message: 'a run may take longer than there is time: resources.wallTime is above the deadline',
      hint: 'Raise the deadline, or lower resources.wallTime.',
    },
  ];
}
