/**
 * Whether results of a job with training rounds agree (docs/job-spec.md, `comparisons`). The requester decides by this, and
 * whoever verifies a bundle finds the same by it.
 */
import type { BlobId } from '../domain/ids.ts';
import type { Comparison, Job } from '../domain/job.ts';
import type { OutputFile, Result } from '../domain/receipt.ts';
import { compareFiles, type FileComparison, type LargestDifference, openArrays } from './compare-files.ts';

/** Largest file that is compared as numbers, in bytes; a larger one has to be identical. Text takes ten times as long. */
export const MAX_COMPARED_BYTES: Readonly<Record<Comparison['element'], number>> = {
  f32: 64 * 1024 * 1024,
  f64: 64 * 1024 * 1024,
  text: 8 * 1024 * 1024,
  npy: 64 * 1024 * 1024,
};
/** Bytes of an array that are compared at a time: some 5 ms. A multiple of every element. */
const SLICE_BYTES = 1024 * 1024;

export interface PathDifference extends LargestDifference {
  readonly path: string;
}

export interface GivenResult {
  /** The lease: decides ties. */
  readonly name: string;
  readonly result: Result;
  readonly outputRoot: string;
}

export interface FileAccess {
  /** The bytes of an output; undefined if they are not at hand. */
  readonly read: (blob: BlobId) => Promise<Uint8Array | undefined>;
  /** Called between pieces of work. */
  readonly pause: () => Promise<void>;
}

export type ResultComparison =
  /** `largest` is null where all files are identical. */
  | { readonly kind: 'agree'; readonly largest: PathDifference | null }
  | { readonly kind: 'differ'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly missing: readonly BlobId[] };

/**
 * How results of a job are compared besides by their output roots; null where they are compared by those alone. A job with
 * training rounds has it even if it tolerates nothing: an attempt that was resumed counts its own fuel, logs and metrics.
 */
export function listComparisons({
  workload,
  checkpoints,
  comparisons,
}: Pick<Job, 'checkpoints' | 'comparisons'> & { readonly workload: Pick<Job['workload'], 'kind'> }) {
  if (workload.kind === 'inference') return comparisons ?? null;
  return checkpoints?.schedule.kind === 'rounds' ? (comparisons ?? []) : null;
}

/**
 * Two results agree if they have the same outcome and the same output paths under the same instrumenter, and each file is
 * identical or within the job's tolerance for its path. Fuel, steps and metrics may differ.
 */
export async function compareResults(
  a: Result,
  b: Result,
  { comparisons, files }: { readonly comparisons: readonly Comparison[]; readonly files: FileAccess },
): Promise<ResultComparison> {
  const reason = findOtherDifference(a, b);
  if (reason !== null) return { kind: 'differ', reason };
  const missing: BlobId[] = [];
  let largest: PathDifference | null = null;
  for (const [index, file] of a.outputs.entries()) {
    const other = b.outputs[index];
    if (other === undefined || file.blob === other.blob) continue;
    const comparison = comparisons.find(({ path }) => path === file.path);
    if (comparison === undefined) return { kind: 'differ', reason: `other bytes in ${file.path}` };
    const compared = await compareOutputs([file, other], comparison, files);
    if (compared.kind === 'missing') missing.push(...compared.blobs);
    else if (compared.kind === 'within') largest = chooseLarger(largest, { ...compared.largest, path: file.path });
    else if (compared.kind !== 'identical') return { kind: 'differ', reason: describeBeyond(file.path, compared) };
  }
  return missing.length > 0 ? { kind: 'unknown', missing } : { kind: 'agree', largest };
}

function findOtherDifference(a: Result, b: Result): string | null {
  if (a.instrumenter !== b.instrumenter || a.instrumentedModule !== b.instrumentedModule) return 'other instrumenters';
  if (describeEnd(a) !== describeEnd(b)) return `the outcomes ${describeEnd(a)} and ${describeEnd(b)}`;
  const isSame =
    a.outputs.length === b.outputs.length && a.outputs.every(({ path }, at) => path === b.outputs[at]?.path);
  return isSame ? null : 'other output files';
}

function describeEnd({ outcome }: Result): string {
  return outcome.kind === 'completed' ? outcome.kind : outcome.code;
}

type OutputComparison = FileComparison | { readonly kind: 'missing'; readonly blobs: readonly BlobId[] };

async function compareOutputs(
  [file, other]: readonly [OutputFile, OutputFile],
  comparison: Comparison,
  { read, pause }: FileAccess,
): Promise<OutputComparison> {
  const maxBytes = MAX_COMPARED_BYTES[comparison.element];
  const sizeBytes = Math.max(file.sizeBytes, other.sizeBytes);
  if (sizeBytes > maxBytes) {
    return { kind: 'incomparable', reason: `${sizeBytes} bytes are more than the ${maxBytes} that are compared` };
  }
  const bytes = await read(file.blob);
  const otherBytes = await read(other.blob);
  if (bytes !== undefined && otherBytes !== undefined)
    return await compareInSlices([bytes, otherBytes], comparison, pause);
  return { kind: 'missing', blobs: [...(bytes ? [] : [file.blob]), ...(otherBytes ? [] : [other.blob])] };
}

