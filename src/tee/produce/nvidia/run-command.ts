import { spawn } from 'node:child_process';
import { createDeadline } from '../../../lib/abort.ts';
import { describeError } from '../../../lib/errors.ts';
import { TeeError } from '../../errors.ts';

export interface CommandLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** What of the daemon's environment a tool of the vendor gets: nothing that could hold a secret. */
const ENVIRONMENT = ['PATH', 'LD_LIBRARY_PATH', 'LANG'] as const;
const MAX_COMPLAINT = 300;

/**
 * What a command prints on stdout, if it ends well. It is killed when it takes too long or prints too much.
 * @throws TeeError TEE_PRODUCE_FAILED, TEE_TOO_LARGE; the signal's reason
 */
export async function runCommand(
  argv: readonly [string, ...string[]],
  { timeoutMs, maxBytes, signal }: CommandLimits,
): Promise<Uint8Array> {
  const [file, ...rest] = argv;
  signal.throwIfAborted();
  using deadline = createDeadline(timeoutMs, signal);
  const env = Object.fromEntries(ENVIRONMENT.flatMap((name) => toEntry(name, process.env[name])));
  const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'pipe'], env, shell: false });
  const kill = (): void => void child.kill('SIGKILL');
  deadline.signal.addEventListener('abort', kill, { once: true });
  const output = collect(child.stdout, maxBytes, kill);
  const complaint = collect(child.stderr, maxBytes, kill);
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const failed = (reason: string, cause?: unknown): TeeError =>
    new TeeError({ code: 'TEE_PRODUCE_FAILED', what: file, reason }, { cause });
  try {
    const exitCode = await ended;
    signal.throwIfAborted();
    if (deadline.signal.aborted) throw failed(`it was not done within ${timeoutMs / 1_000} s`);
    if (output.isTooLarge() || complaint.isTooLarge()) {
      throw new TeeError({
        code: 'TEE_TOO_LARGE',
        what: `what ${file} prints`,
        sizeBytes: maxBytes + 1,
        limitBytes: maxBytes,
      });
    }
    if (exitCode === 0) return output.bytes();
    const said = new TextDecoder().decode(complaint.bytes()).trim().slice(-MAX_COMPLAINT);
    throw failed(`it ended with ${exitCode ?? 'a signal'}${said === '' ? '' : `: ${said}`}`);
  } catch (error) {
    if (error instanceof TeeError) throw error;
    signal.throwIfAborted();
    throw failed(describeError(error), error);
  } finally {
    deadline.signal.removeEventListener('abort', kill);
  }
}

function toEntry(name: string, value: string | undefined): readonly (readonly [string, string])[] {
  return value === undefined ? [] : [[name, value]];
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number, kill: () => void) {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  stream.on('data', (part: Buffer) => {
    sizeBytes += part.length;
    if (sizeBytes > maxBytes) kill();
    else parts.push(part);
  });
  return {
    isTooLarge: (): boolean => sizeBytes > maxBytes,
    bytes: (): Uint8Array => new Uint8Array(Buffer.concat(parts)),
  };
}
