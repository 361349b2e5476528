import { z } from 'zod';
import { SUBJECT_ROLES } from '../../domain/observation.ts';
import type { ReputationSummary } from '../../reputation/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { plural, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const reputationList = defineCommand({
  name: 'reputation list',
  summary: 'list the peers of whom anything is known, best first',
  details: 'By the lower ends of their 95 % credible intervals, which is also how providers are ranked.',
  arguments: [],
  options: z.strictObject({
    role: z.enum(SUBJECT_ROLES).default('provider').describe('what the peers were in the attempts'),
    limit: z.int().min(1).max(1_000).default(50).describe('most peers to show').meta({ short: 'n' }),
    full: z.boolean().default(false).describe('whole peer ids'),
  }),
  examples: [
    { line: 'fogproof reputation', does: 'Providers of whom anything is known.' },
    { line: 'fogproof reputation list --role requester --full', does: 'Requesters, with whole ids for `show`.' },
  ],
  run: async ({ options: { role, limit, full } }, context) => {
    await using client = await context.connect();
    const { peers } = await client.call('reputation.list', { role, limit }, { signal: context.signal });
    context.output.result({ peers }, () => renderSummaries(peers, { output: context.output, isFull: full }));
    return EXIT_CODES.ok;
  },
});

export function renderSummaries(
  peers: readonly ReputationSummary[],
  { output, isFull }: { readonly output: Pick<CliOutput, 'table'>; readonly isFull: boolean },
): string[] {
  if (peers.length === 0) return ['nothing is known of anybody yet: observations come with finished jobs'];
  const rows = peers.map(({ subject, score, observations, observers }) => [
    isFull ? subject : shortPeer(subject),
    score.tier,
    String(score.view),
    score.lowerBound.toFixed(3),
    score.mean.toFixed(3),
    score.weight.toFixed(2),
    `${observations} by ${plural(observers, 'peer')}`,
  ]);
  return output.table(['PEER', 'TIER', 'VIEW', 'LOWER', 'MEAN', 'WEIGHT', 'OBSERVATIONS'], rows);
}
