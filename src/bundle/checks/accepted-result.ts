import type { ObjectId } from '../../domain/ids.ts';
import type { Receipt, Result } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';

/** The result that most replicas gave, and who gave it. */
export interface AcceptedResult {
  readonly outputRoot: ObjectId;
  readonly result: Result;
  readonly receipts: readonly Signed<Receipt>[];
}

/** Undefined if there is no result, or no single one that most gave. */
export function findAcceptedResult(receipts: readonly Signed<Receipt>[]): AcceptedResult | undefined {
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
