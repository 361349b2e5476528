import { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import type { JobRatings } from '../../scheduler/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatTime, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';
import { JOB_ARGUMENT, resolveJob } from './resolve-job.ts';

export const jobRate = defineCommand({
  name: 'job rate',
  summary: 'rate the providers of a job with 1 to 5 stars',
  details:
    'Rates who gave the accepted result of a job that has ended: every such provider, or with --replica one of them. The rating is signed and published with the next observations of this node, within some minutes: until then another `job rate` replaces it, afterwards it stays. An attempt can be rated for 6 days. Five stars count as a success, one as a failure, those between are shared (docs/reputation.md).',
  arguments: [JOB_ARGUMENT, { name: 'stars', description: 'from 1 (poor) to 5 (very good)', isRequired: true }],
  options: z.strictObject({
    replica: z
      .int()
      .min(0)
      .exactOptional()
      .describe('rate the provider of this replica alone; `job show` numbers them')
      .meta({ short: 'r', placeholder: 'N' }),
  }),
  examples: [
    { line: 'fogproof job rate latest 5', does: 'Praise whoever gave the result of the newest job.' },
    { line: 'fogproof job rate JOB 2 --replica 1', does: 'Rate the provider of one replica, whatever the others did.' },
  ],
  run: async ({ arguments: [text = '', count = ''], options }, context) => {
    const stars = parseStars(count);
    const { signal, output } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const { replica = null } = options;
    const rated = await client.call('job.rate', { job, stars, replica }, { signal });
    output.result(rated, () => renderRatings(rated, output));
    return EXIT_CODES.ok;
  },
});

function parseStars(text: string): number {
  if (/^[1-5]$/.test(text)) return Number(text);
  throw new UsageError(`'${text}' is not a rating`, 'Give 1 (poor) to 5 (very good).');
}

function renderRatings({ ratings, signedAtMs }: JobRatings, output: Pick<CliOutput, 'table'>): string[] {
  return [
    ...output.table(
      ['REPLICA', 'PROVIDER', 'RATING', 'BEFORE'],
      ratings.map(({ replica, provider, stars, replaced }) => [
        String(replica),
        shortPeer(provider),
        `${stars} of 5`,
        replaced === null ? '-' : `${replaced} of 5`,
      ]),
    ),
    '',
    `can be replaced until ${formatTime(signedAtMs)}; then it is signed`,
  ];
}
