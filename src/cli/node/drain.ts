import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { RpcClient } from '../../rpc/client.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatDateTime, plural } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { resumeWork } from './resume.ts';

/** Between two looks at what still runs, ms. */
const POLL_MS = 250;

export const nodeDrain = defineCommand({
  name: 'node drain',
  summary: 'take no new work, and let what runs come to its end',
  details:
    'The node stays up and goes on with what it has promised. It takes no new work until `node resume`, also after a restart. Own jobs are not affected: they run on other nodes.',
  arguments: [],
  options: z.strictObject({
    resume: z.boolean().default(false).describe('take new work again: as `node resume`'),
    wait: z.boolean().default(false).describe('wait until nothing runs any more'),
  }),
  examples: [
    { line: 'fogproof node drain --wait', does: 'Before the machine is taken down for a while.' },
    { line: 'fogproof node drain --resume', does: 'Take new work again.' },
  ],
  run: async ({ options }, context) => {
    if (options.resume) return resumeWork(context);
    const { signal, output } = context;
    await using client = await context.connect();
    const { provider } = await client.call('node.drain', {}, { signal });
    const left = options.wait ? await waitForQuiet(client, context) : provider.attempts.length;
    output.result({ closed: provider.closed, attempts: left }, () => [
      `drained since ${formatDateTime(provider.closed?.sinceMs ?? 0)}: no new work is taken`,
      left === 0 ? 'nothing runs' : `${plural(left, 'attempt')} still to come to an end; --wait waits for that`,
    ]);
    return EXIT_CODES.ok;
  },
});

async function waitForQuiet(client: RpcClient, { signal, output }: CliContext): Promise<number> {
  for (;;) {
    const { provider } = await client.call('node.status', {}, { signal });
    const left = provider.attempts.length;
    if (left === 0) return left;
    output.progress(`${plural(left, 'attempt')} still to come to an end, ${provider.completed} completed …`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
