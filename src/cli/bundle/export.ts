import { resolve } from 'node:path';
import { z } from 'zod';
import { formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { JOB_ARGUMENT, resolveJob } from '../job/resolve-job.ts';

const EXTENSIONS = { bundle: 'bundle', 'in-toto': 'intoto.json' } as const;

export const bundleExport = defineCommand({
  name: 'bundle export',
  summary: 'write the evidence of a finished job to a file',
  details:
    'A bundle holds every signed object of the job and, by default, its output files, so that anybody can check it offline with `bundle verify`. The in-toto format is a statement about the outputs, signed with the key of this node, for supply-chain tools; it holds no evidence itself.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    output: z
      .string()
      .exactOptional()
      .describe('file to write, replaced if it is there; by default named after the job, in this folder')
      .meta({ short: 'o', placeholder: 'FILE' }),
    format: z.enum(['bundle', 'in-toto']).default('bundle').describe('bundle or in-toto'),
    content: z
      .enum(['evidence', 'outputs', 'everything'])
      .default('outputs')
      .describe('evidence alone, with the outputs, or with everything: module and inputs too'),
  }),
  examples: [
    {
      line: 'fogproof bundle export latest --output job.bundle',
      does: 'Keep the evidence and the outputs of the last job.',
    },
    { line: 'fogproof bundle export latest --content everything', does: 'Module and inputs too, to run it again.' },
  ],
  run: async ({ arguments: [text = ''], options: { output: file, format, content } }, context) => {
    const { output, signal, workingDirectory } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const path = resolve(workingDirectory, file ?? `${job}.${EXTENSIONS[format]}`);
    const written = await client.call('bundle.export', { job, path, format, content }, { signal });
    output.result(written, () => [
      `wrote ${written.path} (${formatSize(written.sizeBytes)})`,
      `evidence: ${written.verdict}`,
      `check it with: fogproof bundle verify ${written.path}`,
    ]);
    return EXIT_CODES.ok;
  },
});
