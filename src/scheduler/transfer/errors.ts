import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type TransferErrorInfo =
  | { readonly code: 'TRANSFER_NO_SOURCE'; readonly blob: string; readonly reason: string }
  | { readonly code: 'TRANSFER_BAD_SIZE'; readonly blob: string; readonly sizeBytes: number }
  | { readonly code: 'TRANSFER_BUSY'; readonly running: number }
  | { readonly code: 'TRANSFER_STALLED'; readonly blob: string; readonly peer: string; readonly reason: string }
  | { readonly code: 'TRANSFER_LIED'; readonly blob: string; readonly peer: string; readonly reason: string }
  | { readonly code: 'TRANSFER_NOT_SERVED'; readonly blob: string; readonly peer: string }
  | { readonly code: 'TRANSFER_NOT_TAKEN'; readonly blob: string; readonly peer: string }
  | { readonly code: 'TRANSFER_STOPPED' }
  | { readonly code: 'TRANSFER_TOO_MANY_PUBLIC'; readonly limit: number };

const TRANSFER_ERRORS: ErrorTable<TransferErrorInfo> = {
  TRANSFER_NO_SOURCE: {
    retryable: true,
    message: (info) => `nobody gave the blob ${info.blob}: ${info.reason}`,
    hint: () => 'What arrived is kept. Ask again, or name other peers that have it.',
  },
  TRANSFER_BAD_SIZE: {
    retryable: false,
    message: (info) => `the blob ${info.blob} cannot have ${info.sizeBytes} bytes`,
    hint: () => 'Whoever signed that size is at fault; take the size from who made the blob.',
  },
  TRANSFER_BUSY: {
    retryable: true,
    message: (info) => `${info.running} transfers are under way and no more are taken on`,
    hint: () => 'Try again when some have ended.',
  },
  TRANSFER_STALLED: {
    retryable: true,
    message: (info) => `${info.peer} is too slow with blob ${info.blob}: ${info.reason}`,
    hint: () => 'Other sources go on; ask it again later.',
  },
  TRANSFER_LIED: {
    retryable: false,
    message: (info) => `${info.peer} sent something else than blob ${info.blob}: ${info.reason}`,
    hint: () => 'It is not asked again for this blob; take it from another peer.',
  },
  TRANSFER_NOT_SERVED: {
    retryable: true,
    message: (info) => `${info.peer} does not hand out blob ${info.blob}`,
    hint: () => 'It may have dropped the blob, or the lease that grants it is over; ask another peer.',
  },
  TRANSFER_NOT_TAKEN: {
    retryable: true,
    message: (info) => `${info.peer} does not take blob ${info.blob} as fast as it must`,
    hint: () => 'Ask for fewer leaves at a time, and take them.',
  },
  TRANSFER_STOPPED: {
    retryable: true,
    message: () => 'the node is stopping',
    hint: () => 'Start the node again: what arrived is kept.',
  },
  TRANSFER_TOO_MANY_PUBLIC: {
    retryable: false,
    message: (info) => `${info.limit} blobs are public already`,
    hint: () => 'Make one private first: fogproof blob unshare.',
  },
};

export class TransferError extends DaemonError<TransferErrorInfo> {
  constructor(info: TransferErrorInfo, options?: ErrorOptions) {
    super(TRANSFER_ERRORS, info, options);
  }
}
