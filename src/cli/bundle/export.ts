import { resolve } from 'node:path';
import { z } from 'zod';
import type { ExportedBundle } from '../../bundle/interface.ts';
import { UsageError } from '../../lib/errors.ts';
import { formatSize } from '../../lib/quantity.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { defineCommand } from '../interface.ts';
import { JOB_ARGUMENT, resolveJob } from '../job/resolve-job.ts';
import { readDuration } from './read-duration.ts';

const EXTENSIONS = { bundle: 'bundle', 'in-toto': 'intoto.json' } as const;

export const bundleExport = defineCommand({
  name: 'bundle export',
  summary: 'write the evidence of a finished job to a file',
  details:
    'A bundle holds every signed object of the job and, by default, its output files, so that anybody can check it with `bundle verify`. Receipts that are anchored by then carry their inclusion proofs. The in-toto format is a statement about the outputs, signed with the key of this node, for supply-chain tools; it holds no evidence itself. Snapshots are written unsealed, also where the job seals them: whoever has the file can read what the program had in its memory.',
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
    snapshots: z
      .enum(['none', 'last', 'all'])
      .default('none')
      .describe('states that this node holds, for `job replay`: none, the newest of each replica, or all'),
    waitForAnchor: z
      .string()
      .exactOptional()
      .describe('wait until the receipts are anchored, at most this long; by default not at all')
      .meta({ placeholder: 'DURATION' }),
  }),
  examples: [
    {
      line: 'fogproof bundle export latest --output job.bundle',
      does: 'Keep the evidence and the outputs of the last job.',
    },
    { line: 'fogproof bundle export latest --content everything', does: 'Module and inputs too, to run it again.' },
    {
      line: 'fogproof bundle export latest --content everything --snapshots all',
      does: 'With the states in between, so that `job replay --from` need not begin at the beginning.',
    },
    {
      line: 'fogproof bundle export latest --wait-for-anchor 5m',
      does: 'Wait until the receipts are on the chain; what is not by then is exported without.',
    },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { output, signal, workingDirectory } = context;
    const { output: file, format, content, snapshots } = options;
    if (format === 'in-toto' && snapshots !== 'none') {
      throw new UsageError('--snapshots is for bundle files', 'An in-toto export holds no snapshots.');
    }
    const waitForAnchorMs = readDuration('--wait-for-anchor', options.waitForAnchor);
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const path = resolve(workingDirectory, file ?? `${job}.${EXTENSIONS[format]}`);
    if (waitForAnchorMs !== undefined) output.note('waiting until the receipts are anchored');
    const written = await client.call(
      'bundle.export',
      { job, path, format, content, snapshots, ...(waitForAnchorMs === undefined ? {} : { waitForAnchorMs }) },
      { signal },
    );
    output.result(written, () => renderWritten(written, format));
    return EXIT_CODES.ok;
  },
});

function renderWritten(written: ExportedBundle, format: keyof typeof EXTENSIONS): string[] {
  const { path, sizeBytes, verdict, receipts, anchored, waitingInBatches, snapshots } = written;
  const batches = `${waitingInBatches.length === 1 ? 'batch' : 'batches'} ${waitingInBatches.join(', ')}`;
  const waiting = anchored === 0 ? 'waiting' : 'others wait';
  const asks = format === 'bundle' && anchored > 0 ? ' --rpc-url URL' : '';
  return [
    `wrote ${path} (${formatSize(sizeBytes)})`,
    `evidence: ${verdict}`,
    `anchored: ${anchored} of ${plural(receipts, 'receipt')}`,
    ...(waitingInBatches.length === 0
      ? []
      : [`${waiting} in ${batches}: see \`fogproof anchor list\`, or export with --wait-for-anchor`]),
    ...(snapshots === 0 ? [] : [`snapshots: ${snapshots}, unsealed; run it again with: fogproof job replay ${path}`]),
    `check it with: fogproof bundle verify ${path}${asks}`,
  ];
}
