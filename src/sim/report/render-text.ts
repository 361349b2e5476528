import type { Check, ScenarioReport } from '../interface.ts';

const MARKS = { held: 'ok    ', missed: 'MISSED', 'left-out': '-     ' } as const;
const SIGNS = { 'at-least': '>=', 'at-most': '<=' } as const;

/** For a terminal: the question, and what became of each threshold. */
export function renderText(report: ScenarioReport): string {
  const others = Object.entries(report.measures).filter(
    ([name]) => !report.checks.some((check) => check.measure === name),
  );
  return [
    `${report.scenario} (${report.nodes} nodes, seed ${report.seed}, ${report.vrf} VRF)`,
    `  ${report.question}`,
    ...report.checks.map(renderCheck),
    ...others.map(([name, value]) => `  ${' '.repeat(8)}${name} ${shorten(value)}`),
    '',
  ].join('\n');
}

function renderCheck(check: Check): string {
  const value = `${check.measure} ${shorten(check.value)} ${SIGNS[check.rule]} ${shorten(check.appliedBound)}`;
  return `  ${MARKS[check.verdict]}  ${value}: ${check.meaning}`;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(4)));
}
