import type { BlobId } from '../../../domain/ids.ts';
import type { AttemptKeys } from '../../../tee/interface.ts';

/** What was shown of one attempt, and the keys that it names. */
export interface ShownEvidence {
  readonly nonce: Uint8Array;
  /** Canonical `fogproof/attempt-evidence@1`. */
  readonly evidence: Uint8Array;
  readonly evidenceId: BlobId;
  readonly keys: AttemptKeys;
  /** After it nothing is released to these keys, unix ms. */
  readonly expiresAtMs: number;
}
