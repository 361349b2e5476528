import type { SolanaAddress } from '../../domain/chain.ts';
import { MAX_BATCH_LEAVES, MAX_WAITING_LEAVES, RETRY_FIRST_MS, RETRY_LONGEST_MS } from './constants.ts';

export interface AnchoringOptions {
  /** Address of `proof-anchor` (network definition, `chain.programs.proofAnchor`). */
  readonly program: SolanaAddress;
  /** Leaves that are anchored at once without waiting (config `chain.anchor.maxReceipts`). */
  readonly maxReceipts: number;
  /** Longest that a leaf waits for others, in ms (config `chain.anchor.maxWaitMs`). */
  readonly maxWaitMs: number;
  /** How long proofs are kept after their batch was sealed, in ms; null for ever. */
  readonly keepMs?: number | null;
  /** While a batch is in flight the next one collects beyond `maxReceipts`, up to here. */
  readonly maxBatchLeaves?: number;
  /** Leaves that are not final yet; `add` refuses more. */
  readonly maxWaitingLeaves?: number;
  /** Pause after a failure, doubled up to the longest, in ms. */
  readonly retryFirstMs?: number;
  readonly retryLongestMs?: number;
}

export const ANCHORING_DEFAULTS = {
  keepMs: null,
  maxBatchLeaves: MAX_BATCH_LEAVES,
  maxWaitingLeaves: MAX_WAITING_LEAVES,
  retryFirstMs: RETRY_FIRST_MS,
  retryLongestMs: RETRY_LONGEST_MS,
} as const;
