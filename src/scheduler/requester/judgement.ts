import type { LeaseId } from '../../domain/ids.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { PathDifference } from '../../proofs/compare-results.ts';
import type { SchedulerErrorInfo } from '../errors.ts';
import type { JobMachineEventOf } from '../job-machine-events.ts';

/** Who agrees with the accepted result, where they need not be byte-identical. */
export interface ResultAgreement {
  readonly leases: readonly LeaseId[];
  /** Null where all files are identical. */
  readonly largest: PathDifference | null;
}

export interface AcceptedJudgement {
  readonly kind: 'accepted';
  readonly receipt: Receipt;
  /** Null: whoever gave the same output root. */
  readonly agreement: ResultAgreement | null;
}

export type Judgement =
  | AcceptedJudgement
  /** The only result has no files behind it: its attempt failed, another is made. */
  | { readonly kind: 'attempt-failed'; readonly lease: LeaseId; readonly code: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly info: SchedulerErrorInfo };

/** The event that ends the job with this result. */
export function describeConclusion({
  receipt,
  agreement,
}: AcceptedJudgement): Omit<JobMachineEventOf<'concluded'>, 'atMs'> {
  const { outcome } = receipt.result;
  return {
    kind: 'concluded',
    outputRoot: receipt.outputRoot,
    programFailure: outcome.kind === 'program-failed' ? { code: outcome.code, detail: outcome.detail } : null,
    ...(agreement === null ? {} : { agreeing: [...agreement.leases] }),
  };
}
