import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type SnapshotErrorInfo =
  | { readonly code: 'SNAPSHOT_GONE'; readonly snapshot: string }
  | { readonly code: 'SNAPSHOT_ITEM_GONE'; readonly item: string }
  | { readonly code: 'SNAPSHOT_INVALID'; readonly reason: string }
  | { readonly code: 'SNAPSHOT_TOO_LARGE'; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly code: 'SNAPSHOT_NOT_SERVED'; readonly snapshot: string; readonly peer: string }
  | {
      readonly code: 'SNAPSHOT_STALLED';
      readonly snapshot: string;
      readonly peer: string;
      readonly silentMs: number;
    };

const SNAPSHOT_ERRORS: ErrorTable<SnapshotErrorInfo> = {
  SNAPSHOT_GONE: {
    retryable: false,
    message: (info) => `the snapshot ${info.snapshot} is not here`,
    hint: () => 'Go on from another one: `fogproof job checkpoints` lists them.',
  },
  SNAPSHOT_ITEM_GONE: {
    retryable: false,
    message: (info) => `the piece ${info.item} of the snapshot is not here any more`,
    hint: () => 'It was released or damaged while it was read; go on from another snapshot.',
  },
  SNAPSHOT_INVALID: {
    retryable: false,
    message: (info) => `the snapshot is not what was promised: ${info.reason}`,
    hint: () => 'Go on from another one, or ask another peer that holds it.',
  },
  SNAPSHOT_TOO_LARGE: {
    retryable: false,
    message: (info) => `the snapshot takes ${info.sizeBytes} bytes; at most ${info.maxBytes} are accepted`,
    hint: () => 'Raise the limit for what is held, or give the job less memory.',
  },
  SNAPSHOT_NOT_SERVED: {
    retryable: true,
    message: (info) => `${info.peer} does not hand out the snapshot ${info.snapshot}`,
    hint: () => 'It may have let go of it, or the lease that grants it is over; take another one or another holder.',
  },
  SNAPSHOT_STALLED: {
    retryable: true,
    message: (info) => `${info.peer} sent nothing of the snapshot ${info.snapshot} for ${info.silentMs} ms`,
    hint: () => 'Ask it again, or another holder; what arrived is kept for two minutes.',
  },
};

export class SnapshotError extends DaemonError<SnapshotErrorInfo> {
  constructor(info: SnapshotErrorInfo, options?: ErrorOptions) {
    super(SNAPSHOT_ERRORS, info, options);
  }
}
