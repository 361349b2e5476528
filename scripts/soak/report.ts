import { TASKS, type Task } from './load.ts';
import type { SoakReport } from './run.ts';
import { FIGURES, type Figure } from './sample.ts';
import { median } from './statistics.ts';

const MEBIBYTE = 2 ** 20;

/** Title, unit, and what one unit is in that of the sample. */
export const FIGURE_TITLES: Readonly<Record<Figure, readonly [title: string, unit: string, scale: number]>> = {
  rssBytes: ['resident memory', 'MiB', MEBIBYTE],
  heapBytes: ['heap in use', 'MiB', MEBIBYTE],
  descriptors: ['sockets, pipes and the like', '', 1],
  openFiles: ['open files of the data folder', '', 1],
  threads: ['threads', '', 1],
  children: ['child processes', '', 1],
  loopDelayMs: ['event-loop delay, longest of each second', 'ms', 1],
  loopDelayP99Ms: ['event-loop delay, p99 of each second', 'ms', 1],
  databaseBytes: ['database on disk', 'MiB', MEBIBYTE],
  blobBytes: ['blobs on disk', 'MiB', MEBIBYTE],
  neighbours: ['neighbours chosen', '', 1],
};

/** Printed problems at most; all of them are counted. */
const SHOWN = 50;

/** For the terminal. */
export function describeSoak(report: SoakReport): string {
  const lines = [
    ...listFacts(report).map(([name, value]) => `${name.padEnd(64)} ${value}`),
    '',
    ...report.judgements.map(
      ({ node, title, unit, first, last, slopePerMinute, highest, isJudged, problems }) =>
        `${node.padEnd(10)} ${title.padEnd(42)} ${formatFigure(first)} -> ${formatFigure(last)} ${unit}, ${formatFigure(slopePerMinute)} a minute, ` +
        `highest ${formatFigure(highest)}${problems.length > 0 ? '  PROBLEM' : isJudged ? '' : '  (too short to judge)'}`,
    ),
    '',
    ...listProblemLines(report.problems),
  ];
  return lines.join('\n');
}

/** The first of them, and how many there are. */
export function listProblemLines(problems: readonly string[]): readonly string[] {
  return [...problems.slice(0, SHOWN), problems.length === 0 ? 'no problem' : `${problems.length} problems`];
}

export function renderSoak(
  report: SoakReport,
  { minutes, machine }: { readonly minutes: number; readonly machine: string },
): string {
  return `# Soak: four daemons under load for ${minutes} minutes

Written by \`npm run soak -- --minutes ${minutes} --seed ${report.seed}\` on ${new Date().toISOString().slice(0, 10)} (${machine}).

One requester and three providers, real daemons as processes on loopback with a lease of 4 s. \`requester\` and \`ada\` run
all the time; \`berta\` is stopped in order and started again, \`clara\` is killed (SIGKILL to it and its children) and started
again. Every second each daemon is asked for its metrics and looked at in /proc. At the end all work is waited for, all
daemons are stopped, and their histories are checked (docs/histories.md).

| what | found |
|---|---|
${listFacts(report)
  .map(([name, value]) => `| ${name} | ${value} |`)
  .join('\n')}

## Daemons that ran all the time

After the warm-up (a fifth of the time, a minute at least; a shorter run than that and two minutes more is shown from its
beginning and not judged): median of the first third, median of the last third, robust slope (Theil-Sen).

${renderJudgements(report.judgements)}

## All daemons

Median and highest of all samples.

| figure | ${listNodes(report).join(' | ')} |
|---|${listNodes(report)
    .map(() => '---')
    .join('|')}|
${FIGURES.map((figure) => renderFigure(report, figure)).join('\n')}

${renderHistories(report)}
`;
}

export function renderJudgements(judgements: SoakReport['judgements']): string {
  return `| daemon | figure | first third | last third | a minute | highest |
|---|---|---|---|---|---|
${judgements
  .map(
    ({ node, title, unit, first, last, slopePerMinute, highest }) =>
      `| ${node} | ${title}${unit === '' ? '' : `, ${unit}`} | ${formatFigure(first)} | ${formatFigure(last)} | ${slopePerMinute.toFixed(2)} | ${formatFigure(highest)} |`,
  )
  .join('\n')}`;
}

export function renderHistories({ histories, problems }: Pick<SoakReport, 'histories' | 'problems'>): string {
  return `## Histories

| invariant | checked | violations |
|---|---|---|
${histories.invariants
  .map(({ title, checked, violations }) => `| ${title} | ${checked} | ${violations.length} |`)
  .join('\n')}

${problems.length === 0 ? 'No problem was found.' : problems.map((problem) => `- ${problem}`).join('\n')}`;
}

function listFacts(report: SoakReport): readonly (readonly [string, string])[] {
  const { counts, histories } = report;
  const states = Object.entries(counts.byState).map(([state, count]) => `${count} ${state}`);
  return [
    ['seed', String(report.seed)],
    ['time under load', `${Math.round(report.seconds)} s`],
    ['restarts in order, kills', `${report.restarts}, ${report.kills}`],
    ['jobs that clients were told of', String(report.jobs)],
    ['how they ended', states.join(', ')],
    ...(Object.entries(TASKS) as [Task, string][]).map(([task, title]): readonly [string, string] => [
      title,
      String(counts.byTask[task]),
    ]),
    ['samples', String(report.samples.length)],
    ['invariants of the histories that hold', `${countHolding(report)} of ${histories.invariants.length}`],
    ['problems', report.problems.length === 0 ? 'none' : String(report.problems.length)],
  ];
}

function countHolding({ histories }: SoakReport): number {
  return histories.invariants.filter(({ violations }) => violations.length === 0).length;
}

function listNodes({ samples }: SoakReport): readonly string[] {
  return [...new Set(samples.map(({ node }) => node))];
}

function renderFigure(report: SoakReport, figure: Figure): string {
  const [title, unit, scale] = FIGURE_TITLES[figure];
  const cells = listNodes(report).map((name) => {
    const values = report.samples.filter(({ node }) => node === name).map((sample) => sample[figure] / scale);
    return `${formatFigure(median(values))}, ${formatFigure(Math.max(...values))}`;
  });
  return `| ${title}${unit === '' ? '' : `, ${unit}`} | ${cells.join(' | ')} |`;
}

export function formatFigure(value: number): string {
  if (Number.isNaN(value)) return 'unknown';
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1);
}
