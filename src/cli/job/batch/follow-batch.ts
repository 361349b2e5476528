import type { RpcClient } from '../../../rpc/client.ts';
import type { CliContext } from '../../interface.ts';
import { BatchProgress } from './batch-progress.ts';
import { type ShownBatch, totalsOf } from './render-batch.ts';

/** Where no line is drawn over and over, one is printed this often, ms. */
const NOTE_INTERVAL_MS = 10_000;

/** Shows how a batch comes on, until it has ended; gives how it stands then. */
export async function followBatch(
  { client, context }: { readonly client: RpcClient; readonly context: CliContext },
  batch: ShownBatch['batch'],
  { until, signal }: { readonly until: (view: ShownBatch) => boolean; readonly signal: AbortSignal },
): Promise<ShownBatch> {
  const { output } = context;
  const progress = new BatchProgress();
  let notedAtMs = Date.now();
  try {
    for await (const view of client.subscribe('batch.subscribe', { batch: batch as never }, { signal })) {
      const nowMs = Date.now();
      const text = progress.describe(view, nowMs);
      output.progress(text);
      if (!output.isInteractive && nowMs - notedAtMs >= NOTE_INTERVAL_MS) {
        output.note(text);
        notedAtMs = nowMs;
      }
      if (until(view)) return view;
    }
    return await client.call('batch.show', { batch: batch as never }, { signal });
  } finally {
    output.progress('');
  }
}

/** Nothing of it is active: it has ended, or the rest was never submitted. */
export function isQuiet(view: ShownBatch): boolean {
  const { running, waiting } = totalsOf(view);
  return running + waiting === 0;
}
