import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { renderAnchors } from './render-anchors.ts';

export const anchorList = defineCommand({
  name: 'anchor list',
  summary: 'list batches of receipts on the chain, or on their way to it',
  details:
    'Newest first. Receipts of own jobs are gathered and their Merkle root is written to the log of this node; LAMPORTS is the fee of that transaction, A RECEIPT what falls to each. Needs a network with a chain.',
  arguments: [],
  options: z.strictObject({
    limit: z.int().min(1).max(10_000).default(20).describe('most batches to show').meta({ short: 'n' }),
    full: z.boolean().default(false).describe('whole roots and signatures'),
  }),
  examples: [
    { line: 'fogproof anchor', does: 'The newest batches: state, transaction, cost.' },
    { line: 'fogproof anchor list --json --limit 1000', does: 'The same for a script; roots are base64.' },
  ],
  run: async ({ options: { limit, full } }, context) => {
    await using client = await context.connect();
    const { anchors } = await client.call('anchor.list', { limit }, { signal: context.signal });
    context.output.result({ anchors }, () => renderAnchors(anchors, { output: context.output, isFull: full }));
    return EXIT_CODES.ok;
  },
});
