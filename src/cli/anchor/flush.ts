import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { formatDuration } from '../../lib/quantity.ts';
import type { RpcClient } from '../../rpc/client.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { type CliContext, defineCommand } from '../interface.ts';
import { renderAnchor } from './render-anchors.ts';

/** How often the progress line is brought up to date, ms. */
const PROGRESS_MS = 500;

export const anchorFlush = defineCommand({
  name: 'anchor flush',
  summary: 'anchor now what waits for a batch, and wait until it is final',
  details:
    'Without it receipts wait for each other up to chain.anchor.maxWaitMs. Finality takes about 13 s on public clusters, about a second on a local chain. Ctrl-C stops the waiting, not the anchoring. Needs a network with a chain.',
  arguments: [],
  options: z.strictObject({}),
  examples: [{ line: 'fogproof anchor flush', does: 'Anchor now; shows transaction, compute units and cost.' }],
  run: async (_, context) => {
    await using client = await context.connect();
    const watching = new AbortController();
    const progress = showProgress(client, context, watching.signal);
    try {
      const { anchor } = await client.call('anchor.flush', {}, { signal: context.signal });
      context.output.progress('');
      context.output.result({ anchor }, () =>
        anchor === null ? ['nothing waits to be anchored'] : renderAnchor(anchor),
      );
      return EXIT_CODES.ok;
    } finally {
      watching.abort();
      await progress;
    }
  },
});

/** Says where the newest batch is, for as long as it takes. */
async function showProgress(client: RpcClient, { output }: CliContext, signal: AbortSignal): Promise<void> {
  if (!output.isInteractive) return;
  const startedAtMs = performance.now();
  while (!signal.aborted) {
    await sleep(PROGRESS_MS, undefined, { signal }).catch(() => {});
    // What fails is told by the call that is waited for.
    const found = await client.call('anchor.list', { limit: 1 }, { signal }).catch(() => undefined);
    const [newest] = found?.anchors ?? [];
    if (newest === undefined || signal.aborted) continue;
    const elapsed = formatDuration(performance.now() - startedAtMs);
    const problem = newest.problem === null ? '' : `: ${newest.problem.message}`;
    output.progress(
      `batch ${newest.batch}, ${plural(newest.receipts, 'receipt')}: ${newest.state}${problem}, ${elapsed}`,
    );
  }
}
