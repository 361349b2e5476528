import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { raceSignal } from '../../lib/abort.ts';
import type { NodeStatus } from '../../rpc/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { plural, renderFields } from '../format.ts';
import type { CliContext } from '../interface.ts';
import { StartError } from './errors.ts';

const MOST_ERROR_LINES = 15;

type Outcome =
  | { readonly kind: 'ready'; readonly status: JsonForm<NodeStatus> }
  | { readonly kind: 'exited'; readonly exitCode: number | null; readonly signal: string | null }
  | { readonly kind: 'too-slow' };

/**
 * Starts the same command line in a process of its own and waits for its word, or for the reason of its failure. One that
 * is late, with much to recover, goes on.
 */
export async function startDetached(
  context: CliContext,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<ExitCode> {
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-start-'));
  const errorFile = join(folder, 'stderr');
  try {
    const child = await spawnDaemon(errorFile);
    const outcome = await raceSignal(awaitOutcome(child, timeoutMs), context.signal).catch((error: unknown) => {
      child.kill('SIGTERM');
      throw error;
    });
    if (outcome.kind === 'too-slow') {
      child.disconnect();
      child.unref();
      throw new StartError({ code: 'CLI_START_TIMEOUT', timeoutMs, pid: child.pid ?? 0 });
    }
    if (outcome.kind === 'exited') throw await describeFailure(outcome, errorFile);
    child.unref();
    const { status } = outcome;
    context.output.result(status, () => renderStarted(status));
    return EXIT_CODES.ok;
  } finally {
    // The daemon keeps the file open; its name is needed only until here.
    await rm(folder, { recursive: true, force: true });
  }
}

async function spawnDaemon(errorFile: string): Promise<ChildProcess> {
  const stderr = await open(errorFile, 'w', 0o600);
  try {
    const words = process.argv.slice(2).filter((word) => !['--detach', '-d', '--json'].includes(word));
    // With --json its last words are a coded error that can be told as our own.
    const argv = [...process.execArgv, process.argv[1] ?? '', ...words, '--log', 'file', '--json'];
    const child = spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 'ignore', stderr.fd, 'ipc'] });
    return child;
  } finally {
    await stderr.close();
  }
}

function awaitOutcome(child: ChildProcess, timeoutMs: number): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const timer = setTimeout(() => resolve({ kind: 'too-slow' }), timeoutMs);
  child.once('message', (message) => resolve(message as Outcome));
  child.once('exit', (exitCode, signal) => resolve({ kind: 'exited', exitCode, signal }));
  child.once('error', reject);
  return promise.finally(() => clearTimeout(timer));
}

async function describeFailure(outcome: Extract<Outcome, { kind: 'exited' }>, errorFile: string): Promise<StartError> {
  const text = (await readFile(errorFile, 'utf8')).trim();
  const told = parseTold(text.split('\n').at(-1) ?? '');
  const { exitCode, signal } = outcome;
  const lines = text.split('\n').slice(-MOST_ERROR_LINES).join('\n');
  return new StartError({ code: 'CLI_START_FAILED', exitCode, signal, told, lines });
}

/** The coded error that a command prints with --json. */
function parseTold(line: string): { code: string; message: string; hint: string } | null {
  try {
    const { error } = JSON.parse(line) as { error?: { code?: unknown; message?: unknown; hint?: unknown } };
    if (typeof error?.code !== 'string' || typeof error.message !== 'string') return null;
    return { code: error.code, message: error.message, hint: typeof error.hint === 'string' ? error.hint : '' };
  } catch {
    return null;
  }
}

function renderStarted(status: JsonForm<NodeStatus>): readonly string[] {
  return renderFields([
    ['started', `process ${status.pid}, ready after ${Math.round(status.readyAfterMs)} ms`],
    ['peer', status.peer],
    ...status.network.listen.map((address, index) => [index === 0 ? 'listen' : '', address] as const),
    ['network', `${status.networkId} (${plural(status.peersKnown, 'peer')} known)`],
    ['socket', status.socket],
    ...status.remarks.map((remark) => ['remark', remark] as const),
  ]);
}
