/**
 * A curve as text. Each character holds a grid of dots, 2 wide and 4 high, as the braille patterns of Unicode do (from U+2800 on); without
 * them one character is one dot.
 */
import { plural } from '../../format.ts';
import { sanitizeLine } from '../../framework/terminal-text.ts';
import type { Curve, CurvePoint } from './curve-book.ts';

export interface ChartSize {
  /** Columns of the terminal. */
  readonly columns: number;
  /** Lines of the plot itself. */
  readonly rows: number;
  readonly isAscii: boolean;
}

const LEAST_PLOT_COLUMNS = 10;
const BRAILLE = 0x2800;
/** Bit of a dot of a braille pattern, by row and column. */
const BRAILLE_DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** Name, plot and range; of a curve with fewer than two finite values the values alone. */
export function renderCurve({ name, points }: Curve, size: ChartSize): readonly string[] {
  const finite = points.filter(({ value }) => Number.isFinite(value));
  const head = describeCurve(name, points, finite);
  if (finite.length < 2) return [head];
  const { least, most } = findRange(finite);
  const labels = [formatValue(most), formatValue(least)] as const;
  const margin = Math.max(...labels.map((label) => label.length));
  const columns = Math.max(LEAST_PLOT_COLUMNS, size.columns - margin - 3);
  const rows = drawPlot(finite, { ...size, columns }, { least, most });
  const frame = size.isAscii
    ? { tick: '+', side: '|', corner: '+', floor: '-' }
    : { tick: '┤', side: '│', corner: '└', floor: '─' };
  const plot = rows.map((row, index) => {
    const label = index === 0 ? labels[0] : index === rows.length - 1 ? labels[1] : '';
    return `${label.padStart(margin)} ${label === '' ? frame.side : frame.tick}${row}`.trimEnd();
  });
  const [first, last] = [finite[0]?.step ?? 0, finite.at(-1)?.step ?? 0].map(String) as [string, string];
  const floor = `${' '.repeat(margin + 1)}${frame.corner}${frame.floor.repeat(columns)}`;
  const steps = `${' '.repeat(margin + 2)}${first}${last.padStart(Math.max(last.length + 1, columns - first.length))}`;
  return [head, ...plot, floor, steps];
}

/** Not by spreading: a long list does not fit the arguments of a function. */
function findRange(points: readonly CurvePoint[]): Range {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const { value } of points) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return { least, most };
}

function describeCurve(name: string, points: readonly CurvePoint[], finite: readonly CurvePoint[]): string {
  const last = points.at(-1);
  if (last === undefined) return sanitizeLine(name);
  const strange = points.length - finite.length;
  const remark = strange === 0 ? '' : `, ${plural(strange, 'value')} not finite`;
  return `${sanitizeLine(name)}  ${formatValue(last.value)} at step ${last.step} (${plural(points.length, 'point')}${remark})`;
}

/** Four digits that count, so that labels stay narrow. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

interface Range {
  readonly least: number;
  readonly most: number;
}

/** Dots by place, joined by lines: a curve that jumps is still one. */
function drawPlot(points: readonly CurvePoint[], size: ChartSize, range: Range): readonly string[] {
  const [perColumn, perRow] = size.isAscii ? [1, 1] : [2, 4];
  const width = size.columns * perColumn;
  const height = size.rows * perRow;
  const dots = new Uint8Array(width * height);
  const means = averageColumns(points, width);
  let before: number | null = null;
  for (const [x, mean] of means.entries()) {
    if (mean === null) continue;
    const y = placeValue(mean, height, range);
    for (const each of between(before, y)) dots[each * width + x] = 1;
    before = y;
  }
  return Array.from({ length: size.rows }, (_, row) =>
    Array.from({ length: size.columns }, (__, column) =>
      size.isAscii ? (dots[row * width + column] === 1 ? '*' : ' ') : toBraille(dots, width, { row, column }),
    ).join(''),
  );
}

/** The mean of the values that fall on each column; between two of them a straight line. */
function averageColumns(points: readonly CurvePoint[], width: number): readonly (number | null)[] {
  const first = points[0]?.step ?? 0;
  const span = Math.max(1, (points.at(-1)?.step ?? 0) - first);
  const sums = new Float64Array(width);
  const counts = new Uint32Array(width);
  for (const { step, value } of points) {
    const x = Math.min(width - 1, Math.floor(((step - first) / span) * width));
    counts[x] = (counts[x] ?? 0) + 1;
    const count = counts[x] ?? 1;
    // Not the sum: that of large numbers is none.
    sums[x] = (sums[x] ?? 0) * ((count - 1) / count) + value / count;
  }
  const means: (number | null)[] = Array.from(sums, (mean, x) => ((counts[x] ?? 0) > 0 ? mean : null));
  let from = -1;
  for (const [x, mean] of means.entries()) {
    if (mean === null) continue;
    const start = means[from] ?? null;
    for (let gap = from + 1; start !== null && gap < x; gap += 1) {
      const share = (gap - from) / (x - from);
      means[gap] = start * (1 - share) + mean * share;
    }
    from = x;
  }
  return means;
}

/** From 0 at the top. Halved before they are subtracted: the whole range of numbers has to fit. */
function placeValue(value: number, height: number, { least, most }: Range): number {
  const span = most / 2 - least / 2;
  if (span === 0) return Math.floor((height - 1) / 2);
  const share = Math.min(1, Math.max(0, (value / 2 - least / 2) / span));
  return Math.round((1 - share) * (height - 1));
}

function between(before: number | null, y: number): readonly number[] {
  if (before === null || before === y) return [y];
  const step = before < y ? 1 : -1;
  return Array.from({ length: Math.abs(y - before) }, (_, index) => before + step * (index + 1));
}

function toBraille(dots: Uint8Array, width: number, { row, column }: { row: number; column: number }): string {
  let bits = 0;
  for (const [y, pair] of BRAILLE_DOTS.entries()) {
    for (const [x, bit] of pair.entries()) {
      if (dots[(row * 4 + y) * width + column * 2 + x] === 1) bits |= bit;
    }
  }
  return bits === 0 ? ' ' : String.fromCodePoint(BRAILLE + bits);
}
