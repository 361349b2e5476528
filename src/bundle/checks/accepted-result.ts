import type { BlobId, ObjectId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Receipt, Result } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import {
  type Agreement,
  findAgreement,
  type GivenResult,
  isIdentical,
  listComparisons,
} from '../../proofs/compare-results.ts';
import type { EvidenceBlobs } from '../open-chain.ts';

/** The result that most replicas agree with, and who does. */
export interface AcceptedResult {
  readonly outputRoot: ObjectId;
  readonly result: Result;
  readonly receipts: readonly Signed<Receipt>[];
}

interface Given extends GivenResult {
  readonly receipt: Signed<Receipt>;
}

/** How results were compared besides by their roots. */
export interface ComparedResults {
  readonly agreement: Agreement<Given>;
  /** All that agree gave the same output root: nothing had to be tolerated. */
  readonly isIdentical: boolean;
}

export interface AgreedResult {
  /** Undefined if there is no result, or no single one that most gave. */
  readonly accepted: AcceptedResult | undefined;
  /** Null where results have to be byte-identical. */
  readonly compared: ComparedResults | null;
  /** Which files it takes to tell whether most agree; null where it is known. */
  readonly missing: string | null;
}

/** As the requester decides (docs/job-spec.md, `comparisons`): by output roots, or of training rounds by their outputs. */
export async function findAgreedResult(
  job: Job | undefined,
  receipts: readonly Signed<Receipt>[],
  blobs: EvidenceBlobs,
): Promise<AgreedResult> {
  const comparisons = job === undefined ? null : listComparisons(job);
  if (comparisons === null) return { accepted: findMostGiven(receipts), compared: null, missing: null };
  const files = { read: (blob: BlobId) => Promise.resolve(blobs.get(blob)), pause: () => Promise.resolve() };
  const agreement = await findAgreement(receipts.filter(isResult).map(describeGiven), { comparisons, files });
  if (agreement === undefined) return { accepted: undefined, compared: null, missing: null };
  const { accepted, agreeing, unknown, reasons } = agreement;
  const isMost = agreeing.length * 2 > agreeing.length + unknown.length + reasons.size;
  const compared = { agreement, isIdentical: agreeing.every((other) => isIdentical(accepted, other)) };
  if (!isMost) return { accepted: undefined, compared, missing: describeMissing(agreement) };
  const { outputRoot, result } = accepted.receipt.value;
  return {
    accepted: { outputRoot, result, receipts: agreeing.map(({ receipt }) => receipt) },
    compared,
    missing: null,
  };
}

function describeGiven(receipt: Signed<Receipt>): Given {
  const { lease, result, outputRoot } = receipt.value;
  return { name: lease, result, outputRoot, receipt };
}

function describeMissing({ unknown }: Agreement<Given>): string | null {
  const blobs = [...new Set(unknown.flatMap(({ missing }) => missing))];
  if (blobs.length === 0) return null;
  return `output files that are compared within tolerances (${blobs.slice(0, 4).join(', ')}${blobs.length > 4 ? ', …' : ''})`;
}

/** Undefined if there is no result, or no single one that most gave. */
function findMostGiven(receipts: readonly Signed<Receipt>[]): AcceptedResult | undefined {
  const byRoot = Map.groupBy(receipts.filter(isResult), ({ value }) => value.outputRoot);
  const [best, second] = [...byRoot].toSorted(([, a], [, b]) => b.length - a.length);
  const first = best?.[1][0];
  if (best === undefined || first === undefined || second?.[1].length === best[1].length) return undefined;
  return { outputRoot: best[0], result: first.value.result, receipts: best[1] };
}

/** An attempt that failed by the provider's fault gave no result. */
export function isResult({ value }: Signed<Receipt>): boolean {
  return value.result.outcome.kind !== 'attempt-failed';
}
