import type { Comparison } from '../domain/job.ts';
import { parseNpy } from '../lib/npy.ts';

/** The element that passes its tolerance by the largest factor, or has the largest difference where none does. */
export interface LargestDifference {
  readonly index: number;
  readonly a: string;
  readonly b: string;
  /** |a - b| over what is allowed there; Infinity where nothing is, or where it is no number. */
  readonly share: number;
}

export type FileComparison =
  | { readonly kind: 'identical' }
  | { readonly kind: 'within'; readonly elements: number; readonly largest: LargestDifference }
  | { readonly kind: 'beyond'; readonly elements: number; readonly largest: LargestDifference }
  /** They are not comparable element by element. */
  | { readonly kind: 'incomparable'; readonly reason: string };

/**
 * Compares two files as numbers: |a - b| <= absolute + relative · max(|a|, |b|) for every element. Two NaNs are equal, and
 * so are two infinities of one sign; a NaN or an infinity beside anything else is beyond every tolerance.
 */
export function compareFiles(a: Uint8Array, b: Uint8Array, comparison: Omit<Comparison, 'path'>): FileComparison {
  if (isIdentical(a, b)) return { kind: 'identical' };
  if (comparison.element === 'text') return compareTexts(a, b, comparison);
  if (comparison.element === 'npy') {
    const opened = openArrays([a, b]);
    return 'kind' in opened ? opened : compareFiles(...opened.arrays, { ...comparison, element: opened.element });
  }
  const size = comparison.element === 'f32' ? 4 : 8;
  if (a.length !== b.length) return incomparable(`${a.length} bytes and ${b.length} bytes`);
  if (a.length % size !== 0) return incomparable(`${a.length} bytes are no whole number of ${comparison.element}`);
  const [left, right] = [viewOf(a), viewOf(b)];
  const read = (view: DataView, index: number): number =>
    size === 4 ? view.getFloat32(index * 4, true) : view.getFloat64(index * 8, true);
  const judge = new Judge(comparison);
  for (let index = 0; index < a.length / size; index++) judge.take(index, read(left, index), read(right, index));
  return judge.conclude(a.length / size);
}

type Arrays = readonly [Uint8Array, Uint8Array];

/** The elements of two arrays of NumPy, as what they are compared; those of anything but floats have to be identical. */
export function openArrays([a, b]: Arrays):
  | FileComparison
  | { readonly element: 'f32' | 'f64'; readonly arrays: Arrays } {
  const [left, right] = [parseNpy(a), parseNpy(b)];
  if (left.kind === 'invalid' || right.kind === 'invalid') return incomparable('one of them is no array of NumPy');
  const { type, shape } = left.tensor;
  const other = right.tensor;
  if (type !== other.type || shape.join() !== other.shape.join()) {
    return incomparable(`${type} of (${shape.join()}) and ${other.type} of (${other.shape.join()})`);
  }
  const arrays: Arrays = [left.tensor.bytes, other.bytes];
  if (type === 'float32') return { element: 'f32', arrays };
  if (type === 'float64') return { element: 'f64', arrays };
  return incomparable(`other bytes in arrays of ${type}`);
}

class Judge {
  readonly #absolute: number;
  readonly #relative: number;
  #largest: { index: number; a: number; b: number; share: number } | null = null;

  constructor({ absolute, relative }: Pick<Comparison, 'absolute' | 'relative'>) {
    this.#absolute = Number(absolute);
    this.#relative = Number(relative);
  }

  take(index: number, a: number, b: number): void {
    if (Object.is(a, b) || a === b) return;
    const difference = Math.abs(a - b);
    const allowed = this.#absolute + this.#relative * Math.max(Math.abs(a), Math.abs(b));
    // A NaN or an infinity on one side makes the difference, and with it the share, no finite number.
    const isFinite = Number.isFinite(a) && Number.isFinite(b);
    const share = isFinite && allowed > 0 ? difference / allowed : Number.POSITIVE_INFINITY;
    if (this.#largest === null || share > this.#largest.share) this.#largest = { index, a, b, share };
  }

  conclude(elements: number): FileComparison {
    const found = this.#largest ?? { index: 0, a: 0, b: 0, share: 0 };
    const largest = { ...found, a: String(found.a), b: String(found.b) };
    return { kind: found.share <= 1 ? 'within' : 'beyond', elements, largest };
  }
}

const SEPARATORS = /[\s,;]+/;
/** A decimal number as most programs print it, or a NaN or an infinity by any of their usual names. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const SPECIAL: ReadonlyMap<string, number> = new Map([
  ['nan', Number.NaN],
  ['-nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
]);

/** Words that are no numbers have to be the same. */
function compareTexts(a: Uint8Array, b: Uint8Array, comparison: Omit<Comparison, 'path'>): FileComparison {
  const [left, right] = [readWords(a), readWords(b)];
  if (left === undefined || right === undefined) return incomparable('it is not UTF-8');
  if (left.length !== right.length) return incomparable(`${left.length} words and ${right.length} words`);
  const judge = new Judge(comparison);
  for (const [index, word] of left.entries()) {
    const other = right[index] ?? '';
    if (word === other) continue;
    const [x, y] = [parseNumber(word), parseNumber(other)];
    if (x === undefined || y === undefined)
      return incomparable(`word ${index + 1} is '${clip(word)}' and '${clip(other)}'`);
    judge.take(index, x, y);
  }
  return judge.conclude(left.length);
}

function readWords(bytes: Uint8Array): string[] | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.split(SEPARATORS).filter((word) => word !== '');
  } catch {
    return undefined;
  }
}

function parseNumber(word: string): number | undefined {
  return NUMBER.test(word) ? Number(word) : SPECIAL.get(word.toLowerCase());
}

function clip(word: string): string {
  return word.length > 40 ? `${word.slice(0, 39)}…` : word;
}

function incomparable(reason: string): FileComparison {
  return { kind: 'incomparable', reason };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isIdentical(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
