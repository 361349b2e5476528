import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import type { IsolationLevel } from '../../../src/domain/capability.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SandboxChild } from '../../../src/sandbox/executors/wasm/sandbox-child.ts';
import { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import type { CheckpointOrder } from '../../../src/sandbox/interface.ts';
import type { IsolationOffer } from '../../../src/sandbox/isolation/probe-isolation.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS } from '../../../src/sandbox/options.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { describeIf } from '../../support/needs.ts';
import { RecordingLogger } from '../../support/network.ts';
import { steppingWat } from '../../support/program.ts';
import {
  createChildTask,
  createTask,
  findOffers,
  GO_ON,
  needLevel,
  planFor,
  RecordingSink,
} from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const LIAR = fileURLToPath(new URL('./programs/liar.mjs', import.meta.url));
const ORPHAN_MAKER = fileURLToPath(new URL('./programs/orphan-maker.ts', import.meta.url));
const NEVER = new AbortController().signal;
const HELLO = assembleWat(steppingWat({ step: '(call $output_write (i32.const 0) (i32.const 5)) (i32.const 1)' }));
const ENDLESS = assembleWat(steppingWat({ step: '(loop (br 0)) (i32.const 0)' }));
/** 64 pages, each of them different. */
const FULL = assembleWat(
  steppingWat({
    rest: `(func $fill (param $page i32) (loop $next
      (i32.store (i32.mul (local.get $page) (i32.const 65536)) (local.get $page))
      (local.set $page (i32.add (local.get $page) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $page) (memory.size)))))`,
    init: '(drop (memory.grow (i32.const 63))) (call $fill (i32.const 1)) (i32.const 0)',
  }),
);
const ALL: CheckpointOrder = { ...GO_ON, wanted: [0, 1, 2] };
const HALT: CheckpointOrder = { ...GO_ON, then: 'halt' };
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

    it('one that is killed while it hands out pieces fails its attempt, and nothing is complete', async () => {
      const child = await startChild();
      const sink = new RecordingSink();
      const calls: string[] = [];
      sink.checkpoint = () =>
        Promise.resolve({
          ...GO_ON,
          wanted: Array.from({ length: 63 }, (_, place) => place),
          receive: async (place) => {
            calls.push(`piece ${place}`);
            if (place === 0) process.kill(child.pid ?? 0, 'SIGKILL');
            await new Promise((resolve) => setImmediate(resolve));
          },
          complete: () => Promise.resolve(calls.push('complete')).then(() => undefined),
        });
      const task = createChildTask(FULL, { maxPages: 64, fuel: 1e9, checkpoints: { kind: 'steps', every: 1 } });
      const end = await child.run(task, sink, NEVER);
      expect(end).toMatchObject({ kind: 'killed', outcome: { code: 'EXECUTOR_CRASHED' } });
      expect(calls.length).toBeLessThan(63);
      expect(calls).not.toContain('complete');
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

/** What a child says is judged by its parent, whatever holds it: one level is enough. */
describeIf(needLevel(offers.has('process'), 'process'), 'children that lie about checkpoints', () => {
  const startLiar = async (lie: string): Promise<SandboxChild> => {
    const offer = offers.get('process');
    if (offer === undefined) throw new TypeError('the suite is skipped without it');
    const plan = planFor(offer, { entry: LIAR, readable: [LIAR] }, [lie]);
    const child = new SandboxChild(new SystemClock(), { plan, cgroups: null, maxMemoryBytes: 2 ** 30 });
    await child.start();
    return child;
  };

  it.each<[lie: string, order: CheckpointOrder | null, reason: string]>([
    ['an unasked checkpoint', null, 'a checkpoint of a task without a schedule'],
    ['a piece too many', GO_ON, 'a piece that was not ordered'],
    ['a huge checkpoint', GO_ON, 'too long'],
    ['a cut checkpoint', GO_ON, 'a frame is short'],
    ['words in place of waiting', GO_ON, 'in place of waiting'],
    ['a second checkpoint in place of waiting', GO_ON, 'in place of waiting'],
    ['an end as its start', GO_ON, 'its place'],
    ['a start of another step', GO_ON, 'it does not start where it should'],
    ['more pages than it has', GO_ON, 'it does not list every page'],
    ['more logs than it gave', GO_ON, 'its count of logs'],
    ['a step again', GO_ON, 'its step'],
    ['something after the end', GO_ON, 'it comes after the end'],
    ['no end', GO_ON, 'an end without its checkpoint'],
    ['a pause of its own', GO_ON, 'a pause that nobody ordered'],
    ['no state that it refuses', GO_ON, 'no state was given'],
    ['a piece out of turn', ALL, 'a piece out of turn'],
    ['half a piece', ALL, 'a piece has a wrong size'],
    ['words before its pieces', ALL, 'before the pieces that were ordered'],
    ['a result before its pieces', ALL, 'before the pieces that were ordered'],
    ['a result after it was halted', HALT, 'a program that was halted'],
    ['half of its pieces', ALL, 'exit code 4'],
  ])('one that gives %s is killed, and nothing is complete', async (lie, order, reason) => {
    const child = await startLiar(lie);
    const sink = new RecordingSink();
    let completed = 0;
    const complete = (): Promise<void> => {
      completed += 1;
      return Promise.resolve();
    };
    sink.checkpoint = () => Promise.resolve({ ...(order ?? GO_ON), complete });
    const checkpoints = order === null ? null : ({ kind: 'steps', every: 1 } as const);
    const end = await child.run(createChildTask(HELLO, { checkpoints }), sink, NEVER);
    expect(end).toMatchObject({ kind: 'killed', outcome: { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED' } });
    expect(end.kind === 'killed' && end.outcome.detail).toContain(reason);
    if (order === ALL) expect(completed).toBe(0);
    await child.close();
  });
});

describeChildren('process');
describeChildren('bubblewrap');

it('logs why a child broke off, but nothing that it says where its task is confidential', async () => {
  const offer = offers.get('process');
  if (offer === undefined) return;
  const plan = planFor(offer, { entry: LIAR, readable: [LIAR] }, ['made-up failure']);
  const logger = new RecordingLogger();
  const modules = { clock: new SystemClock(), logger, metrics: new NoopMetricsRegistry() };
  await using executor = new WasmExecutor(modules, { ...DEFAULT_WASM_EXECUTOR_OPTIONS, offers: [{ ...offer, plan }] });
  for (const isConfidential of [false, true]) {
    const task = createTask({ isolation: 'process', module: HELLO, isConfidential });
    const { outcome } = await executor.execute(task, new RecordingSink(), {});
    expect(outcome).toMatchObject({ code: 'EXECUTOR_CRASHED', detail: expect.stringContaining('unknown failure') });
  }
  const told = logger.lines.filter(({ message }) => message.includes('ended unasked'));
  expect(told.map(({ fields }) => String(fields['detail']).includes('unknown failure'))).toEqual([true, false]);
});

it('says why a child did not start', async () => {
  const offer = offers.get('process');
  if (offer === undefined) return;
  const plan = planFor(offer, { entry: '/nowhere/at-all.js', readable: ['/nowhere'] });
  const child = new SandboxChild(new SystemClock(), { plan, cgroups: null, maxMemoryBytes: 2 ** 30 });
  await expect(child.start()).rejects.toMatchObject({ code: 'SANDBOX_CHILD_START_FAILED' });
  await child.close();
});
