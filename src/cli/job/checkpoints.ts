import { z } from 'zod';
import type { CheckpointView } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatCount, formatDateTime, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobCheckpoints = defineCommand({
  name: 'job checkpoints',
  summary: 'list the checkpoints of a job, and which snapshots are held',
  details:
    'Every checkpoint was signed by its provider and follows on the one before. `held`: all of the snapshot is with its holder, so the job can go on from it; `announced`: only its provider has it, or it was overtaken; `none`: no snapshot was made there. The checkpoint at the very end of a run is in its receipt. With --json, whole hashes.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    limit: z.int().min(1).max(1_024).default(20).describe('most checkpoints of each attempt to show, the newest ones'),
  }),
  examples: [
    { line: 'fogproof job checkpoints latest', does: 'The newest of each attempt of the newest job.' },
    { line: 'fogproof job checkpoints latest --limit 1024 --json', does: 'All that are kept, for a script.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const { checkpoints } = await client.call('job.checkpoints', { job }, { signal });
    const shown = takeNewest(checkpoints, options.limit);
    output.result({ checkpoints: shown }, () => renderCheckpoints(shown, output));
    return EXIT_CODES.ok;
  },
});

function takeNewest(checkpoints: readonly CheckpointView[], limit: number): CheckpointView[] {
  return [...Map.groupBy(checkpoints, ({ lease }) => lease).values()].flatMap((own) => own.slice(-limit));
}

export function renderCheckpoints(checkpoints: readonly CheckpointView[], output: Pick<CliOutput, 'table'>): string[] {
  if (checkpoints.length === 0) return ['no checkpoints: none was made yet, or the job makes none'];
  const rows = checkpoints.map(({ replica, provider, step, fuel, atMs, stateRoot, snapshot }) => [
    String(replica),
    shortPeer(provider),
    String(step),
    fuel === null ? '-' : formatCount(fuel),
    formatDateTime(atMs),
    `${stateRoot.slice(0, 16)}…`,
    snapshot,
  ]);
  return output.table(['REPLICA', 'PROVIDER', 'STEP', 'FUEL', 'MADE', 'STATE ROOT', 'SNAPSHOT'], rows);
}
