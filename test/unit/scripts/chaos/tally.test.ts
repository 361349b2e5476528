import { expect, it } from 'vitest';
import { renderMarkdown } from '../../../../scripts/chaos/report.ts';
import { Tally } from '../../../../scripts/chaos/tally.ts';

function fill(): Tally {
  const tally = new Tally();
  tally.countFault('kill', true);
  tally.countFault('kill', false);
  tally.countKill(true);
  tally.countJob('quick');
  tally.excuse('too few providers');
  tally.addPoints('provider', ['jobs=new', 'jobs=end']);
  tally.countDeath('provider', {
    name: 'ada',
    life: 1,
    signal: 'SIGKILL',
    exitCode: null,
    points: ['jobs=new:after:2'],
    wasUp: true,
    logFile: 'ada.log',
  });
  tally.find({ seed: 3, problem: 'a job was lost' });
  tally.scenarios = 1;
  tally.checks = 1;
  tally.shortLogs = 2;
  tally.isolation.add('bubblewrap');
  tally.seconds = 12.5;
  return tally;
}

it('goes on from what was written of it, and adds up', () => {
  const record = JSON.parse(JSON.stringify(fill().toRecord())) as unknown;
  const tally = Tally.from(record);
  expect(tally.toRecord()).toEqual(record);
  tally.merge(fill().toRecord());
  expect(tally.toRecord()).toMatchObject({
    kills: 2,
    effectiveKills: 2,
    jobs: 2,
    scenarios: 2,
    shortLogs: 4,
    seconds: 25,
  });
  expect(tally.faults.get('kill')).toEqual({ injected: 4, effective: 2 });
  expect(tally.findings).toHaveLength(2);
  expect(tally.points('provider')).toEqual([
    { role: 'provider', point: 'jobs=end', before: 0, after: 0 },
    { role: 'provider', point: 'jobs=new', before: 0, after: 2 },
  ]);
  expect(tally.missing('provider', 1)).toHaveLength(3);
});

it('refuses what it did not write', () => {
  expect(() => Tally.from({ kills: -1 })).toThrow();
});

it('what a scenario found stays on record as repaired once its repetition found nothing', () => {
  const tally = new Tally();
  tally.find({ seed: 3, problem: 'a job was lost' });
  tally.find({ seed: 4, problem: 'another one' });
  tally.settle(3);
  const again = Tally.from(JSON.parse(JSON.stringify(tally.toRecord())));
  expect(again.findings).toEqual([{ seed: 4, problem: 'another one' }]);
  expect(again.repaired).toEqual([{ seed: 3, problem: 'a job was lost' }]);
  const text = renderMarkdown(again, { command: 'c', date: 'd', isCampaign: false });
  expect(text).toMatch(
    /\| violations \| 1 \|[^]*## Violations[^]*another one[^]*## Found and repaired[^]*a job was lost/,
  );
});
