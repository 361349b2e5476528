import { systemErrorCode } from '../../lib/system-error.ts';
import { VERSION } from '../../lib/version.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { readSecret } from './read-secret.ts';
import { runCli } from './run-cli.ts';

/** How long handles may hold the process open, ms, after the command has ended. */
const WATCHDOG_MS = 10_000;
/** The longest interval that there is, ms. */
const LONGEST_INTERVAL_MS = 2_147_483_647;

/** The command line of this process. A first SIGINT or SIGTERM stops in order, a second one at once. */
export async function runProcess(process: NodeJS.Process): Promise<ExitCode> {
  const { stdout, stderr, stdin } = process;
  const interruption = new AbortController();
  const onSignal = (name: string): void => {
    // oxlint-disable-next-line unicorn/no-process-exit -- a second signal forces the end (style guide, section 3)
    if (interruption.signal.aborted) process.exit(EXIT_CODES.interrupted);
    interruption.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  let isPipeClosed = false;
  for (const stream of [stdout, stderr]) {
    // `fogproof job list | head`: the reader has what it wanted.
    stream.on('error', (error) => {
      if (systemErrorCode(error) !== 'EPIPE') throw error;
      isPipeClosed = true;
      interruption.abort(new DOMException('the output was closed', 'AbortError'));
    });
  }
  // The timers of our clock hold nothing open: a command that waits for one alone would end in the middle.
  const hold = setInterval(() => {}, LONGEST_INTERVAL_MS);
  const exitCode = await runCli(
    process.argv.slice(2),
    {
      stdout,
      stderr,
      environment: process.env,
      workingDirectory: process.cwd(),
      signal: interruption.signal,
      readSecret: (prompt) => readSecret({ stdin, stderr }, prompt),
    },
    { version: VERSION },
  ).finally(() => clearInterval(hold));
  setTimeout(() => reportHandles(process), WATCHDOG_MS).unref();
  return isPipeClosed ? EXIT_CODES.ok : exitCode;
}

function reportHandles(process: NodeJS.Process): void {
  const handles = process.getActiveResourcesInfo().join(', ');
  process.stderr.write(`fogproof: still open ${WATCHDOG_MS / 1000} s after the end: ${handles}\n`);
}
