/** Times the first line of a program, in a sandbox and outside of any. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ExecutionSink, ExecutionTask, Executor } from '../src/sandbox/interface.ts';

/** First line that a program prints on stdout, and when, ms after the start. */
export async function runInside(executor: Executor, task: ExecutionTask): Promise<{ atMs: number; text: string }> {
  const startedAt = performance.now();
  let first: { atMs: number; text: string } | undefined;
  const sink: ExecutionSink = {
    log: (stream, text) => {
      if (stream === 'stdout') first ??= { atMs: performance.now() - startedAt, text };
    },
    metric: () => {},
    progress: () => {},
    checkpoint: () => Promise.reject(new TypeError('it makes no checkpoints')),
  };
  const { outcome } = await executor.execute(task, sink, {});
  if (first === undefined) throw new TypeError(`the program said nothing: ${JSON.stringify(outcome)}`);
  return first;
}

export async function runOutside(command: readonly string[]): Promise<{ atMs: number; text: string }> {
  const startedAt = performance.now();
  const [file = '', ...words] = command;
  const child = spawn(file, words, { stdio: ['ignore', 'pipe', 'ignore'] });
  const closed = once(child, 'close');
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  const atMs = performance.now() - startedAt;
  await closed;
  return { atMs, text: data.toString('utf8') };
}

/** Million turns a second. */
export function toRate(printedMs: string, turns: string): number {
  return Number(turns) / 1000 / Number(printedMs);
}
