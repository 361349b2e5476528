import { MAX_METRIC_NAME_BYTES } from '../../wasm/runtime/constants.ts';

export interface ReadMetric {
  readonly name: string;
  readonly value: number;
  readonly step: number;
}

const UTF8 = new TextEncoder();
/** What JSON has no numbers for. */
const WORDS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};
const STEP = 'step';

/**
 * The metrics of one line, in its order: an object of names to numbers, with `step` among them, such as
 * `{"step": 3, "loss": 0.25}`. Null if it is no such line.
 */
export function parseMetricLine(line: string): readonly ReadMetric[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  const { [STEP]: step, ...rest } = parsed as Readonly<Record<string, unknown>>;
  if (typeof step !== 'number' || !Number.isSafeInteger(step) || step < 0) return null;
  const metrics: ReadMetric[] = [];
  for (const [name, given] of Object.entries(rest)) {
    const value = readValue(given);
    if (value === null || !isName(name)) return null;
    metrics.push({ name, value, step });
  }
  return metrics.length === 0 ? null : metrics;
}

function readValue(given: unknown): number | null {
  if (typeof given === 'number') return given;
  return typeof given === 'string' && Object.hasOwn(WORDS, given) ? (WORDS[given] ?? null) : null;
}

function isName(name: string): boolean {
  return name !== '' && name.isWellFormed() && UTF8.encode(name).length <= MAX_METRIC_NAME_BYTES;
}
