import { formatDuration } from '../../../lib/quantity.ts';
import { formatCount, plural, renderFields, shortPeer } from '../../format.ts';
import type { CliOutput } from '../../interface.ts';
import type { FalseSnapshot, ReplayReport, ReplayRow } from './interface.ts';

/** Characters of a state root that tell it apart at sight. */
const SHORT_ROOT = 16;
/** Rows of one run of equal verdicts that are shown at its start and at its end. */
const SHOWN_ENDS = 3;

const VERDICTS: Readonly<Record<ReplayRow['verdict'], string>> = {
  same: 'same',
  different: 'DIFFERENT',
  unrecorded: 'not recorded',
  inexact: 'within tolerance',
  uncompared: 'other, not compared',
};

export function renderReport(report: ReplayReport, output: Pick<CliOutput, 'table'>): string[] {
  return [
    '',
    `replica ${report.replica}, ${report.label} by ${shortPeer(report.provider)}`,
    ...renderFields([
      ['began', describeBegin(report)],
      ['ran', describeRun(report)],
    ]),
    ...renderRows(report.rows, output),
    ...report.falseSnapshots.map(describeFalseSnapshot),
    ...(report.resultDifferences === null
      ? []
      : [
          `result    ${report.resultDifferences.length === 0 ? 'same' : `DIFFERENT: ${report.resultDifferences.join('; ')}`}`,
        ]),
    ...renderVerdict(report),
  ];
}

function describeBegin({ begin }: ReplayReport): string | undefined {
  if (begin === null) return undefined;
  return begin.at === 'beginning' ? 'at the beginning' : `from the snapshot after step ${begin.step} in the file`;
}

function describeRun({ run }: ReplayReport): string | undefined {
  if (run === null) return undefined;
  const { steps, fuel, cpuTimeMs, wallTimeMs, isolation, instrumenter } = run;
  return `to step ${steps}, ${fuel === null ? 'no' : formatCount(fuel)} units of fuel in all; ${formatDuration(wallTimeMs)}, ${formatDuration(cpuTimeMs)} of processor time; isolation '${isolation}', ${instrumenter}`;
}

function renderRows(rows: readonly ReplayRow[], output: Pick<CliOutput, 'table'>): string[] {
  if (rows.length === 0) return [];
  const shown = rows.flatMap((row, index) =>
    isShown(rows, index) ? [renderRow(row)] : isGap(rows, index) ? [GAP] : [],
  );
  return ['', ...output.table(['STEP', 'RECORDED ROOT', 'REPLAYED ROOT', ''], shown), ''];
}

const GAP = ['…', '…', '…', 'same'];

function renderRow({ step, recorded, replayed, verdict, detail }: ReplayRow): string[] {
  const words = verdict === 'inexact' ? (detail ?? VERDICTS[verdict]) : joinDetail(VERDICTS[verdict], detail);
  return [String(step), shorten(recorded), shorten(replayed), words];
}

function joinDetail(verdict: string, detail: string | undefined): string {
  return detail === undefined ? verdict : `${verdict}: ${detail}`;
}

function shorten(root: string | null): string {
  return root === null ? 'none' : root.slice(0, SHORT_ROOT);
}

/** Of a long run of equal rows the middle is left out; the rest is always shown. */
function isShown(rows: readonly ReplayRow[], index: number): boolean {
  if (rows[index]?.verdict !== 'same') return true;
  const near = rows.slice(Math.max(0, index - SHOWN_ENDS), index + SHOWN_ENDS + 1);
  return near.length <= 2 * SHOWN_ENDS || near.some(({ verdict }) => verdict !== 'same');
}

function isGap(rows: readonly ReplayRow[], index: number): boolean {
  return index > 0 && isShown(rows, index - 1);
}

function describeFalseSnapshot({ step, reason, pieces }: FalseSnapshot): string {
  const parts = pieces === null || pieces.length === 0 ? '' : `; it differs in ${pieces.join(', ')}`;
  return `snapshot after step ${step}: FALSE, ${reason}${parts}`;
}

function renderVerdict(report: ReplayReport): string[] {
  const { verdict, rows, missing, invalid, difference } = report;
  switch (verdict) {
    case 'equal': {
      const count = rows.filter((row) => row.verdict === 'same').length;
      const within = rows.filter((row) => row.verdict === 'inexact').length;
      const more = within === 0 ? '' : `, and files within the job's tolerances at ${within} more`;
      return [
        `verdict   EQUAL: this machine, with this instrumenter, got the recorded state at ${plural(count, 'checkpoint')}${more}`,
      ];
    }
    case 'different':
      return [
        `verdict   DIFFERENT${difference === null ? '' : `: ${describeDifference(report, difference)}`}`,
        ...missing.map((part) => `missing   ${part}`),
      ];
    case 'invalid':
      return [
        'verdict   INVALID: its evidence does not hold, and nothing was run',
        ...invalid.map((line) => `          ${line}`),
      ];
    case 'unchecked':
      return ['verdict   UNCHECKED', ...missing.map((part) => `missing   ${part}`)];
    default:
      return verdict satisfies never;
  }
}

function describeDifference({ provider }: ReplayReport, { from, to }: NonNullable<ReplayReport['difference']>): string {
  const whose = `the chain of ${shortPeer(provider)}`;
  return from === null
    ? `the state after step ${to} already is not the one in ${whose}`
    : `the states part in the interval (${from}, ${to}] of ${whose}`;
}
