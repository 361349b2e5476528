import { describe, expect, it } from 'vitest';
import { countExcused, findExcess } from '../../../../scripts/chaos/excuses.ts';
import { renderMarkdown } from '../../../../scripts/chaos/report.ts';
import { Tally } from '../../../../scripts/chaos/tally.ts';

function fill(counts: { readonly replicas: number; readonly excused: number }): Tally {
  const tally = new Tally();
  for (let job = 0; job < counts.replicas; job += 1) tally.countJob(job % 2 === 0 ? 'replicas' : 'without retries');
  for (let job = 0; job < counts.excused; job += 1) tally.excuse('replicas: SCHEDULER_EXPIRED');
  for (let job = 0; job < 1_000; job += 1) tally.countJob('single');
  return tally;
}

describe('the share of excused jobs', () => {
  it('is of those that may be excused, without what every provider refuses for good', () => {
    const tally = fill({ replicas: 20, excused: 3 });
    tally.excuse('stepping: QUARANTINED');
    expect(countExcused(tally)).toEqual({ excused: 3, of: 20 });
    const text = renderMarkdown(tally, { command: 'c', date: 'd', isCampaign: false });
    expect(text).toContain('| 3 of 20 (15 %) |');
    expect(text).toContain('| without a result: replicas: SCHEDULER_EXPIRED | 3 |');
    expect(text).toContain('| without a result: stepping: QUARANTINED | 1 |');
  });

  it('is too much in a scenario above a half, once there are some', () => {
    expect(findExcess('scenario', fill({ replicas: 20, excused: 10 }))).toBeNull();
    expect(findExcess('scenario', fill({ replicas: 20, excused: 11 }))).toContain('11 of 20');
    expect(findExcess('scenario', fill({ replicas: 7, excused: 7 }))).toBeNull();
  });

  it('is too much in a run above 15 %, once there are many', () => {
    expect(findExcess('run', fill({ replicas: 200, excused: 30 }))).toBeNull();
    expect(findExcess('run', fill({ replicas: 200, excused: 31 }))).toContain('31 of 200');
    expect(findExcess('run', fill({ replicas: 199, excused: 100 }))).toBeNull();
  });
});
