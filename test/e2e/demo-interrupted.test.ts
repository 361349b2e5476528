import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const DEMO = join(import.meta.dirname, '../../scripts/demo.ts');
/** Longest that the demo may take until its daemons train. */
const TRAINING_TIMEOUT_MS = 60_000;

async function awaitText(child: ChildProcessByStdio<null, Readable, null>, pattern: RegExp): Promise<void> {
  let seen = '';
  const signal = AbortSignal.timeout(TRAINING_TIMEOUT_MS);
  for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    seen += String(text);
    signal.throwIfAborted();
    if (pattern.test(seen)) return;
  }
  throw new Error(`the demo ended before ${pattern}:\n${seen}`);
}

async function findProcessesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const environments = await Promise.all(
    pids.map(async (pid) => ({ pid, text: await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '') })),
  );
  return environments.filter(({ text }) => text.includes(folder)).map(({ pid }) => pid);
}

describe('the demo, interrupted while its daemons train', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fogproof-e2e-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('leaves no process and no file behind', async () => {
    const child = spawn(process.execPath, [DEMO], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await awaitText(child, /round +1\//);
    expect(await findProcessesOf(folder)).not.toEqual([]);
    child.kill('SIGINT');
    child.stdout.resume();
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    expect(exitCode).toBe(130);
    await expect.poll(() => findProcessesOf(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
  });
});
