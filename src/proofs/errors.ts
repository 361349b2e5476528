import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type ProofsErrorInfo =
  | { readonly code: 'PROOFS_BAD_ENVELOPE'; readonly type: string; readonly reason: string }
  | { readonly code: 'PROOFS_WRONG_PAYLOAD_TYPE'; readonly expected: string; readonly found: string }
  | { readonly code: 'PROOFS_WRONG_SIGNER'; readonly type: string; readonly expected: string; readonly found: string }
  | { readonly code: 'PROOFS_NOT_IN_BATCH'; readonly type: string; readonly index: number }
  | { readonly code: 'PROOFS_BATCH_MISMATCH'; readonly type: string; readonly reason: string }
  | { readonly code: 'PROOFS_TOO_MANY_SIGNATURES'; readonly type: string; readonly max: number };

const PROOFS_ERRORS: ErrorTable<ProofsErrorInfo> = {
  PROOFS_BAD_ENVELOPE: {
    retryable: false,
    message: (info) => `the envelope of a ${info.type} is not valid: ${info.reason}`,
    hint: () => 'It was altered or signed for another purpose; ask its maker for it again.',
  },
  PROOFS_WRONG_PAYLOAD_TYPE: {
    retryable: false,
    message: (info) => `the envelope holds a ${info.found} where a ${info.expected} was expected`,
    hint: () => 'Its maker must sign it as what it is.',
  },
  PROOFS_WRONG_SIGNER: {
    retryable: false,
    message: (info) => `a ${info.type} is signed by ${info.found} and not by ${info.expected}`,
    hint: () => 'Only the party that it names may sign it.',
  },
  PROOFS_NOT_IN_BATCH: {
    retryable: false,
    message: (info) => `the inclusion path of a ${info.type} (leaf ${info.index}) does not lead to the signed root`,
    hint: () => 'It was altered after the batch was signed; ask its maker for it again.',
  },
  PROOFS_BATCH_MISMATCH: {
    retryable: false,
    message: (info) => `a batch of ${info.type} does not match its signed statement: ${info.reason}`,
    hint: () => 'Its maker must send every leaf of the batch, in order.',
  },
  PROOFS_TOO_MANY_SIGNATURES: {
    retryable: false,
    message: (info) => `a list of ${info.type} carries more than ${info.max} signatures`,
    hint: () => 'Its maker must sign many objects as one batch.',
  },
};

export class ProofsError extends DaemonError<ProofsErrorInfo> {
  constructor(info: ProofsErrorInfo, options?: ErrorOptions) {
    super(PROOFS_ERRORS, info, options);
  }
}
