import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { JOB_ARGUMENT, resolveJob } from '../job/resolve-job.ts';
import { renderChecks } from './render-anchors.ts';

export const anchorVerify = defineCommand({
  name: 'anchor verify',
  summary: "have the program check on chain that a job's receipts are anchored",
  details:
    'One transaction a receipt, paid by the wallet of this node: a public record that the program itself found the inclusion proof good. To check without paying, and without a daemon, use `fogproof bundle verify FILE --rpc-url URL`. Needs a network with a chain.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof anchor verify latest', does: 'Check the newest job; shows compute units and fees.' }],
  run: async ({ arguments: [text = ''] }, context) => {
    await using client = await context.connect();
    const { signal, output } = context;
    const job = await resolveJob(client, text, signal);
    output.progress('waiting until the checks are final …');
    const { checks } = await client.call('anchor.verify', { job }, { signal });
    output.progress('');
    output.result({ job, checks }, () => renderChecks(checks, output));
    return EXIT_CODES.ok;
  },
});
