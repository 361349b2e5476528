import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type StorageErrorInfo =
  | { readonly code: 'STORAGE_LOCKED'; readonly path: string; readonly pid: number | null }
  | { readonly code: 'STORAGE_FULL'; readonly path: string }
  | { readonly code: 'STORAGE_CORRUPT'; readonly path: string; readonly where: string; readonly reason: string }
  | { readonly code: 'STORAGE_CLOSED'; readonly path: string }
  | { readonly code: 'STORAGE_IO'; readonly path: string; readonly reason: string }
  | {
      readonly code: 'STORAGE_NEWER_SCHEMA';
      readonly path: string;
      readonly found: number;
      readonly supported: number;
    };

const STORAGE_ERRORS: ErrorTable<StorageErrorInfo> = {
  STORAGE_LOCKED: {
    retryable: true,
    message: (info) =>
      info.pid === null
        ? `the data folder's database ${info.path} is in use by another process`
        : `the data folder's database ${info.path} is in use by process ${info.pid}`,
    hint: () => 'Run `fogproof node stop`, or give this daemon its own folder with --home or FOGPROOF_HOME.',
  },
  STORAGE_FULL: {
    retryable: true,
    message: (info) => `the disk of ${info.path} is full`,
    hint: () => 'Free some space, or lower blobs.maxBytes, and start the daemon again; nothing that was saved is lost.',
  },
  STORAGE_CORRUPT: {
    retryable: false,
    message: (info) => `the database ${info.path} is damaged at ${info.where}: ${info.reason}`,
    hint: () =>
      'Stop the daemon and run `fogproof node repair`: it saves what is whole, names what is lost and keeps a copy of all. Then check the disk.',
  },
  STORAGE_CLOSED: {
    retryable: false,
    message: (info) => `the database ${info.path} is closed`,
    hint: () => 'The daemon is stopping; start it again with `fogproof node start`.',
  },
  STORAGE_IO: {
    retryable: true,
    message: (info) => `the database ${info.path} cannot be used: ${info.reason}`,
    hint: () => 'Check that the folder exists, is on a local disk and belongs to the user that runs the daemon.',
  },
  STORAGE_NEWER_SCHEMA: {
    retryable: false,
    message: (info) =>
      `the database ${info.path} has schema version ${info.found}; this program knows up to ${info.supported}`,
    hint: () =>
      'A newer fogproof wrote it: run that version or newer, or bring a backup of before the upgrade into another folder with `fogproof backup restore`.',
  },
};

export class StorageError extends DaemonError<StorageErrorInfo> {
  constructor(info: StorageErrorInfo, options?: ErrorOptions) {
    super(STORAGE_ERRORS, info, options);
  }
}
