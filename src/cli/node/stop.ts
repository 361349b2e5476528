import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EXIT_CODES } from '../exit-codes.ts';
import { defineCommand } from '../interface.ts';
import { StartError } from './errors.ts';

/** How often the process is looked for, ms: the system tells nobody but its parent when it ends. */
const POLL_MS = 20;

export const nodeStop = defineCommand({
  name: 'node stop',
  summary: 'stop the daemon and wait until it is gone',
  details: 'Jobs that it runs for others are lost to them, and done again elsewhere, unless --drain is given.',
  arguments: [],
  options: z.strictObject({
    drain: z.boolean().default(false).describe('finish the work that runs first, and take none'),
    timeout: z
      .int()
      .min(1)
      .default(30)
      .describe('seconds to wait; with --drain, after the work has ended')
      .meta({ placeholder: 'SECONDS' }),
  }),
  examples: [
    { line: 'fogproof node stop', does: 'Stop now.' },
    { line: 'fogproof node stop --drain', does: 'Finish what runs, then stop.' },
  ],
  run: async ({ options }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const { pid } = await client.call('node.status', {}, { signal });
    await client.call('node.stop', { drain: options.drain }, { signal });
    output.progress(options.drain ? 'finishing the work that runs …' : 'stopping …');
    const timeoutMs = options.timeout * 1000;
    if (options.drain) await awaitClosed(client, signal);
    for (let waitedMs = 0; await isRunning(pid); waitedMs += POLL_MS) {
      if (waitedMs >= timeoutMs) throw new StartError({ code: 'CLI_STOP_TIMEOUT', pid, timeoutMs });
      await sleep(POLL_MS, undefined, { signal });
    }
    output.result({ pid, isStopped: true }, () => [`stopped (process ${pid})`]);
    return EXIT_CODES.ok;
  },
});

/** The socket closes when the work has ended; a subscription then ends with it. */
async function awaitClosed(
  client: Awaited<ReturnType<Parameters<typeof nodeStop.run>[1]['connect']>>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const _ of client.subscribe('peers.subscribe', {}, { signal }));
  } catch {
    signal.throwIfAborted();
  }
}

/** A process that has ended but was not collected by its parent has ended. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/^\d+ \(.*\) [ZX] /s.test(stat);
}
