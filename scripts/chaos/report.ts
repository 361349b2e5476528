import { availableParallelism, cpus } from 'node:os';
import { findGaps, listUnreached } from './coverage.ts';
import { countExcused } from './excuses.ts';
import { FAULT_KINDS, type FaultKind } from './plan.ts';
import type { Role, Tally } from './tally.ts';

export interface ReportFacts {
  readonly command: string;
  readonly date: string;
  /** All points were to be died at (coverage.ts). */
  readonly isCampaign: boolean;
}

const percent = (part: number, whole: number): string => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(0)} %`);

const NO_REASON = 'no reason is known';

function sumUpExcused(tally: Tally): readonly (readonly [string, string])[] {
  const { excused, of } = countExcused(tally);
  const all = [...tally.excused].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    [
      'ended without a result under faults, of the jobs of several replicas or without retries',
      `${excused} of ${of} (${percent(excused, of)})`,
    ],
    ...all.map(([reason, count]): [string, string] => [`without a result: ${reason}`, String(count)]),
  ];
}

function sumUp(tally: Tally): readonly (readonly [string, string])[] {
  return [
    ['scenarios, each on new data folders', String(tally.scenarios)],
    ['SIGKILLs of a daemon', String(tally.kills)],
    [
      'of these, of one with a job under way',
      `${tally.effectiveKills} (${percent(tally.effectiveKills, tally.kills)})`,
    ],
    ['jobs acknowledged and ended', String(tally.jobs)],
    ...[...tally.jobsByKind].map(([kind, count]): [string, string] => [`of these: ${kind}`, String(count)]),
    ...sumUpExcused(tally),
    ['with the right result, and without log lines that went with a provider', String(tally.shortLogs)],
    ['isolation of the programs', [...tally.isolation].sort().join(', ') || 'not noted'],
    ['runs whose histories were checked', String(tally.checks)],
    ['violations', tally.findings.length === 0 ? 'none' : String(tally.findings.length)],
    ['found earlier, repaired, and not found again when the scenario was repeated', String(tally.repaired.length)],
    ['time', `${Math.round(tally.seconds)} s`],
  ];
}

function renderFaults(tally: Tally): readonly string[] {
  return (Object.keys(FAULT_KINDS) as FaultKind[]).flatMap((kind) => {
    const count = tally.faults.get(kind);
    return count === undefined ? [] : [`| ${FAULT_KINDS[kind]} | ${count.injected} | ${count.effective} |`];
  });
}

function renderPoints(tally: Tally, role: Role): readonly string[] {
  return tally.points(role).map(({ point, before, after }) => `| ${role} | \`${point}\` | ${before} | ${after} |`);
}

function renderFindings(title: string, findings: Tally['findings']): string {
  if (findings.length === 0) return '';
  const lines = findings.map(({ seed, problem }) => `- seed ${seed}: ${problem.split('\n')[0]}`);
  return `\n## ${title}\n\n${lines.join('\n')}\n`;
}

export function renderText(tally: Tally, facts: Pick<ReportFacts, 'isCampaign'>): string {
  const lines = sumUp(tally).map(([name, value]) => `${name.padEnd(60)} ${value}`);
  for (const role of ['requester', 'provider'] as const) {
    const points = tally.points(role);
    const passed = points.filter(({ before, after }) => before > 0 && after > 0).length;
    lines.push(`${`crash points of a ${role}, died at before and after`.padEnd(60)} ${passed} of ${points.length}`);
  }
  for (const [kind, { injected, effective }] of tally.faults) {
    lines.push(`${`fault: ${kind}`.padEnd(60)} ${injected}, ${effective} of them effective`);
  }
  for (const { step, reason } of listUnreached(tally, facts)) {
    lines.push(`${`no run came to: ${step}`.padEnd(60)} ${reason ?? NO_REASON}`);
  }
  return lines.join('\n');
}

function renderUnreached(tally: Tally, facts: ReportFacts): string {
  const unreached = listUnreached(tally, facts);
  if (unreached.length === 0) return '';
  const rows = unreached.map(({ step, reason }) => `| \`${step}\` | ${reason ?? NO_REASON} |`);
  return `
## What no run came to

Of the namespaces of the database, the kinds of event in a job's history and the kinds of signed object.

| step | why |
|---|---|
${rows.join('\n')}
`;
}

/** Violations, and steps that no run came to for no known reason. */
export function listProblems(tally: Tally, facts: Pick<ReportFacts, 'isCampaign'>): readonly string[] {
  return [...tally.findings.map(({ seed, problem }) => `seed ${seed}: ${problem}`), ...findGaps(tally, facts)];
}

export function renderMarkdown(tally: Tally, facts: ReportFacts): string {
  return `# Faults

Written by \`${facts.command}\` on ${facts.date}
(${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node.js ${process.version}).
What each fault is, what is checked and what is not: [chaos.md](../chaos.md).

| what | found |
|---|---|
${sumUp(tally)
  .map(([name, value]) => `| ${name} | ${value} |`)
  .join('\n')}

## Faults by kind

Effective: the daemon was up and had a job under way.

| fault | injected | effective |
|---|---|---|
${renderFaults(tally).join('\n')}

## Crash points

A point is one kind of change to a node's database or snapshots. The numbers are how often a daemon killed itself just
before and just after it. Points with 0 came up in some run, and never while they were armed.

| role | point | before | after |
|---|---|---|---|
${[...renderPoints(tally, 'requester'), ...renderPoints(tally, 'provider')].join('\n')}
${renderUnreached(tally, facts)}${renderFindings('Violations', tally.findings)}${renderFindings('Found and repaired', tally.repaired)}`;
}