/** As `compareFiles`, with pauses. */
async function compareInSlices(
  files: readonly [Uint8Array, Uint8Array],
  wanted: Comparison,
  pause: FileAccess['pause'],
): Promise<FileComparison> {
  await pause();
  const opened = wanted.element === 'npy' ? openArrays(files) : { element: wanted.element, arrays: files };
  if ('kind' in opened) return opened;
  const comparison = { ...wanted, element: opened.element };
  const [a, b] = opened.arrays;
  const isSliced = comparison.element !== 'text' && a.length === b.length && a.length > SLICE_BYTES;
  const size = comparison.element === 'f32' ? 4 : 8;
  if (!isSliced || a.length % size !== 0) return compareFiles(a, b, comparison);
  const elements = a.length / size;
  let worst: Extract<FileComparison, { largest: LargestDifference }> | null = null;
  for (let start = 0; start < a.length; start += SLICE_BYTES) {
    const end = start + SLICE_BYTES;
    const compared = compareFiles(a.subarray(start, end), b.subarray(start, end), comparison);
    if (compared.kind === 'incomparable') return compared;
    if (compared.kind !== 'identical') {
      const largest = { ...compared.largest, index: compared.largest.index + start / size };
      if (worst === null || largest.share > worst.largest.share) worst = { kind: compared.kind, elements, largest };
    }
    await pause();
  }
  return worst ?? { kind: 'identical' };
}

function describeBeyond(path: string, compared: Extract<FileComparison, { kind: 'beyond' | 'incomparable' }>): string {
  if (compared.kind === 'incomparable') return `${path} cannot be compared: ${compared.reason}`;
  const { index, a, b } = compared.largest;
  return `${path} is beyond its tolerance at element ${index}: ${a} and ${b}`;
}

function chooseLarger(a: PathDifference | null, b: PathDifference): PathDifference {
  return a !== null && a.share >= b.share ? a : b;
}

/** Results that agree with one of them, which is not to say with each other. */
export interface Agreement<Given extends GivenResult> {
  readonly accepted: Given;
  /** With the accepted one, in order of their names. */
  readonly agreeing: readonly Given[];
  /** Between the accepted one and any that agrees; null where all their files are identical. */
  readonly largest: PathDifference | null;
  /** Those of which it is not known whether they agree with it, and the files that would tell. */
  readonly unknown: readonly { readonly given: Given; readonly missing: readonly BlobId[] }[];
  /** Why others do not, by name. */
  readonly reasons: ReadonlyMap<string, string>;
}

/**
 * The result with which most agree; of several the one with which most are byte-identical, then the one whose name comes
 * first. Undefined where there is none at all.
 */
export async function findAgreement<Given extends GivenResult>(
  results: readonly Given[],
  by: { readonly comparisons: readonly Comparison[]; readonly files: FileAccess },
): Promise<Agreement<Given> | undefined> {
  const sorted = results.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const matrix = await compareAll(sorted, by);
  const candidates = sorted.map((accepted, row) => {
    const agreeing = sorted.filter((_, column) => matrix[row]?.[column]?.kind === 'agree');
    return { row, accepted, agreeing, identical: agreeing.filter((other) => isIdentical(accepted, other)).length };
  });
  const [best] = candidates.toSorted(
    (a, b) => b.agreeing.length - a.agreeing.length || b.identical - a.identical || a.row - b.row,
  );
  if (best === undefined) return undefined;
  let largest: PathDifference | null = null;
  const unknown: { given: Given; missing: readonly BlobId[] }[] = [];
  const reasons = new Map<string, string>();
  for (const [column, given] of sorted.entries()) {
    const compared = matrix[best.row]?.[column];
    if (compared?.kind === 'agree' && compared.largest !== null) largest = chooseLarger(largest, compared.largest);
    if (compared?.kind === 'differ') reasons.set(given.name, compared.reason);
    if (compared?.kind === 'unknown') unknown.push({ given, missing: compared.missing });
  }
  return { accepted: best.accepted, agreeing: best.agreeing, largest, unknown, reasons };
}

export function isIdentical(a: GivenResult, b: GivenResult): boolean {
  return a.outputRoot === b.outputRoot;
}

const SAME: ResultComparison = { kind: 'agree', largest: null };

/** Row by column; each pair is compared once. */
async function compareAll(
  results: readonly GivenResult[],
  by: { readonly comparisons: readonly Comparison[]; readonly files: FileAccess },
): Promise<ResultComparison[][]> {
  const matrix = results.map((): ResultComparison[] => []);
  for (const [row, a] of results.entries()) {
    for (const [column, b] of results.entries()) {
      const mirrored = matrix[column]?.[row];
      const compared =
        column < row && mirrored !== undefined
          ? mirror(mirrored)
          : isIdentical(a, b)
            ? SAME
            : await compareResults(a.result, b.result, by);
      matrix[row]?.push(compared);
    }
  }
  return matrix;
}

function mirror(compared: ResultComparison): ResultComparison {
  if (compared.kind !== 'agree' || compared.largest === null) return compared;
  const { a, b } = compared.largest;
  return { ...compared, largest: { ...compared.largest, a: b, b: a } };
}
