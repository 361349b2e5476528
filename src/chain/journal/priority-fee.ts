import { FEE_PERCENTILE, FEE_PERCENTILE_STEP, MAX_FEE_PERCENTILE } from '../constants.ts';

export interface PriorityFeeInput {
  /** Micro-lamports a compute unit of recent slots, one each. */
  readonly recent: readonly number[];
  /** Attempts that expired: each bids higher. */
  readonly expiredAttempts: number;
  /** Most micro-lamports a compute unit. */
  readonly maximum: number;
}

/** Micro-lamports a compute unit to offer; 0 where nobody pays any. */
export function computePriorityFee({ recent, expiredAttempts, maximum }: PriorityFeeInput): number {
  const sorted = recent.toSorted((a, b) => a - b);
  const percentile = Math.min(MAX_FEE_PERCENTILE, FEE_PERCENTILE + expiredAttempts * FEE_PERCENTILE_STEP);
  const index = Math.min(sorted.length - 1, Math.floor((sorted.length * percentile) / 100));
  return Math.min(maximum, sorted[index] ?? 0);
}
