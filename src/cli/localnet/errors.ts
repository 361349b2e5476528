import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type LocalnetCommandErrorInfo =
  | { readonly code: 'CLI_BAD_ARTEFACT'; readonly path: string; readonly reason: string }
  | { readonly code: 'CLI_BAD_ACCOUNT_FILE'; readonly path: string; readonly reason: string };

const LOCALNET_COMMAND_ERRORS: ErrorTable<LocalnetCommandErrorInfo> = {
  CLI_BAD_ARTEFACT: {
    retryable: false,
    message: ({ path, reason }) => `${path} cannot be used: ${reason}`,
    hint: () => 'Build the programs anew with `npm run programs:build`, or install fogproof again.',
  },
  CLI_BAD_ACCOUNT_FILE: {
    retryable: false,
    message: ({ path, reason }) => `${path} holds no account: ${reason}`,
    hint: () => 'Give a file that `solana account ADDRESS --output json --output-file FILE` wrote.',
  },
};

export class LocalnetCommandError extends DaemonError<LocalnetCommandErrorInfo> {
  constructor(info: LocalnetCommandErrorInfo, options?: ErrorOptions) {
    super(LOCALNET_COMMAND_ERRORS, info, options);
  }
}
