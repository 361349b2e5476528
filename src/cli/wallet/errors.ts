import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type WalletCommandErrorInfo =
  | { readonly code: 'CLI_EXPORT_EXISTS'; readonly path: string }
  | { readonly code: 'CLI_EXPORT_UNWRITABLE'; readonly path: string; readonly reason: string };

const WALLET_COMMAND_ERRORS: ErrorTable<WalletCommandErrorInfo> = {
  CLI_EXPORT_EXISTS: {
    retryable: false,
    message: (info) => `${info.path} exists already, and a key is never written over`,
    hint: () => 'Name another file with --output.',
  },
  CLI_EXPORT_UNWRITABLE: {
    retryable: false,
    message: (info) => `${info.path} cannot be written: ${info.reason}`,
    hint: () => 'Name a file in a folder that is there and that this user may write to.',
  },
};

export class WalletCommandError extends DaemonError<WalletCommandErrorInfo> {
  constructor(info: WalletCommandErrorInfo, options?: ErrorOptions) {
    super(WALLET_COMMAND_ERRORS, info, options);
  }
}
