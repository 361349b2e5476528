import { describe, expect, it } from 'vitest';
import { renderSummaries } from '../../../src/cli/reputation/list.ts';
import { renderObservations, renderReport } from '../../../src/cli/reputation/show.ts';
import { exampleResult } from '../../support/fake-rpc-modules.ts';

const output = {
  table: (head: readonly string[], rows: readonly (readonly string[])[]) =>
    [head, ...rows].map((row) => row.join(' | ')),
};
const { report, observations } = exampleResult('reputation.show');
const { peers } = exampleResult('reputation.list');

describe('what is known of a peer', () => {
  it('has a line for each dimension, and says of a newcomer that it is one', () => {
    const lines = renderReport(report, output);
    expect(lines).toContain('completion | 400 | 1.400 | 1.000 | 0.583 | 0.072 | 0.400');
    expect(lines.join('\n')).not.toContain('uncertain');
    const newcomer = renderReport({ ...report, score: { ...report.score, weight: 0 } }, output);
    expect(newcomer.join('\n')).toContain('uncertain, not bad');
  });

  it('is explained by who saw what, with the receipt, the weight and why', () => {
    const [, line] = renderObservations(observations, { output, isFull: false });
    expect(line).toContain('+completion +timeliness +availability | 0.0100 | 0.0100 | nobody is known to have paid');
    const lost = observations.map((observation) => ({
      ...observation,
      receipt: null,
      outcome: { ...observation.outcome, completion: 'failure' as const },
    }));
    expect(renderObservations(lost, { output, isFull: true })[1]).toContain('none | -completion');
    const rated = observations.map((observation) => ({ ...observation, rating: 4 }));
    expect(renderObservations(rated, { output, isFull: false })[1]).toContain('| rated 4 of 5 |');
    expect(renderObservations([], { output, isFull: false })).toHaveLength(1);
  });

  it('is listed with its tier, or said to be nothing', () => {
    expect(renderSummaries(peers, { output, isFull: true })[1]).toContain('| bronze | 78 |');
    expect(renderSummaries([], { output, isFull: true })[0]).toContain('nothing is known');
  });
});
