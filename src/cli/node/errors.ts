import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type StartErrorInfo =
  | { readonly code: 'CLI_START_TIMEOUT'; readonly timeoutMs: number; readonly pid: number }
  | {
      readonly code: 'CLI_START_FAILED';
      readonly exitCode: number | null;
      readonly signal: string | null;
      /** The error that the daemon ended with. */
      readonly told: { readonly code: string; readonly message: string; readonly hint: string } | null;
      /** Its last lines on stderr. */
      readonly lines: string;
    }
  | { readonly code: 'CLI_STOP_TIMEOUT'; readonly pid: number; readonly timeoutMs: number }
  | { readonly code: 'CLI_NO_LOG'; readonly path: string };

const START_ERRORS: ErrorTable<StartErrorInfo> = {
  CLI_START_TIMEOUT: {
    retryable: true,
    message: (info) =>
      `the daemon is not ready after ${info.timeoutMs / 1000} s; it goes on starting as process ${info.pid}`,
    hint: (info) =>
      `\`fogproof node logs\` tells what it does, \`fogproof node status\` answers once it is ready; end it with \`kill ${info.pid}\`. A longer --timeout waits longer.`,
  },
  CLI_START_FAILED: {
    retryable: false,
    message: (info) =>
      info.told === null
        ? `the daemon ended at once (${info.signal ?? `exit code ${info.exitCode}`})${info.lines === '' ? '' : `:\n${info.lines}`}`
        : `the daemon did not start: ${info.told.code}: ${info.told.message}`,
    hint: ({ told }) =>
      told === null || told.code === 'INTERNAL'
        ? 'Run `fogproof node start` without --detach to see where; `fogproof doctor` may know why.'
        : told.hint,
  },
  CLI_STOP_TIMEOUT: {
    retryable: true,
    message: (info) => `process ${info.pid} still runs ${info.timeoutMs / 1000} s after it was told to stop`,
    hint: (info) => `See \`fogproof node logs\`; \`kill -9 ${info.pid}\` loses nothing that is durable.`,
  },
  CLI_NO_LOG: {
    retryable: false,
    message: (info) => `there is no log at ${info.path}`,
    hint: () => 'The daemon has not run with this data folder yet, or logs elsewhere: see `fogproof config print log`.',
  },
};

export class StartError extends DaemonError<StartErrorInfo> {
  constructor(info: StartErrorInfo, options?: ErrorOptions) {
    super(START_ERRORS, info, options);
  }
}
