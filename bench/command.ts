import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileStatic, findStaticCompiler, packRoot } from '../scripts/build-root.ts';
import type { PeerKey } from '../src/domain/ids.ts';
import { SystemClock } from '../src/lib/clock.ts';
import type { ExecutionTask, Executor } from '../src/sandbox/interface.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../src/telemetry/noop-metrics.ts';
import { benchContainer } from './container.ts';
import { runInside, runOutside, toRate } from './inside-outside.ts';
import { DIST } from './load-executor.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';

const STARTS = 40;
const ROUNDS = 9;
const MEBIBYTE = 2 ** 20;
/** With an argument it computes that many turns and prints how long they took, ms; else it says that it has started. */
const SOURCE = `
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int argc, char **argv) {
  if (argc < 2) return puts("x") < 0;
  struct timespec begin, end;
  uint64_t state = 88172645463325252u;
  double sum = 0;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long turns = atol(argv[1]); turns > 0; turns--) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    sum += 1.0 / (double)(state | 1);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  fprintf(stderr, "%g\\n", sum);
  return printf("%.3f\\n", (end.tv_sec - begin.tv_sec) * 1e3 + (end.tv_nsec - begin.tv_nsec) / 1e6) < 0;
}
`;
const TURNS = '150000000';

/** Starts of a command and of a container against bare bubblewrap and crun, and a program that computes, inside against outside. */
export async function benchCommand(): Promise<readonly BenchRow[]> {
  const compiler = findStaticCompiler();
  if (compiler === undefined) return [];
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-bench-'));
  try {
    chmodSync(folder, 0o755);
    const program = join(folder, 'program');
    writeFileSync(`${program}.c`, SOURCE);
    compileStatic(compiler, `${program}.c`, program);
    const module = await packRoot([{ name: 'bin/program', bytes: readFileSync(program) }]);
    const executor = await loadCommandExecutor(join(folder, 'roots'));
    if (executor === null) return [];
    await using _closing = executor;
    const rows = [await measureStart(executor, module, program), await measureThroughput(executor, module, program)];
    return [...rows, ...(await benchContainer(folder, program, TURNS))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function loadCommandExecutor(rootsFolder: string): Promise<Executor | null> {
  const load = async <Module>(name: string): Promise<Module> =>
    (await import(join(DIST, `executors/command/${name}.js`))) as Module;
  const { probeCommand } =
    await load<typeof import('../src/sandbox/executors/command/probe-command.ts')>('probe-command');
  const { CommandExecutor } =
    await load<typeof import('../src/sandbox/executors/command/command-executor.ts')>('command-executor');
  const { DEFAULT_COMMAND_OPTIONS } =
    await load<typeof import('../src/sandbox/executors/command/options.ts')>('options');
  const clock = new SystemClock();
  const probe = await probeCommand(clock);
  if (probe.kind === 'fails') return null;
  const modules = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  return new CommandExecutor(modules, { ...DEFAULT_COMMAND_OPTIONS, maxCpus: 2000, rootsFolder, offer: probe.offer });
}

function createTask(module: Uint8Array, words: readonly string[]): ExecutionTask {
  return {
    requester: 'bench' as PeerKey,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      root: { kind: 'archive', blob: 'bafkreibench' as never, sizeBytes: module.length },
      program: '/bin/program',
      arguments: [...words],
      environment: {},
      limits: { cpus: 2000, processes: 16, scratchBytes: MEBIBYTE },
    },
    module,
    inputs: [],
    resources: { memoryBytes: 64 * MEBIBYTE, fuel: null, wallTimeMs: 60_000, outputBytes: MEBIBYTE, logBytes: 65_536 },
    checkpoints: null,
    resume: null,
  };
}

async function measureStart(executor: Executor, module: Uint8Array, program: string): Promise<BenchRow> {
  const task = createTask(module, []);
  const bare = ['bwrap', '--unshare-all', '--ro-bind', '/', '/', '--', program];
  await runInside(executor, task);
  const inside: number[] = [];
  const outside: number[] = [];
  // In turns, so that a busy machine slows both.
  for (let index = 0; index < STARTS; index += 1) {
    outside.push((await runOutside(bare)).atMs);
    inside.push((await runInside(executor, task)).atMs);
  }
  return {
    name: 'a command has started',
    value: percentile(inside, 0.5),
    unit: 'ms',
    baseline: { name: 'in bare bwrap', value: percentile(outside, 0.5) },
    goal: atMost(1.2, 'ratio'),
  };
}

async function measureThroughput(executor: Executor, module: Uint8Array, program: string): Promise<BenchRow> {
  const task = createTask(module, [TURNS]);
  const inside: number[] = [];
  const outside: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    outside.push(toRate((await runOutside([program, TURNS])).text, TURNS));
    inside.push(toRate((await runInside(executor, task)).text, TURNS));
  }
  return {
    name: 'a program that computes, in a command',
    value: percentile(inside, 0.5),
    unit: 'M turns / s',
    baseline: { name: 'outside', value: percentile(outside, 0.5) },
    goal: atLeast(0.97, 'ratio'),
  };
}
