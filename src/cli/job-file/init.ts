import { resolve } from 'node:path';
import { z } from 'zod';
import { type ExecutorKind, executorKindSchema } from '../../domain/capability.ts';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { describeError } from '../../lib/errors.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { JobFileError } from './errors.ts';
import { INFERENCE_TEMPLATE } from './inference-template.ts';
import { COMMAND_TEMPLATE, CONTAINER_TEMPLATE, WASM_TEMPLATE } from './template.ts';

const TEMPLATES = {
  wasm: WASM_TEMPLATE,
  command: COMMAND_TEMPLATE,
  container: CONTAINER_TEMPLATE,
  inference: INFERENCE_TEMPLATE,
} as const satisfies Record<ExecutorKind, string>;
const FILE_MODE = 0o644;

export const jobInit = defineCommand({
  name: 'job init',
  summary: 'write a job file to start from',
  details:
    'The file names every field with its default. It is printed if no file is named; an existing file is never overwritten.',
  arguments: [{ name: 'file', description: 'file to write; absent to print it', isRequired: false }],
  options: z.strictObject({
    kind: executorKindSchema.default('wasm').describe('kind of work'),
  }),
  examples: [
    { line: 'fogproof job init job.yaml', does: 'Write job.yaml in this folder.' },
    { line: 'fogproof job init > job.yaml', does: 'The same, by way of the shell.' },
    { line: 'fogproof job init job.yaml --kind command', does: 'The same for a program in a root file system.' },
    { line: 'fogproof job init job.yaml --kind inference', does: 'The same for an ONNX model.' },
  ],
  run: async ({ arguments: [file], options: { kind } }, { output, workingDirectory }) => {
    if (file === undefined) {
      output.result({ kind, text: TEMPLATES[kind] }, () => TEMPLATES[kind].trimEnd().split('\n'));
      return EXIT_CODES.ok;
    }
    const path = resolve(workingDirectory, file);
    try {
      await writeFileAtomic(path, TEMPLATES[kind], { mode: FILE_MODE, existing: 'keep' });
    } catch (error) {
      throw describeFailure(path, error);
    }
    output.result({ path, kind }, () => [
      `wrote ${path}`,
      `edit it, then check it with: fogproof job validate ${file}`,
    ]);
    return EXIT_CODES.ok;
  },
});

function describeFailure(path: string, cause: unknown): JobFileError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
    return new JobFileError({ code: 'JOB_FILE_EXISTS', path }, { cause });
  }
  return new JobFileError({ code: 'JOB_FILE_UNWRITABLE', path, reason: describeError(cause) }, { cause });
}
