import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemClock } from '../src/lib/clock.ts';
import { ENGINE_STACK_KIB } from '../src/sandbox/constants.ts';
import type { Executor } from '../src/sandbox/interface.ts';
import { steppingWat } from '../test/support/program.ts';
import { createTask, RecordingSink } from '../test/support/sandbox.ts';
import { assembleWat } from '../test/support/wat.ts';
import { ANSWER_FD, startBare } from './bare-child.ts';
import { DIST, loadExecutor } from './load-executor.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';

const STARTS = 15;
const TASKS = 5000;
/** What any program with deep recursion needs; with such a flag Node starts without its cached built-ins. */
const ENGINE_FLAG = `--stack-size=${ENGINE_STACK_KIB}`;
const ECHO = `const fs = require('fs'); const b = Buffer.alloc(256);
  fs.writeSync(${ANSWER_FD}, 'x'); for (;;) { const n = fs.readSync(0, b); if (n === 0) break; fs.writeSync(${ANSWER_FD}, b, 0, n); }`;

/** Start of children and small tasks. */
export async function benchSandbox(): Promise<readonly BenchRow[]> {
  await using executor = await loadExecutor({ maxChildren: 2 });
  const rows: BenchRow[] = [];
  for (const isolation of executor.isolation) {
    rows.push(await measureStart(isolation), ...(await measureTasks(executor, isolation)));
  }
  return rows;
}

type Level = Executor['isolation'][number];

async function measureStart(isolation: Level): Promise<BenchRow> {
  const { probeIsolation } = (await import(
    join(DIST, 'isolation/probe-isolation.js')
  )) as typeof import('../src/sandbox/isolation/probe-isolation.ts');
  const { SandboxChild } = (await import(
    join(DIST, 'executors/wasm/sandbox-child.js')
  )) as typeof import('../src/sandbox/executors/wasm/sandbox-child.ts');
  const clock = new SystemClock();
  const { offers } = await probeIsolation(clock, { maxMemoryBytes: 2 ** 32, engineFlags: [] });
  const offer = offers.find((candidate) => candidate.isolation === isolation);
  if (offer === undefined) throw new Error(`the level ${isolation} is gone`);
  const entry = join(DIST, 'executors/wasm/child/entry.js');
  const bare = isolation === 'bubblewrap' ? ['bwrap', '--unshare-all', '--ro-bind', '/', '/', '--'] : [];
  const startsMs: number[] = [];
  const bareMs: number[] = [];
  // In turns, so that a busy machine slows both.
  for (let index = 0; index < STARTS; index += 1) {
    bareMs.push(await timeBareStart([...bare, process.execPath, ENGINE_FLAG, entry]));
    const child = new SandboxChild(clock, { ...offer, maxMemoryBytes: 2 ** 32 });
    const startedAt = performance.now();
    await child.start();
    startsMs.push(performance.now() - startedAt);
    await child.close();
  }
  return {
    name: `sandboxed child ready (${isolation})`,
    value: percentile(startsMs, 0.5),
    unit: 'ms',
    baseline: {
      name: isolation === 'bubblewrap' ? 'in bare bwrap' : 'without sandbox',
      value: percentile(bareMs, 0.5),
    },
    goal: atMost(1.2, 'ratio'),
    floor: atMost(1.5, 'ratio'),
  };
}

async function timeBareStart(command: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const { child, answers } = startBare(command);
  await once(answers, 'data');
  const elapsedMs = performance.now() - startedAt;
  child.kill('SIGKILL');
  return elapsedMs;
}

async function measureTasks(executor: Executor, isolation: Level): Promise<BenchRow[]> {
  const module = assembleWat(steppingWat({ step: '(call $output_write (i32.const 0) (i32.const 5)) (i32.const 1)' }));
  const task = createTask({ isolation, module });
  const sink = new RecordingSink();
  for (let index = 0; index < 500; index += 1) await executor.execute(task, sink, {});
  const cpuBefore = totalCpuMs();
  const tasks = await timeRoundTrips(() => executor.execute(task, sink, {}));
  const cpuMs = (totalCpuMs() - cpuBefore) / TASKS;
  const checkpointed = { ...task, checkpoints: { kind: 'fuel', every: 1_000_000_000 } } as const;
  const withCheckpoints = await timeRoundTrips(() => executor.execute(checkpointed, sink, {}));
  const { child, answers } = startBare([process.execPath, '-e', ECHO]);
  await once(answers, 'data');
  const echoes = await timeRoundTrips(async () => {
    child.stdin?.write('x'.repeat(200));
    await once(answers, 'data');
  });
  child.kill('SIGKILL');
  return [
    {
      name: `tiny tasks through one warm child (${isolation})`,
      value: tasks.perSecond,
      unit: '/ s',
      baseline: { name: 'echoes over a pipe', value: echoes.perSecond },
      goal: atLeast(2000),
      floor: atLeast(1000),
    },
    {
      name: `the same with checkpoints at start and end (${isolation})`,
      value: withCheckpoints.perSecond,
      unit: '/ s',
      baseline: { name: 'without checkpoints', value: tasks.perSecond },
      floor: atLeast(1000),
    },
    {
      name: `tiny task, warm child, p50 (${isolation})`,
      value: tasks.p50Ms,
      unit: 'ms',
      baseline: { name: 'echo over a pipe', value: echoes.p50Ms },
    },
    {
      name: `CPU of a tiny task, node and child (${isolation})`,
      value: cpuMs,
      unit: 'ms',
      goal: atMost(0.3),
      floor: atMost(0.5),
    },
  ];
}

async function timeRoundTrips(trip: () => Promise<unknown>): Promise<{ perSecond: number; p50Ms: number }> {
  const samples: number[] = [];
  const startedAt = performance.now();
  for (let index = 0; index < TASKS; index += 1) {
    const tripAt = performance.now();
    await trip();
    samples.push(performance.now() - tripAt);
  }
  return { perSecond: (TASKS / (performance.now() - startedAt)) * 1000, p50Ms: percentile(samples, 0.5) };
}

/** CPU time of this process and of its children that are alive (proc(5): utime and stime in ticks of 10 ms). */
function totalCpuMs(): number {
  const pids = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  const all = ['self', ...pids.flatMap((pid) => [pid, ...readChildren(pid)])];
  return all.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) * 10;
  }, 0);
}

function readChildren(pid: string): readonly string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
}
