import type { HistoryReport, InvariantResult } from './interface.ts';

/** Violations of one invariant that are printed. */
const SHOWN = 20;

/** For people: a line per invariant, then every violation. */
export function renderReport(report: HistoryReport): string {
  const { nodes, jobs, invariants, missing } = report;
  const states = Object.entries(jobs.byState).map(([state, count]) => `${count} ${state}`);
  const lines = [
    `${nodes.length} nodes: ${nodes.map(({ name, wasKilled }) => (wasKilled ? `${name} (killed)` : name)).join(', ')}`,
    `${jobs.total} jobs: ${states.length === 0 ? 'none' : states.join(', ')}`,
    '',
    ...invariants.map(renderLine),
    ...invariants.flatMap(renderViolations),
  ];
  if (missing.length > 0) lines.push('', `${missing.length} blobs are named and stated missing:`, ...summarize(report));
  const violations = invariants.reduce((sum, { violations: found }) => sum + found.length, 0);
  lines.push('', violations === 0 ? 'no violation' : `${violations} violations`);
  return lines.join('\n');
}

function renderLine({ id, title, checked, unchecked, violations }: InvariantResult): string {
  const verdict = violations.length > 0 ? `BROKEN ${violations.length}` : checked === 0 ? 'nothing to check' : 'holds';
  const left = unchecked === 0 ? '' : ` (${unchecked} more could not be judged)`;
  return `${id.padEnd(24)} ${verdict.padEnd(17)} ${String(checked).padStart(8)} checked${left}  ${title}`;
}

function renderViolations({ id, violations }: InvariantResult): readonly string[] {
  if (violations.length === 0) return [];
  const shown = violations.slice(0, SHOWN).map(({ node, key, problem }) => `  ${node} ${key}: ${problem}`);
  const rest = violations.length - shown.length;
  return ['', `${id}:`, ...shown, ...(rest > 0 ? [`  and ${rest} more`] : [])];
}

function summarize({ missing }: HistoryReport): readonly string[] {
  const reasons = Map.groupBy(missing, ({ reason }) => reason);
  return [...reasons].map(([reason, entries]) => `  ${entries.length}: ${reason}`);
}
