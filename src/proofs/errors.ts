import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type ProofsErrorInfo =
  | { readonly code: 'PROOFS_BAD_ENVELOPE'; readonly type: string; readonly reason: string }
  | { readonly code: 'PROOFS_WRONG_PAYLOAD_TYPE'; readonly expected: string; readonly found: string }
  | { readonly code: 'PROOFS_WRONG_SIGNER'; readonly type: string; readonly expected: string; readonly found: string }
  | { readonly code: 'PROOFS_NOT_IN_BATCH'; readonly type: string; readonly index: number }
  | { readonly code: 'PROOFS_BATCH_MISMATCH'; readonly type: string; readonly reason: string }
  | { readonly code: 'PROOFS_TOO_MANY_SIGNATURES'; readonly type: string; readonly max: number }
  | { readonly code: 'PROOFS_BAD_HOST_STATE'; readonly reason: string }
  | { readonly code: 'PROOFS_BAD_STATE'; readonly reason: string }
  | { readonly code: 'PROOFS_BAD_LINKS'; readonly reason: string }
  | { readonly code: 'PROOFS_NO_DIGEST'; readonly id: string };

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
  PROOFS_BAD_HOST_STATE: {
    retryable: false,
    message: (info) => `a host state is not valid: ${info.reason}`,
    hint: () => 'The state was altered or made by a version with another format; go on from an earlier snapshot.',
  },
  PROOFS_BAD_STATE: {
    retryable: false,
    message: (info) => `the state of a program is not valid: ${info.reason}`,
    hint: () => 'The snapshot was altered or made by a faulty provider; go on from an earlier one.',
  },
  PROOFS_BAD_LINKS: {
    retryable: false,
    message: (info) => `the links of a checkpoint chain are not valid: ${info.reason}`,
    hint: () => 'The chain was altered or cut; ask its provider for it again.',
  },
  PROOFS_NO_DIGEST: {
    retryable: false,
    message: (info) => `the id ${info.id} does not hold a SHA-256`,
    hint: () => 'Objects and blobs of this network are named by CIDv1 with sha2-256; its maker has to name it so.',
  },
};

export class ProofsError extends DaemonError<ProofsErrorInfo> {
  constructor(info: ProofsErrorInfo, options?: ErrorOptions) {
    super(PROOFS_ERRORS, info, options);
  }
}
