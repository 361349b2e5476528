import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import type { IsolationLevel } from '../../../src/domain/capability.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SandboxChild } from '../../../src/sandbox/executors/wasm/sandbox-child.ts';
import type { IsolationOffer } from '../../../src/sandbox/isolation/probe-isolation.ts';
import { describeIf } from '../../support/needs.ts';
import { steppingWat } from '../../support/program.ts';
import { createChildTask, findOffers, needLevel, planFor, RecordingSink } from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const LIAR = fileURLToPath(new URL('./programs/liar.mjs', import.meta.url));
const ORPHAN_MAKER = fileURLToPath(new URL('./programs/orphan-maker.ts', import.meta.url));
const NEVER = new AbortController().signal;
const HELLO = assembleWat(steppingWat({ step: '(call $output_write (i32.const 0) (i32.const 5)) (i32.const 1)' }));
const ENDLESS = assembleWat(steppingWat({ step: '(loop (br 0)) (i32.const 0)' }));
const offers = await findOffers();

function isRunning(pid: number): boolean {
  try {
    // A zombie has ended; its parent has only not been told yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function describeChildren(level: IsolationLevel): void {
  describeIf(needLevel(offers.has(level), level), `children at level ${level}`, () => {
    const offer = (): IsolationOffer => {
      const found = offers.get(level);
      if (found === undefined) throw new TypeError('the suite is skipped without it');
      return found;
    };
    const startChild = async (plan = offer().plan): Promise<SandboxChild> => {
      const child = new SandboxChild(new SystemClock(), { plan, cgroups: offer().cgroups, maxMemoryBytes: 2 ** 30 });
      await child.start();
      return child;
    };

    it.each([
      ['garbage', 'too long'],
      ['huge frame', 'too long'],
      ['too much output', 'more output than the job allows'],
      ['path out of the job', 'the path of an output is malformed'],
      ['made-up failure', 'unknown failure code'],
      ['log flood', 'more logs than the job allows'],
      ['exit', 'exit code 3'],
    ])('one that gives %s is killed and its attempt failed', async (lie, reason) => {
      const child = await startChild(planFor(offer(), { entry: LIAR, readable: [LIAR] }, [lie]));
      const end = await child.run(createChildTask(HELLO, {}), new RecordingSink(), NEVER);
      expect(end).toMatchObject({ kind: 'killed', outcome: { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED' } });
      expect(end.kind === 'killed' && end.outcome.detail).toContain(reason);
      expect(child.isAlive).toBe(false);
      await child.close();
    });

    it('one that answers twice is not used again', async () => {
      const child = await startChild(planFor(offer(), { entry: LIAR, readable: [LIAR] }, ['second result']));
      await child.run(createChildTask(HELLO, {}), new RecordingSink(), NEVER);
      await vi.waitFor(() => expect(child.isAlive).toBe(false), 5000);
      await child.close();
    });

    it('one that the kernel kills fails its attempt, not the program', async () => {
      const child = await startChild();
      const sink = new RecordingSink();
      sink.onProgress = () => process.kill(child.pid ?? 0, 'SIGKILL');
      const end = await child.run(createChildTask(ENDLESS, { fuel: 2 ** 52 }), sink, NEVER);
      expect(end).toMatchObject({ kind: 'killed', outcome: { code: 'EXECUTOR_CRASHED' } });
      await child.close();
    });

    it('is gone, with its control group, when it is closed', async () => {
      const child = await startChild();
      const pid = child.pid ?? 0;
      const group = /fogproof-\d+-\d+/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[0];
      expect(isRunning(pid)).toBe(true);
      await child.close();
      await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 5000);
      if (group !== undefined) expect(existsSync(`/sys/fs/cgroup/pids/${group}`)).toBe(false);
    });

    it('does not outlive a node that is killed', async () => {
      const parent = spawn(process.execPath, [ORPHAN_MAKER, level], { stdio: ['ignore', 'pipe', 'ignore'] });
      const lines = createInterface({ input: parent.stdout });
      const pid = await new Promise<number>((resolve) => lines.once('line', (line) => resolve(Number(line))));
      expect(isRunning(pid)).toBe(true);
      parent.kill('SIGKILL');
      await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 5000);
    });
  });
}

describeChildren('process');
describeChildren('bubblewrap');

it('says why a child did not start', async () => {
  const offer = offers.get('process');
  if (offer === undefined) return;
  const plan = planFor(offer, { entry: '/nowhere/at-all.js', readable: ['/nowhere'] });
  const child = new SandboxChild(new SystemClock(), { plan, cgroups: null, maxMemoryBytes: 2 ** 30 });
  await expect(child.start()).rejects.toMatchObject({ code: 'SANDBOX_CHILD_START_FAILED' });
  await child.close();
});
