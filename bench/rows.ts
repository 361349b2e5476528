/** One measured figure, beside the baseline of the same run and the goal and floor of the design, section 11. */
export interface BenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: { readonly name: string; readonly value: number };
  readonly goal?: Bound;
  readonly floor?: Bound;
}

export interface Bound {
  readonly kind: 'at-most' | 'at-least';
  readonly value: number;
  /** What is compared: the figure itself, or its ratio to the baseline. */
  readonly of: 'value' | 'ratio';
}

export const atMost = (value: number, of: Bound['of'] = 'value'): Bound => ({ kind: 'at-most', value, of });
export const atLeast = (value: number, of: Bound['of'] = 'value'): Bound => ({ kind: 'at-least', value, of });

export function computeRatio(row: BenchRow): number | undefined {
  return row.baseline === undefined || row.baseline.value === 0 ? undefined : row.value / row.baseline.value;
}

export function isMet(row: BenchRow, bound: Bound): boolean {
  const figure = bound.of === 'ratio' ? computeRatio(row) : row.value;
  if (figure === undefined) throw new TypeError(`${row.name} has no baseline to compare with`);
  return bound.kind === 'at-most' ? figure <= bound.value : figure >= bound.value;
}

/** The value below which `share` of the sorted samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (value === undefined) throw new RangeError('no samples');
  return value;
}

/** For people: three significant figures or so. */
export function formatNumber(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value >= 10 ? value.toFixed(1) : value.toPrecision(2);
}

/** Whether a bound is met, and which; nothing where there is none. */
export function formatBound(row: BenchRow, bound: Bound | undefined): string {
  if (bound === undefined) return '';
  const sign = bound.kind === 'at-most' ? '≤' : '≥';
  return `${isMet(row, bound) ? 'met   ' : 'MISSED'} ${sign} ${formatNumber(bound.value)}${bound.of === 'ratio' ? ' ×' : ''}`;
}
