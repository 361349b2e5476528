/** Sizes, durations and counts as people write them. All functions give whole numbers, or undefined for bad text. */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};
const COUNT_UNITS: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/** `512`, `64KiB`, `1.5 GiB`, `10MB`: powers of 1024 with an `i`, of 1000 without. */
export const SIZE_PATTERN = /^\d[\d_]*(\.\d+)? ?([kKmMgGtT]i?)?[bB]?$/;
/** `250ms`, `30s`, `10m`, `1h30m`, `7d`. A unit is always needed. */
export const DURATION_PATTERN = /^(\d+(\.\d+)?(ms|s|m|h|d) ?)+$/;
/** `2000000000`, `2_000_000_000`, `2e9`, `1.5G`. */
export const COUNT_PATTERN = /^\d[\d_]*(\.\d+)?([eE]\+?\d{1,2})?[kKmMgGtT]?$/;

/** Bytes. */
export function parseSize(text: string): number | undefined {
  if (!SIZE_PATTERN.test(text)) return undefined;
  const [, figure = '', unit = ''] = /^([\d_.]+) ?([a-zA-Z]*)$/.exec(text) ?? [];
  const name = unit === '' ? 'B' : `${unit.replace(/b$/i, '').toUpperCase()}B`;
  return toWhole(Number(figure.replaceAll('_', '')) * (SIZE_UNITS[name] ?? Number.NaN));
}

/** Milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION_PATTERN.test(text)) return undefined;
  let totalMs = 0;
  for (const [, figure, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(figure) * (DURATION_UNITS[unit ?? ''] ?? Number.NaN);
  }
  return toWhole(totalMs);
}

export function parseCount(text: string): number | undefined {
  if (!COUNT_PATTERN.test(text)) return undefined;
  const unit = text.at(-1)?.toUpperCase() ?? '';
  const factor = COUNT_UNITS[unit];
  const figure = factor === undefined ? text : text.slice(0, -1);
  return toWhole(Number(figure.replaceAll('_', '')) * (factor ?? 1));
}

/** Decimal fractions such as 1.1 GB come out a hair off a whole number in binary: rounded, if that near. */
function toWhole(value: number): number | undefined {
  const whole = Math.round(value);
  return Number.isSafeInteger(whole) && Math.abs(whole - value) <= value * 1e-12 ? whole : undefined;
}

/** The largest binary unit that shows at least 1, with at most one decimal: `64 MiB`. */
export function formatSize(bytes: number): string {
  let unit = 'B';
  let figure = bytes;
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (figure < 1024) break;
    figure /= 1024;
    unit = next;
  }
  return `${Number(figure.toFixed(1))} ${unit}`;
}

/** The largest unit that shows at least 1, with at most one decimal: `1.5 h`. */
export function formatDuration(ms: number): string {
  const [unit, factor] = Object.entries(DURATION_UNITS)
    .toReversed()
    .find(([, size]) => ms >= size) ?? ['ms', 1];
  return `${Number((ms / factor).toFixed(1))} ${unit}`;
}
