import { type ChurnReport, DISTURBANCES, type Disturbance } from './churn.ts';
import { MOST_OTHERWISE_BUSY } from './machine.ts';
import { FIGURE_TITLES, formatFigure, listProblemLines, renderHistories, renderJudgements } from './report.ts';
import { FIGURES } from './sample.ts';
import { median } from './statistics.ts';

/** For the terminal: what was found, and of what was judged the daemon that fares worst. */
export function describeChurn(report: ChurnReport): string {
  const facts = listFacts(report).map(([name, value]) => `${name.padEnd(64)} ${value}`);
  const slopes = listWorst(report).map(
    ({ node, title, unit, first, last, slopePerMinute, isJudged }) =>
      `${title.padEnd(42)} ${formatFigure(first)} -> ${formatFigure(last)} ${unit}, ${slopePerMinute.toFixed(3)} a minute (${node})` +
      `${isJudged ? '' : '  (too short to judge)'}`,
  );
  return [...facts, '', 'The daemon that grew most, of those that ran all the time:', ...slopes, '']
    .concat(listProblemLines(report.problems))
    .join('\n');
}

export function renderChurn(
  report: ChurnReport,
  { minutes, machine }: { readonly minutes: number; readonly machine: string },
): string {
  const { seed, daemons, steady } = report;
  return `# Soak: ${daemons} daemons that come and go, for ${minutes} minutes

Written by \`npm run soak -- --churn --daemons ${daemons} --minutes ${minutes} --seed ${seed}\` on ${new Date().toISOString().slice(0, 10)} (${machine}).

Real daemons as processes on loopback, epochs of two minutes, a lease of 8 s. ${steady.length} of them run all the time, two of
which are requesters with a light load of every kind of job. Of the others one is disturbed about every 15 s. Every 5 s each
daemon is asked for its metrics and looked at in /proc. At the end all work is waited for, all daemons are stopped, and the
histories of all that ever ran are checked (docs/histories.md). A rejection that nothing handles ends a daemon, and is seen so.

| what | found |
|---|---|
${listFacts(report)
  .map(([name, value]) => `| ${name} | ${value} |`)
  .join('\n')}

## Daemons that ran all the time

After the warm-up: median of the first third, median of the last third, robust slope (Theil-Sen).

${renderJudgements(report.judgements)}

## All daemons

Over all samples of all daemons.

| figure | least | median | most |
|---|---|---|---|
${FIGURES.map((figure) => {
  const [title, unit, scale] = FIGURE_TITLES[figure];
  const values = report.samples.map((sample) => sample[figure] / scale);
  const cells = [Math.min(...values), median(values), Math.max(...values)].map(formatFigure);
  return `| ${title}${unit === '' ? '' : `, ${unit}`} | ${cells.join(' | ')} |`;
}).join('\n')}

${renderHistories(report)}
`;
}

function listFacts(report: ChurnReport): readonly (readonly [string, string])[] {
  const { histories, disturbances } = report;
  const holding = histories.invariants.filter(({ violations }) => violations.length === 0).length;
  return [
    ['seed', String(report.seed)],
    ['time under load', `${Math.round(report.seconds)} s`],
    ['daemons at a time, of which run all the time', `${report.daemons}, ${report.steady.length}`],
    ...(Object.entries(DISTURBANCES) as [Disturbance, string][]).map(([kind, title]): readonly [string, string] => [
      title,
      String(disturbances[kind]),
    ]),
    ['jobs that clients were told of', String(report.jobs)],
    [
      'how they ended',
      Object.entries(report.byState)
        .map(([state, count]) => `${count} ${state}`)
        .join(', '),
    ],
    ['from process start to ready, of those started under load: median, longest', describeStarts(report)],
    ['processor time of a steady daemon, % of a core', report.processorPercents.map(formatFigure).join(', ')],
    ['of the machine something else took, 100 % being all cores', describeOthers(report)],
    ['neighbours that a steady daemon had chosen, median over time', report.neighbours.map(formatFigure).join(', ')],
    ['samples', String(report.samples.length)],
    ['invariants of the histories that hold', `${holding} of ${histories.invariants.length}`],
    ['problems', report.problems.length === 0 ? 'none' : String(report.problems.length)],
  ];
}

function describeStarts({ startsMs }: ChurnReport): string {
  if (startsMs.length === 0) return 'none was started';
  return `${Math.round(median(startsMs))} ms, ${Math.round(Math.max(...startsMs))} ms`;
}

function describeOthers({ otherwiseBusy }: ChurnReport): string {
  const percent = `${Math.round(100 * otherwiseBusy)} %`;
  return otherwiseBusy > MOST_OTHERWISE_BUSY ? `${percent}: delays are not judged` : percent;
}

function listWorst({ judgements }: ChurnReport): ChurnReport['judgements'] {
  const byTitle = Map.groupBy(judgements, ({ title }) => title);
  return [...byTitle.values()].flatMap(
    (group) => group.toSorted((a, b) => b.slopePerMinute - a.slopePerMinute)[0] ?? [],
  );
}
