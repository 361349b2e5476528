import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type BlobErrorInfo =
  | { readonly code: 'BLOB_NOT_FOUND'; readonly blob: string }
  | { readonly code: 'BLOB_CORRUPT'; readonly blob: string; readonly damagedLeaves?: number }
  | { readonly code: 'BLOB_TOO_LARGE'; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly code: 'BLOB_MISMATCH'; readonly blob: string; readonly reason: string }
  | { readonly code: 'BLOB_DISK_FULL'; readonly directory: string }
  | { readonly code: 'BLOB_NO_ROOM'; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly code: 'BLOB_BUSY'; readonly blob: string; readonly open: number }
  | { readonly code: 'BLOB_INCOMPLETE'; readonly blob: string; readonly missing: number }
  | { readonly code: 'BLOB_CLOSED'; readonly blob: string }
  | { readonly code: 'BLOB_IN_USE'; readonly blob: string }
  | { readonly code: 'BLOB_NO_KEY' }
  | { readonly code: 'BLOB_LOCKED'; readonly blob: string }
  | { readonly code: 'BLOB_SOURCE'; readonly path: string; readonly reason: string }
  | { readonly code: 'BLOB_IO'; readonly directory: string; readonly reason: string }
  | {
      readonly code: 'SNAPSHOT_STORE_FULL';
      readonly what: 'bytes' | 'snapshots' | 'items';
      readonly needed: number;
      readonly used: number;
      readonly limit: number;
    }
  | { readonly code: 'SNAPSHOT_INCOMPLETE'; readonly missing: number };

const BLOB_ERRORS: ErrorTable<BlobErrorInfo> = {
  BLOB_NOT_FOUND: {
    retryable: false,
    message: (info) => `the blob ${info.blob} is not here`,
    hint: () => 'Add its file again, or submit the job again: it may have made room for newer ones.',
  },
  BLOB_CORRUPT: {
    retryable: false,
    message: (info) => `the blob ${info.blob} was damaged on disk and is no longer here`,
    hint: () => 'Check the disk, then add its file again or fetch it: what is sound of it was kept.',
  },
  BLOB_TOO_LARGE: {
    retryable: false,
    message: (info) => `a blob of ${info.sizeBytes} bytes is more than the ${info.maxBytes} allowed here`,
    hint: () => 'Split the file, or raise blobs.maxBytes if that is the limit.',
  },
  BLOB_MISMATCH: {
    retryable: false,
    message: (info) => `what was received for the blob ${info.blob} is something else: ${info.reason}`,
    hint: () => 'Take it from another peer.',
  },
  BLOB_DISK_FULL: {
    retryable: true,
    message: (info) => `the disk of ${info.directory} is full`,
    hint: () => 'Free some space, or lower blobs.maxBytes.',
  },
  BLOB_NO_ROOM: {
    retryable: true,
    message: (info) =>
      `there is no room for a blob of ${info.sizeBytes} bytes: jobs in progress hold what is in the ${info.maxBytes} bytes for blobs`,
    hint: () => 'Wait for jobs to end, or raise blobs.maxBytes.',
  },
  BLOB_BUSY: {
    retryable: true,
    message: (info) =>
      `the blob ${info.blob} cannot be received now: it is arriving already, or ${info.open} others are`,
    hint: () => 'Wait until it is here, then look again.',
  },
  BLOB_INCOMPLETE: {
    retryable: true,
    message: (info) => `${info.missing} leaves of the blob ${info.blob} are not here`,
    hint: () => 'Add the leaves that are still missing, then commit it again.',
  },
  BLOB_CLOSED: {
    retryable: true,
    message: (info) => `this reception of the blob ${info.blob} has ended`,
    hint: () => 'Open another one: it goes on from what is here.',
  },
  BLOB_IN_USE: {
    retryable: true,
    message: (info) => `the blob ${info.blob} is in use`,
    hint: () => 'A job or a transfer needs it: wait for its end, or cancel it.',
  },
  BLOB_NO_KEY: {
    retryable: false,
    message: () => 'private blobs cannot be kept: the store has no key',
    hint: () => 'Start the daemon with its identity unlocked.',
  },
  BLOB_LOCKED: {
    retryable: false,
    message: (info) => `the private blob ${info.blob} was encrypted under another identity than this node's`,
    hint: () => 'Restore the identity that the data folder belongs to, or add the file again under this one.',
  },
  BLOB_SOURCE: {
    retryable: false,
    message: (info) => `the file ${info.path} cannot be added: ${info.reason}`,
    hint: () => 'Name a regular file that the daemon may read and that nobody is writing to.',
  },
  BLOB_IO: {
    retryable: true,
    message: (info) => `the blobs in ${info.directory} cannot be used: ${info.reason}`,
    hint: () => 'Check that the folder belongs to the user that runs the daemon and that the disk is healthy.',
  },
  SNAPSHOT_STORE_FULL: {
    retryable: true,
    message: (info) =>
      `there is no room for a snapshot: it needs ${info.needed} ${info.what} beside the ${info.used} in use, of ${info.limit} allowed`,
    hint: () => 'Wait for jobs to end, or raise snapshots.maxBytes.',
  },
  SNAPSHOT_INCOMPLETE: {
    retryable: true,
    message: (info) => `${info.missing} items of the snapshot are not here`,
    hint: () => 'Add the items that are still missing, then commit it again.',
  },
};

export class BlobError extends DaemonError<BlobErrorInfo> {
  constructor(info: BlobErrorInfo, options?: ErrorOptions) {
    super(BLOB_ERRORS, info, options);
  }
}

/** True where a private blob is not for this node's identity, or there is none. */
export function isLocked(error: unknown): boolean {
  return error instanceof BlobError && (error.code === 'BLOB_LOCKED' || error.code === 'BLOB_NO_KEY');
}
