import { type ChildProcess, spawn } from 'node:child_process';
import type { AbortOptions } from '../../lib/abort.ts';
import { systemErrorCode } from '../../lib/system-error.ts';

export interface ToolLimits extends AbortOptions {
  readonly timeoutMs: number;
  /** Of standard output; more of it ends the tool. */
  readonly maxBytes: number;
}

export type ToolEnd =
  | { readonly kind: 'ended'; readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'hung' }
  | { readonly kind: 'too-much' };

const MAX_STDERR_BYTES = 16 * 1024;

/**
 * Runs tools of a driver. A process that waits in a hung driver takes no signal, SIGKILL included, until the driver lets
 * go: whoever waited for its end would wait with it. So its end is not waited for beyond the time limit, and while one is
 * still there no other is started. It holds neither the event loop nor the end of this process.
 */
export class DriverTools {
  readonly #stuck = new Set<ChildProcess>();

  /** True while a tool that was ended has not gone. */
  get isStuck(): boolean {
    return this.#stuck.size > 0;
  }

  /** @throws AbortError */
  async run(file: string, parameters: readonly string[], limits: ToolLimits): Promise<ToolEnd> {
    limits.signal?.throwIfAborted();
    if (this.isStuck) return { kind: 'hung' };
    const child = spawn(file, parameters, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
    });
    child.unref();
    const end = await watch(child, limits);
    if (end.kind === 'hung' || end.kind === 'too-much' || limits.signal?.aborted === true) this.#leave(child);
    limits.signal?.throwIfAborted();
    return end;
  }

  #leave(child: ChildProcess): void {
    child.kill('SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    this.#stuck.add(child);
    child.once('exit', () => this.#stuck.delete(child));
  }
}

async function watch(child: ChildProcess, { timeoutMs, maxBytes, signal }: ToolLimits): Promise<ToolEnd> {
  const { promise, resolve } = Promise.withResolvers<ToolEnd>();
  const out: Buffer[] = [];
  let sizeBytes = 0;
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) resolve({ kind: 'too-much' });
    else out.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(0, MAX_STDERR_BYTES);
  });
  child.once('error', (error) => {
    const isAbsent = systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'EACCES';
    resolve(isAbsent ? { kind: 'absent' } : { kind: 'ended', exitCode: null, stdout: '', stderr: error.message });
  });
  child.once('close', (exitCode) => {
    resolve({ kind: 'ended', exitCode, stdout: Buffer.concat(out).toString('utf8'), stderr });
  });
  const timer = setTimeout(() => resolve({ kind: 'hung' }), timeoutMs);
  const onAbort = (): void => resolve({ kind: 'hung' });
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
