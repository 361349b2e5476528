import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { listProcesses } from '../../../src/node/descendant-processes.ts';
import type { CommandProcess } from '../../../src/sandbox/executors/command/command-process.ts';
import { endStuckSandboxes } from '../../../src/sandbox/executors/command/node-guard.ts';
import { isRunning, type ProcessEntry, readProcessEntry } from '../../../src/sandbox/host/process-entry.ts';
import { startSleeper } from '../../support/sleeper.ts';

const NODE_TO_KILL = fileURLToPath(new URL('./programs/held-command.ts', import.meta.url));
const TIMES = 40;
const KILLED_NODES = 12;
/** Ends a sandbox and gives what is left of it. */
async function end(child: CommandProcess, pid: Promise<number | null>): Promise<string[]> {
  child.stdout.resume();
  child.stderr.resume();
  child.kill();
  const first = await pid;
  await child.waitEnd();
  const entry = first === null ? undefined : readProcessEntry(first);
  return entry !== undefined && isRunning(entry) ? [`process ${first} is still there`] : [];
}

describe('a sandbox that is killed', () => {
  // bubblewrap's first process asks to die with bubblewrap only after it has started the program.
  it('is gone, however early in the life of its program that is', async () => {
    for (let time = 0; time < TIMES; time += 1) {
      const child = startSleeper();
      const pid = child.findPid();
      const ready = new Promise((resolve) => child.stdout.once('data', resolve));
      await pid;
      await child.setUp([]);
      child.release();
      // Half of them as soon as the program runs, and half at any moment around that.
      await (time % 2 === 0 ? ready : delay(Math.random() * 4));
      expect(await end(child, pid)).toEqual([]);
    }
  }, 60_000);

  it('is gone when it was killed before it was set up', async () => {
    for (let time = 0; time < TIMES; time += 1) {
      const child = startSleeper();
      const pid = child.findPid().catch(() => null);
      await delay(Math.random() * 8);
      expect(await end(child, pid)).toEqual([]);
    }
  }, 60_000);
});

/** Kills nodes at a moment of their sandbox's start; gives the first processes of these sandboxes. */
async function killNodes(moment: string): Promise<readonly number[]> {
  const firsts: number[] = [];
  for (let time = 0; time < KILLED_NODES; time += 1) {
    const node = spawn(process.execPath, [NODE_TO_KILL, moment], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(node, 'exit');
    firsts.push(Number(await text(node.stdout)));
    expect(await exited).toEqual([null, 'SIGKILL']);
  }
  return firsts;
}

function listLeft(firsts: readonly number[]): readonly ProcessEntry[] {
  return firsts.flatMap((pid) => readProcessEntry(pid) ?? []).filter(isRunning);
}

describe('a node that is killed while it holds a sandbox', () => {
  it('leaves none that is set up', async () => {
    const firsts = await killNodes('set up');
    await vi.waitFor(() => expect(listLeft(firsts)).toEqual([]), 5000);
  }, 60_000);

  it('leaves none in which anything runs, and the next node ends what waits for ever', async () => {
    const firsts = await killNodes('known');
    const parents = new Set(listLeft(firsts).map(({ pid }) => pid));
    expect(listProcesses().filter(({ parent }) => parents.has(parent))).toEqual([]);
    endStuckSandboxes();
    await vi.waitFor(() => expect(listLeft(firsts)).toEqual([]), 5000);
  }, 60_000);
});
