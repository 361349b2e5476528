import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type AnchoringErrorInfo =
  | { readonly code: 'ANCHORING_BAD_LEAF'; readonly reason: string }
  | { readonly code: 'ANCHORING_TOO_MANY_WAITING'; readonly waiting: number; readonly max: number }
  | { readonly code: 'ANCHORING_BUSY'; readonly max: number }
  | { readonly code: 'ANCHORING_STOPPED' }
  | { readonly code: 'ANCHORING_DAMAGED'; readonly batch: number; readonly reason: string }
  | { readonly code: 'ANCHORING_NO_PROGRAM'; readonly program: string; readonly reason: string }
  | { readonly code: 'ANCHORING_OTHER_PROGRAM'; readonly program: string; readonly reason: string }
  | { readonly code: 'ANCHORING_BAD_LOG'; readonly log: string; readonly reason: string }
  | { readonly code: 'ANCHORING_NOT_FINAL'; readonly batch: number; readonly transaction: string }
  | { readonly code: 'ANCHORING_HISTORY_GONE'; readonly batch: number; readonly log: string; readonly entry: number }
  | { readonly code: 'ANCHORING_NO_ANSWER'; readonly timeoutMs: number }
  | { readonly code: 'ANCHORING_NOT_ANCHORED'; readonly digest: string }
  | { readonly code: 'ANCHORING_OTHER_CHAIN'; readonly anchored: string; readonly network: string }
  | { readonly code: 'ANCHORING_LOG_CLOSED'; readonly log: string }
  | { readonly code: 'ANCHORING_ENTRIES_MISSING'; readonly entry: number; readonly missing: number }
  | { readonly code: 'ANCHORING_REFUSED'; readonly digest: string; readonly reason: string }
  | { readonly code: 'ANCHORING_TRANSACTION_FAILED'; readonly key: string; readonly reason: string };

const ANCHORING_ERRORS: ErrorTable<AnchoringErrorInfo> = {
  ANCHORING_BAD_LEAF: {
    retryable: false,
    message: (info) => `this cannot be anchored: ${info.reason}`,
    hint: () => 'Nothing was taken. Give the SHA-256 of a receipt, or the digest of a checkpoint root: 32 bytes.',
  },
  ANCHORING_TOO_MANY_WAITING: {
    retryable: true,
    message: (info) => `${info.waiting} leaves wait to be anchored, and at most ${info.max} may`,
    hint: () =>
      'Nothing of this call was taken: give it again later. `fogproof anchor list` says what keeps those that wait.',
  },
  ANCHORING_BUSY: {
    retryable: true,
    message: (info) => `${info.max} calls wait to be written already`,
    hint: () => 'Nothing of this call was taken: give it again, with more leaves in fewer calls.',
  },
  ANCHORING_STOPPED: {
    retryable: true,
    message: () => 'anchoring is not running',
    hint: () => 'What was taken is kept: it goes on when the daemon is started again.',
  },
  ANCHORING_DAMAGED: {
    retryable: false,
    message: (info) => `the tree of batch ${info.batch} on this disk is damaged: ${info.reason}`,
    hint: () => 'Check the disk. What was anchored stays anchored, but no proof can be made of it from this copy.',
  },
  ANCHORING_NO_PROGRAM: {
    retryable: true,
    message: (info) => `the program ${info.program} is not there on this chain: ${info.reason}`,
    hint: () =>
      'Compare chain.programs.proofAnchor of the network definition with the address where proof-anchor was deployed; `fogproof localnet` deploys it by itself.',
  },
  ANCHORING_OTHER_PROGRAM: {
    retryable: true,
    message: (info) => `the program ${info.program} does not behave as proof-anchor: it answers ${info.reason}`,
    hint: () =>
      'Nothing was sent and nothing was paid. Compare chain.programs.proofAnchor of the network definition with the address where proof-anchor was deployed.',
  },
  ANCHORING_BAD_LOG: {
    retryable: true,
    message: (info) => `the account ${info.log} is not the log of this wallet: ${info.reason}`,
    hint: () => 'Check chain.programs.proofAnchor: another program, or another version of it, may be at that address.',
  },
  ANCHORING_NOT_FINAL: {
    retryable: true,
    message: (info) => `the root of batch ${info.batch} is in transaction ${info.transaction}, which is not final yet`,
    hint: () => 'It is looked at again by itself.',
  },
  ANCHORING_HISTORY_GONE: {
    retryable: true,
    message: (info) =>
      `the log ${info.log} went on from entry ${info.entry}, and no endpoint's history says whether the root of batch ${info.batch} is in it`,
    hint: () => 'Add an endpoint that keeps the whole history to chain.rpcUrls: the root is not written twice.',
  },
  ANCHORING_NO_ANSWER: {
    retryable: true,
    message: (info) => `the chain gave no answer within ${info.timeoutMs / 1000} s`,
    hint: () => 'It is asked again by itself; look at the endpoints with `fogproof node status`.',
  },
  ANCHORING_NOT_ANCHORED: {
    retryable: true,
    message: (info) => `the receipt ${info.digest} is not under a root on the chain`,
    hint: () => '`fogproof anchor flush` anchors what waits; `fogproof anchor list` shows the batches.',
  },
  ANCHORING_OTHER_CHAIN: {
    retryable: false,
    message: (info) =>
      `this was anchored on the chain with genesis ${info.anchored}, and the chain of this network has genesis ${info.network}`,
    hint: () =>
      'Export the job and ask an endpoint of that chain: `fogproof bundle verify FILE --rpc-url URL` reads the anchor there.',
  },
  ANCHORING_LOG_CLOSED: {
    retryable: false,
    message: (info) => `the log ${info.log} was closed, or made anew, after this was anchored`,
    hint: () => 'Its root is still in the history: `fogproof bundle verify FILE --rpc-url URL` reads it there.',
  },
  ANCHORING_ENTRIES_MISSING: {
    retryable: false,
    message: (info) =>
      `entry ${info.entry} has left the ring of the log, and ${info.missing} entries of the log were not written by this node`,
    hint: () =>
      'Without them there is no path to the head. Its root is still in the history: `fogproof bundle verify FILE --rpc-url URL` reads it there.',
  },
  ANCHORING_REFUSED: {
    retryable: true,
    message: (info) => `the check of receipt ${info.digest} did not succeed on chain: ${info.reason}`,
    hint: () => 'Look at `fogproof wallet show`: each check is a transaction that costs a signature.',
  },
  ANCHORING_TRANSACTION_FAILED: {
    retryable: true,
    message: (info) => `the transaction ${info.key} failed: ${info.reason}`,
    hint: () => 'It is tried again by itself with a longer pause each time; look at the wallet and the program.',
  },
};

export class AnchoringError extends DaemonError<AnchoringErrorInfo> {
  constructor(info: AnchoringErrorInfo, options?: ErrorOptions) {
    super(ANCHORING_ERRORS, info, options);
  }
}
