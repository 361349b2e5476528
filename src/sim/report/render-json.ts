import type { ScenarioReport } from '../interface.ts';

/** Digits that are the same whatever computed them: the last bits of a logarithm need not be. */
const DIGITS = 6;

/** One report, numbers to six digits, keys in the order in which they were made: the same seed gives the same text. */
export function renderJson({ charts: _charts, ...report }: ScenarioReport): string {
  return `${JSON.stringify(report, (_, value: unknown) => (typeof value === 'number' ? shorten(value) : value), 2)}\n`;
}

function shorten(value: number): number | string {
  if (!Number.isFinite(value)) return String(value);
  return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS));
}
