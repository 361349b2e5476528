import { CommanderError } from 'commander';
import { describeError, isAbortError, isDaemonError, UsageError } from '../../lib/errors.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';

export interface ErrorReport {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly info: Readonly<Record<string, unknown>>;
  readonly retryable: boolean;
  /** Only of defects. */
  readonly stack: string | undefined;
}

/** Codes that mean wrong arguments or a malformed file, by their beginning. */
const USAGE_CODES = [
  'USAGE',
  'DOMAIN_',
  'JOB_FILE_',
  'BUNDLE_NOT_A_BUNDLE',
  'BUNDLE_TRUNCATED',
  'BUNDLE_MALFORMED',
  'BUNDLE_TOO_LARGE',
  'CONFIG_',
  'TEE_MALFORMED',
  'TEE_TOO_LARGE',
  'TEE_POLICY_INVALID',
  'RPC_BAD_PARAMS',
  'RPC_NOT_ABSOLUTE',
];

/** Codes that mean that the thing asked about is not what it should be. */
const FAILED_CODES = ['BUNDLE_HASH_MISMATCH', 'NODE_BACKUP_DAMAGED'];

/** What is said of a failure, and the exit code. Nothing is said of an interruption. */
export function reportError(error: unknown): ErrorReport | undefined {
  const nothing = { hint: undefined, info: {}, retryable: false, stack: undefined };
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined;
    const [message = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
    const hint = rest.join(' ').replace(/^\((.*)\)$/, '$1');
    return { ...nothing, exitCode: EXIT_CODES.usage, code: 'USAGE', message, hint: hint === '' ? USAGE_HINT : hint };
  }
  if (error instanceof UsageError) {
    return { ...nothing, exitCode: EXIT_CODES.usage, code: 'USAGE', message: error.message, hint: error.hint };
  }
  if (isDaemonError(error)) {
    const { code, message, hint, retryable } = error;
    const { code: _, ...info } = error.info;
    return { exitCode: exitCodeOf(readToldCode(info) ?? code), code, message, hint, info, retryable, stack: undefined };
  }
  if (isAbortError(error)) return undefined;
  return {
    ...nothing,
    exitCode: EXIT_CODES.internal,
    code: 'INTERNAL',
    message: describeError(error),
    hint: 'This is a defect of fogproof: please report it with the lines below.',
    stack: error instanceof Error ? error.stack : undefined,
  };
}

/** With --detach the reason is the daemon's: it has the same exit code as in the foreground. */
function readToldCode({ told }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof told !== 'object' || told === null || !('code' in told)) return undefined;
  return typeof told.code === 'string' ? told.code : undefined;
}

const USAGE_HINT = 'Run it with --help.';

function exitCodeOf(code: string): ExitCode {
  if (code === 'RPC_NO_DAEMON') return EXIT_CODES.noDaemon;
  if (code === 'INTERNAL') return EXIT_CODES.internal;
  if (FAILED_CODES.includes(code)) return EXIT_CODES.failed;
  return USAGE_CODES.some((prefix) => code.startsWith(prefix)) ? EXIT_CODES.usage : EXIT_CODES.error;
}
