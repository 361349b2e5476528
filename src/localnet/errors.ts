import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type LocalnetErrorInfo =
  | { readonly code: 'LOCALNET_IN_USE'; readonly directory: string }
  | { readonly code: 'LOCALNET_PORT_TAKEN'; readonly host: string; readonly port: number }
  | { readonly code: 'LOCALNET_BAD_ADDRESS'; readonly host: string; readonly reason: string }
  | { readonly code: 'LOCALNET_CORRUPT'; readonly directory: string; readonly where: string; readonly reason: string }
  | { readonly code: 'LOCALNET_NEWER_STATE'; readonly directory: string; readonly found: number }
  | { readonly code: 'LOCALNET_DISK'; readonly directory: string; readonly reason: string }
  | { readonly code: 'LOCALNET_BAD_PROGRAM'; readonly name: string; readonly reason: string }
  | { readonly code: 'LOCALNET_BAD_TRANSACTION'; readonly reason: string };

const LOCALNET_ERRORS: ErrorTable<LocalnetErrorInfo> = {
  LOCALNET_IN_USE: {
    retryable: true,
    message: ({ directory }) => `another local chain runs on ${directory}`,
    hint: () => 'Use that one (several daemons may share it), stop it, or give this one its own folder with --home.',
  },
  LOCALNET_PORT_TAKEN: {
    retryable: true,
    message: ({ host, port }) => `port ${port} of ${host} is taken (a local chain needs it and the one above it)`,
    hint: () =>
      'If a local chain runs there, use that one: several daemons may share it. Else choose another with --port, or --port 0 for any free pair.',
  },
  LOCALNET_BAD_ADDRESS: {
    retryable: false,
    message: ({ host, reason }) => `cannot listen on ${host}: ${reason}`,
    hint: () => 'Give an address of this machine with --host; without it, 127.0.0.1 is used.',
  },
  LOCALNET_CORRUPT: {
    retryable: false,
    message: ({ directory, where, reason }) =>
      `the state of the local chain in ${directory} is damaged at ${where}: ${reason}`,
    hint: () => 'Nothing of value is in it: begin anew with `fogproof localnet --reset`.',
  },
  LOCALNET_NEWER_STATE: {
    retryable: false,
    message: ({ directory, found }) => `${directory} was written by a newer fogproof (state version ${found})`,
    hint: () => 'Run that version, or begin anew with `fogproof localnet --reset`.',
  },
  LOCALNET_DISK: {
    retryable: true,
    message: ({ directory, reason }) => `the state of the local chain in ${directory} cannot be written: ${reason}`,
    hint: () =>
      'Free some space and check that the folder belongs to you, then start it again: what was acknowledged is kept.',
  },
  LOCALNET_BAD_PROGRAM: {
    retryable: false,
    message: ({ name, reason }) => `the program ${name} cannot be deployed: ${reason}`,
    hint: () => 'Rebuild the programs with `npm run programs:build`.',
  },
  LOCALNET_BAD_TRANSACTION: {
    retryable: false,
    message: ({ reason }) => `not a transaction: ${reason}`,
    hint: () => 'Serialise it with the client library and send it whole, in base64.',
  },
};

export class LocalnetError extends DaemonError<LocalnetErrorInfo> {
  constructor(info: LocalnetErrorInfo, options?: ErrorOptions) {
    super(LOCALNET_ERRORS, info, options);
  }
}
