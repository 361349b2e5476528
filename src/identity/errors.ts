import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type IdentityErrorInfo =
  | { readonly code: 'IDENTITY_EXISTS'; readonly path: string }
  | { readonly code: 'IDENTITY_MISSING'; readonly path: string }
  | { readonly code: 'IDENTITY_AMBIGUOUS'; readonly encrypted: string; readonly plain: string }
  | { readonly code: 'IDENTITY_WRONG_PASSPHRASE'; readonly path: string; readonly source: string }
  | { readonly code: 'IDENTITY_NO_PASSPHRASE'; readonly path: string }
  | { readonly code: 'IDENTITY_BAD_PASSPHRASE_SOURCE'; readonly source: string; readonly reason: string }
  | { readonly code: 'IDENTITY_WEAK_PASSPHRASE'; readonly minLength: number }
  | { readonly code: 'IDENTITY_EXPOSED'; readonly path: string; readonly mode: string }
  | { readonly code: 'IDENTITY_MALFORMED'; readonly path: string; readonly reason: string }
  | { readonly code: 'IDENTITY_MISMATCH'; readonly path: string; readonly expected: string; readonly found: string }
  | { readonly code: 'IDENTITY_BACKUP_EXISTS'; readonly path: string }
  | { readonly code: 'IDENTITY_BACKUP_INSIDE_HOME'; readonly path: string; readonly home: string }
  | { readonly code: 'IDENTITY_UNREADABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'IDENTITY_UNWRITABLE'; readonly path: string; readonly reason: string };

const IDENTITY_ERRORS: ErrorTable<IdentityErrorInfo> = {
  IDENTITY_EXISTS: {
    retryable: false,
    message: (info) => `there is an identity already: ${info.path}`,
    hint: () =>
      'Nothing was changed. Start it with `fogproof node start`, or choose another data folder with --home; an identity is never overwritten.',
  },
  IDENTITY_MISSING: {
    retryable: false,
    message: (info) => `there is no identity in ${info.path}`,
    hint: () => 'Make one with `fogproof init`, or bring one back with `fogproof restore FILE`.',
  },
  IDENTITY_AMBIGUOUS: {
    retryable: false,
    message: (info) => `there are two identities: ${info.encrypted} and ${info.plain}`,
    hint: () => 'Move the one that is not meant out of the data folder.',
  },
  IDENTITY_WRONG_PASSPHRASE: {
    retryable: false,
    message: (info) => `the passphrase (from ${info.source}) does not open ${info.path}`,
    hint: () => 'Check the passphrase; a lost one cannot be recovered, but a backup with its own can be restored.',
  },
  IDENTITY_NO_PASSPHRASE: {
    retryable: false,
    message: (info) => `${info.path} needs a passphrase and there is no terminal to ask on`,
    hint: () =>
      'Set FOGPROOF_PASSPHRASE_FILE to a file that holds it, or give it as the systemd credential fogproof-passphrase.',
  },
  IDENTITY_BAD_PASSPHRASE_SOURCE: {
    retryable: false,
    message: (info) => `the passphrase cannot be taken from ${info.source}: ${info.reason}`,
    hint: () => 'The file must be readable by this user and hold the passphrase on its only line.',
  },
  IDENTITY_WEAK_PASSPHRASE: {
    retryable: false,
    message: (info) => `a passphrase needs at least ${info.minLength} characters`,
    hint: () => 'Take four or five random words.',
  },
  IDENTITY_EXPOSED: {
    retryable: false,
    message: (info) => `the unencrypted key file ${info.path} can be read by others (mode ${info.mode})`,
    hint: (info) => `Run \`chmod 600 ${info.path}\`, and make a new identity if others may have read it.`,
  },
  IDENTITY_MALFORMED: {
    retryable: false,
    message: (info) => `${info.path} is not a key file of this program: ${info.reason}`,
    hint: () =>
      'Restore the identity with `fogproof restore FILE` into a new data folder, from a backup that `fogproof init` wrote.',
  },
  IDENTITY_MISMATCH: {
    retryable: false,
    message: (info) => `${info.path} names the peer ${info.expected}, and its key is that of ${info.found}`,
    hint: () => 'The file was altered; use another copy.',
  },
  IDENTITY_BACKUP_EXISTS: {
    retryable: false,
    message: (info) => `the backup file ${info.path} exists already`,
    hint: () => 'A backup is never overwritten: name another file.',
  },
  IDENTITY_BACKUP_INSIDE_HOME: {
    retryable: false,
    message: (info) => `the backup ${info.path} would lie inside the data folder ${info.home}`,
    hint: () => 'It would be lost together with what it backs up: name a file elsewhere, best on another disk.',
  },
  IDENTITY_UNREADABLE: {
    retryable: false,
    message: (info) => `${info.path} cannot be read: ${info.reason}`,
    hint: () => 'Check the path, and that the file belongs to the user that runs this program.',
  },
  IDENTITY_UNWRITABLE: {
    retryable: false,
    message: (info) => `${info.path} cannot be written: ${info.reason}`,
    hint: () => 'Check that its folder exists and may be written by this user, and that the disk is not full.',
  },
};

export class IdentityError extends DaemonError<IdentityErrorInfo> {
  constructor(info: IdentityErrorInfo, options?: ErrorOptions) {
    super(IDENTITY_ERRORS, info, options);
  }
}
