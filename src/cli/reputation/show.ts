import { z } from 'zod';
import { PeerKey } from '../../domain/ids.ts';
import { OBSERVED_DIMENSIONS, SUBJECT_ROLES } from '../../domain/observation.ts';
import type { ObservationView, ReputationReport } from '../../reputation/interface.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { formatDateTime, plural, renderFields, shortId, shortPeer } from '../format.ts';
import { type CliOutput, defineCommand } from '../interface.ts';

export const reputationShow = defineCommand({
  name: 'reputation show',
  summary: 'show what is known of a peer, and with --why the observations behind it',
  details:
    'Each dimension is a Beta distribution: ALPHA is 1 + the weight of successes, BETA 1 + that of failures; both halve in 30 days. LOWER is the lower end of the 95 % credible interval, which ranks. A newcomer has Beta(1, 1): uncertain, not bad. An attempt that nobody paid for weighs 0.01.',
  arguments: [{ name: 'peer', description: 'whole peer id; this node if it is left out', isRequired: false }],
  options: z.strictObject({
    why: z.boolean().default(false).describe('the observations, with receipts and weights').meta({ short: 'w' }),
    role: z.enum(SUBJECT_ROLES).default('provider').describe('what the peer was in the attempts'),
    limit: z.int().min(1).max(1_000).default(50).describe('most observations to show').meta({ short: 'n' }),
    full: z.boolean().default(false).describe('whole ids'),
  }),
  examples: [
    { line: 'fogproof reputation show', does: 'What others say of this node.' },
    { line: 'fogproof reputation show PEER --why', does: 'Who has said what of a peer, and what it weighs.' },
  ],
  run: async ({ arguments: [peer], options }, context) => {
    await using client = await context.connect();
    const { signal, output } = context;
    const params = { peer: peer === undefined ? null : PeerKey(peer), role: options.role };
    const why = options.why ? options.limit : 0;
    const { report, observations } = await client.call('reputation.show', { ...params, why }, { signal });
    const shown = options.why ? { report, observations } : { report };
    output.result(shown, () => [
      ...renderReport(report, output),
      ...(options.why ? ['', ...renderObservations(observations, { output, isFull: options.full })] : []),
    ]);
    return EXIT_CODES.ok;
  },
});

export function renderReport(report: ReputationReport, output: Pick<CliOutput, 'table'>): string[] {
  const { subject, role, score, observations, observers } = report;
  const isNew = score.weight === 0;
  return [
    ...renderFields([
      ['peer', subject],
      ['as', role],
      ['tier', `${score.tier}, ${score.view} of 1000${isNew ? ' (nothing is known: uncertain, not bad)' : ''}`],
      ['observations', `${observations} by ${plural(observers, 'peer')}`],
    ]),
    '',
    ...output.table(
      ['DIMENSION', 'POINTS', 'ALPHA', 'BETA', 'MEAN', 'LOWER', 'WEIGHT'],
      report.dimensions.map(({ dimension, points, alpha, beta, mean, lowerBound, weight }) => [
        dimension,
        String(points),
        alpha.toFixed(3),
        beta.toFixed(3),
        mean.toFixed(3),
        lowerBound.toFixed(3),
        weight.toFixed(3),
      ]),
    ),
  ];
}

export function renderObservations(
  observations: readonly ObservationView[],
  { output, isFull }: { readonly output: Pick<CliOutput, 'table'>; readonly isFull: boolean },
): string[] {
  if (observations.length === 0) return ['no observations are kept one by one'];
  const id = (text: string | null): string => (text === null ? 'none' : isFull ? text : shortId(text));
  return output.table(
    ['WHEN', 'OBSERVER', 'JOB', 'RECEIPT', 'OUTCOME', 'WEIGHT', 'NOW', 'WHY'],
    observations.map(({ observedAtMs, observer, job, receipt, outcome, rating, weight, decayedWeight, reason }) => [
      formatDateTime(observedAtMs),
      isFull ? observer : shortPeer(observer),
      id(job),
      id(receipt),
      renderOutcome(outcome, rating),
      weight.toFixed(4),
      decayedWeight.toFixed(4),
      reason,
    ]),
  );
}

/** `+completion -timeliness`: what was seen, and how; or `rated 4 of 5`. */
function renderOutcome(outcome: ObservationView['outcome'], rating: number | null): string {
  if (rating !== null) return `rated ${rating} of 5`;
  const seen = OBSERVED_DIMENSIONS.filter((dimension) => outcome[dimension] !== 'none');
  return seen.map((dimension) => `${outcome[dimension] === 'success' ? '+' : '-'}${dimension}`).join(' ');
}
