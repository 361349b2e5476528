import type { InlineBlob } from '../../domain/messages.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Refusal } from '../../domain/refusal.ts';
import type { Signed } from '../../domain/signed.ts';
import type { ReturnExtras } from './attempt-course.ts';

/** What the job must hear of its attempt; all else goes through the ledger. */
export interface AttemptHooks {
  /** The attempt changed in the ledger. */
  readonly onChange: () => void;
  readonly onAccepted: () => void;
  readonly onRefused: (refusal: Refusal) => void;
  /** `extras` go with the result: the attempt counted as lost and is back with it. */
  readonly onReceipt: (receipt: Signed<Receipt>, inlineBlobs: readonly InlineBlob[], extras: ReturnExtras) => void;
  /** Our own store or invariants failed: nothing that a provider can cause. */
  readonly onDefect: (error: unknown) => void;
}
