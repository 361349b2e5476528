import { describe, expect, it } from 'vitest';
import { findGaps, listSteps, listUnreached } from '../../../../scripts/chaos/coverage.ts';
import { listProblems, renderMarkdown, renderText } from '../../../../scripts/chaos/report.ts';
import { Tally } from '../../../../scripts/chaos/tally.ts';

const FACTS = { command: 'c', date: 'd', isCampaign: false };
const OUT_OF_REACH =
  /^(operator-work|anchor-leaves|anchor-batches|anchor-trees|receipt-outbox|chain-transactions|chain-cursors|beacon-rounds)$/;
const SELDOM = /^(poison-jobs|reputation-standings|job-objects=late)$/;

/** Came to all steps that can be come to, but for those. */
function reachAllBut(left: RegExp): Tally {
  const tally = new Tally();
  const reached = listSteps().filter((step) => !OUT_OF_REACH.test(step) && !left.test(step));
  tally.addPoints(
    'requester',
    reached.map((step) => (step === 'public-blobs' ? 'public-blobs=delete' : step)),
  );
  return tally;
}

describe('what no run came to', () => {
  it('knows the namespaces, the events of a history and the signed objects', () => {
    expect(listSteps()).toEqual(expect.arrayContaining(['jobs', 'job-history=released', 'job-objects=release']));
    expect(listSteps()).toContain('job-objects=set');
  });

  it('is listed with its reason, and no problem', () => {
    const tally = reachAllBut(SELDOM);
    expect(findGaps(tally, FACTS)).toEqual([]);
    expect(listProblems(tally, FACTS)).toEqual([]);
    const unreached = listUnreached(tally, FACTS);
    expect(unreached.find(({ step }) => step === 'anchor-leaves')?.reason).toContain('crash:anchoring');
    expect(renderText(tally, FACTS)).toMatch(/no run came to: beacon-rounds +the networks of these runs have no chain/);
    expect(renderMarkdown(tally, FACTS)).toMatch(
      /## What no run came to[^]*\| `poison-jobs` \| only when a daemon dies/,
    );
  });

  it('is a finding where no reason is known', () => {
    const tally = reachAllBut(/^(job-ratings|job-history=released)$/);
    expect(findGaps(tally, FACTS)).toHaveLength(2);
    expect(listProblems(tally, FACTS).join()).toMatch(
      /no run came to job-ratings.*no run came to job-history=released/,
    );
    expect(renderMarkdown(tally, FACTS)).toContain('| `job-ratings` | no reason is known |');
  });

  it('has to have come in a run for all points, though it is seldom', () => {
    const gaps = findGaps(reachAllBut(SELDOM), { isCampaign: true });
    expect(gaps.filter((gap) => gap.startsWith('no run came to'))).toHaveLength(3);
  });

  it('is a finding where a reason is not so any more', () => {
    const tally = reachAllBut(SELDOM);
    tally.addPoints('provider', ['chain-cursors']);
    expect(findGaps(tally, FACTS)).toEqual([expect.stringContaining('a run came to chain-cursors')]);
  });
});
