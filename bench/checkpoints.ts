import { once } from 'node:events';
import type { CheckpointSchedule } from '../src/domain/job.ts';
import type { ExecutionResult, ExecutionTask, Executor, StateCheckpoint } from '../src/sandbox/interface.ts';
import { steppingWat } from '../test/support/program.ts';
import { createTask, GO_ON, RecordingSink } from '../test/support/sandbox.ts';
import { assembleWat } from '../test/support/wat.ts';
import { ANSWER_FD, startBare } from './bare-child.ts';
import { loadExecutor } from './load-executor.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

const MIB = 2 ** 20;
const PIECE_BYTES = 65_536;
const PAGES_PER_MIB = MIB / PIECE_BYTES;
const ROUND_TRIPS = 2000;
/** The schedule that a job has unless it names another. */
const INTERVAL_FUEL = 1_000_000_000;
const INTERVAL: CheckpointSchedule = { kind: 'fuel', every: INTERVAL_FUEL };
/** What an interval costs is the difference of runs of so many: start, end and compilation are in both. */
const INTERVALS = [2, 10] as const;
const RUNS = 3;

const ECHO = `const fs = require('fs'); const b = Buffer.alloc(256);
  fs.writeSync(${ANSWER_FD}, 'x'); for (;;) { const n = fs.readSync(0, b); if (n === 0) break; fs.writeSync(${ANSWER_FD}, b, 0, n); }`;
const WRITER = `const fs = require('fs'); const b = Buffer.alloc(${PIECE_BYTES}, 7); fs.readSync(0, Buffer.alloc(1));
  for (let n = +process.argv[1]; n > 0; n--) for (let at = 0; at < b.length; ) at += fs.writeSync(${ANSWER_FD}, b, at);`;
const READER = `const fs = require('fs'); const { hash } = require('crypto'); const b = Buffer.alloc(${PIECE_BYTES});
  for (let n = process.argv[1] * b.length; n > 0; ) { const count = fs.readSync(0, b); hash('sha256', b.subarray(0, count)); n -= count; }
  fs.writeSync(${ANSWER_FD}, 'x');`;

/** What checkpoints cost a stepping job, and how fast its state comes and goes. */
export async function benchCheckpoints(): Promise<readonly BenchRow[]> {
  await using executor = await loadExecutor({ maxChildren: 2 });
  const rows = [await measureRoundTrip(executor)];
  for (const mib of [64, 256]) rows.push(...(await measureTransfer(executor, mib)));
  rows.push(...(await measureSnapshot(executor, 64)));
  const turns = await findTurns(executor);
  for (const mib of [1, 64, 256]) {
    for (const percent of [1, 100]) rows.push(await measureHashing(executor, { mib, turns }, percent));
  }
  return rows;
}

interface StateParts {
  readonly mib: number;
  /** Pages that a step writes to. */
  readonly dirtyPages: number;
  readonly steps: number;
  /** Of the loop that stands for a step's work. */
  readonly turns: number;
}

/** Every page holds its own number from the start; each step writes to the next pages in turn and then counts. */
function buildModule({ mib, dirtyPages, steps, turns }: StateParts): Uint8Array {
  const write = (value: string): string =>
    `(i32.store offset=4096 (i32.shl (local.get $page) (i32.const 16)) ${value})`;
  return assembleWat(
    steppingWat({
      rest: `(global $at (mut i32) (i32.const 0)) (global $step (mut i32) (i32.const 0))
        (func $fill (local $page i32) (loop $next ${write('(local.get $page)')}
          (local.set $page (i32.add (local.get $page) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $page) (memory.size)))))
        (func $touch (param $left i32) (local $page i32) (loop $next
          (local.set $page (i32.rem_u (global.get $at) (memory.size)))
          (global.set $at (i32.add (global.get $at) (i32.const 1)))
          ${write('(i32.mul (global.get $at) (i32.const -1640531527))')}
          (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
        (func $work (param $n i32) (local $i i32) (loop $again (local.set $i (i32.const 0)) (loop $next
          (f64.store offset=8192 (local.get $i) (f64.add (f64.load offset=24576 (local.get $i))
            (f64.mul (f64.load offset=8192 (local.get $i)) (f64.load offset=16384 (local.get $i)))))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 8192))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))`,
      init: `(drop (memory.grow (i32.const ${mib * PAGES_PER_MIB - 1}))) (call $fill) (i32.const 0)`,
      step: `(call $touch (i32.const ${dirtyPages})) (call $work (i32.const ${turns}))
        (global.set $step (i32.add (global.get $step) (i32.const 1)))
        (i32.ge_u (global.get $step) (i32.const ${steps}))`,
    }),
  );
}

function createJob(parts: StateParts, checkpoints: CheckpointSchedule | null): ExecutionTask {
  const resources = { memoryBytes: parts.mib * MIB, fuel: 2 ** 45, wallTimeMs: 300_000 };
  return createTask({ isolation: 'process', module: buildModule(parts), resources, checkpoints });
}

async function complete(executor: Executor, task: ExecutionTask, sink = new RecordingSink()): Promise<ExecutionResult> {
  const result = await executor.execute(task, sink, {});
  const { outcome } = result;
  const isPause = outcome.kind === 'attempt-failed' && outcome.code === 'PAUSED';
  if (outcome.kind !== 'completed' && !isPause) throw new Error(`a job ended as ${JSON.stringify(outcome)}`);
  return result;
}

async function measureRoundTrip(executor: Executor): Promise<BenchRow> {
  const parts = { mib: 1, dirtyPages: 1, steps: ROUND_TRIPS, turns: 1 };
  const sink = new RecordingSink();
  const samples: number[] = [];
  let lastAt = 0;
  sink.checkpoint = () => {
    const now = performance.now();
    if (lastAt > 0) samples.push(now - lastAt);
    lastAt = now;
    return Promise.resolve(GO_ON);
  };
  await complete(executor, createJob(parts, { kind: 'steps', every: 1 }), sink);
  const { child, answers } = startBare([process.execPath, '-e', ECHO]);
  await once(answers, 'data');
  const echoes: number[] = [];
  for (let index = 0; index < ROUND_TRIPS; index += 1) {
    const startedAt = performance.now();
    child.stdin?.write('x'.repeat(200));
    await once(answers, 'data');
    echoes.push(performance.now() - startedAt);
  }
  child.kill('SIGKILL');
  return {
    name: 'step, checkpoint and empty order, 1 MiB of state',
    value: percentile(samples, 0.5) * 1000,
    unit: 'µs',
    baseline: { name: 'echo over a pipe', value: percentile(echoes, 0.5) * 1000 },
  };
}

interface KeptState {
  readonly checkpoint: StateCheckpoint;
  readonly pieces: readonly Uint8Array[];
  readonly elapsedMs: number;
}

/** Halts a job at its first checkpoint and takes all of its state, to keep it or to let each piece go. */
async function takeState(executor: Executor, task: ExecutionTask, use: 'keep' | 'drop'): Promise<KeptState> {
  const sink = new RecordingSink();
  const pieces: Uint8Array[] = [];
  const kept = Promise.withResolvers<KeptState>();
  sink.checkpoint = (checkpoint) => {
    const startedAt = performance.now();
    return Promise.resolve({
      ...GO_ON,
      wanted: Array.from({ length: checkpoint.pieces.length / 32 }, (_, place) => place),
      receive: (_place, bytes) => {
        if (use === 'keep') pieces.push(bytes);
        return Promise.resolve();
      },
      complete: () => {
        kept.resolve({ checkpoint, pieces, elapsedMs: performance.now() - startedAt });
        return Promise.resolve();
      },
      // oxlint-disable-next-line unicorn/no-thenable
      then: 'halt',
    });
  };
  await complete(executor, task, sink);
  return await kept.promise;
}

async function* give(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** Milliseconds until a state is back in a child and its root was told. */
async function resumeState(
  executor: Executor,
  task: ExecutionTask,
  { checkpoint, pieces }: KeptState,
): Promise<number> {
  const startedAt = performance.now();
  const resume = { step: checkpoint.step, state: checkpoint.state, pieces: give(pieces) };
  const resumed = Promise.withResolvers<number>();
  const sink = new RecordingSink();
  sink.checkpoint = () => {
    resumed.resolve(performance.now() - startedAt);
    return Promise.resolve(GO_ON);
  };
  await complete(executor, { ...task, resume }, sink);
  return await resumed.promise;
}

async function measureTransfer(executor: Executor, mib: number): Promise<BenchRow[]> {
  const task = createJob({ mib, dirtyPages: 1, steps: 1, turns: 1 }, { kind: 'steps', every: 1 });
  const times = { out: [] as number[], in: [] as number[], written: [] as number[], read: [] as number[] };
  // In turns, so that a busy machine slows all.
  const kept = await takeState(executor, task, 'keep');
  for (let run = 0; run < RUNS; run += 1) {
    times.out.push((await takeState(executor, task, 'drop')).elapsedMs);
    times.in.push(await resumeState(executor, task, kept));
    times.written.push(await timeBarePipe(WRITER, mib));
    times.read.push(await timeBarePipe(READER, mib));
  }
  const perSecond = (ms: readonly number[]): number => (mib / percentile(ms, 0.5)) * 1000;
  return [
    {
      name: `state of ${mib} MiB out of a child`,
      value: perSecond(times.out),
      unit: 'MiB / s',
      baseline: { name: 'a bare pipe', value: perSecond(times.written) },
    },
    {
      name: `state of ${mib} MiB into a child, until it is hashed`,
      value: perSecond(times.in),
      unit: 'MiB / s',
      baseline: { name: 'a bare pipe and a hash', value: perSecond(times.read) },
    },
  ];
}

/** Milliseconds that pieces take through a pipe between two processes of Node. */
async function timeBarePipe(program: string, mib: number): Promise<number> {
  const count = mib * PAGES_PER_MIB;
  const { child, answers } = startBare([process.execPath, '-e', program, String(count)]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const piece = new Uint8Array(PIECE_BYTES);
  const startedAt = performance.now();
  if (program === WRITER) {
    child.stdin?.write('x');
    for await (const _bytes of answers);
  } else {
    for (let index = 0; index < count; index += 1) {
      if (child.stdin?.write(piece) === false) await once(child.stdin, 'drain');
    }
    await once(answers, 'data');
  }
  const elapsedMs = performance.now() - startedAt;
  child.kill('SIGKILL');
  return elapsedMs;
}

/** What is moved, and for how long the program waits, after a step that changed one page in a hundred. */
async function measureSnapshot(executor: Executor, mib: number): Promise<BenchRow[]> {
  const dirtyPages = Math.ceil((mib * PAGES_PER_MIB) / 100);
  const task = createJob({ mib, dirtyPages, steps: 20, turns: 1 }, { kind: 'steps', every: 1 });
  const sink = new RecordingSink();
  const known = new Set<string>();
  const snapshots: { bytes: number; ms: number }[] = [];
  sink.checkpoint = ({ pieces }) => {
    const startedAt = performance.now();
    let bytes = 0;
    const keys = Array.from({ length: pieces.length / 32 }, (_, place) =>
      Buffer.from(pieces.buffer, pieces.byteOffset + place * 32, 32).toString('latin1'),
    );
    return Promise.resolve({
      ...GO_ON,
      wanted: keys.flatMap((key, place) => (known.has(key) ? [] : [place])),
      receive: (_place, piece) => {
        bytes += piece.length;
        return Promise.resolve();
      },
      complete: () => {
        for (const key of keys) known.add(key);
        snapshots.push({ bytes: bytes + pieces.length, ms: performance.now() - startedAt });
        return Promise.resolve();
      },
    });
  };
  await complete(executor, task, sink);
  const [whole = { bytes: 0, ms: 0 }, ...others] = snapshots;
  const median = (read: (snapshot: typeof whole) => number): number => percentile(others.map(read), 0.5);
  return [
    {
      name: `snapshot of ${mib} MiB after a change of 1 %`,
      value: median(({ bytes }) => bytes) / MIB,
      unit: 'MiB',
      baseline: { name: 'the first snapshot', value: whole.bytes / MIB },
    },
    {
      name: `the program waits for it (${mib} MiB, 1 %)`,
      value: median(({ ms }) => ms),
      unit: 'ms',
      baseline: { name: 'the first snapshot', value: whole.ms },
    },
  ];
}

/** Turns of a step's loop that use the fuel of an interval. */
async function findTurns(executor: Executor): Promise<number> {
  const [few, many] = [1, 1001];
  const useFuel = async (turns: number): Promise<number> =>
    (await complete(executor, createJob({ mib: 1, dirtyPages: 1, steps: 1, turns }, null))).fuel ?? 0;
  const perTurn = ((await useFuel(many)) - (await useFuel(few))) / (many - few);
  return Math.ceil(INTERVAL_FUEL / perTurn);
}

/** CPU time of an interval with its checkpoint, against the same steps without. */
async function measureHashing(
  executor: Executor,
  parts: Pick<StateParts, 'mib' | 'turns'>,
  percent: number,
): Promise<BenchRow> {
  const dirtyPages = Math.ceil((parts.mib * PAGES_PER_MIB * percent) / 100);
  const timeRun = async (steps: number, checkpoints: CheckpointSchedule | null): Promise<number> =>
    (await complete(executor, createJob({ ...parts, dirtyPages, steps }, checkpoints))).usage.cpuTimeMs;
  const [few, many] = INTERVALS;
  const timeInterval = async (checkpoints: CheckpointSchedule | null): Promise<number> =>
    ((await timeRun(many, checkpoints)) - (await timeRun(few, checkpoints))) / (many - few);
  const samples = { with: [] as number[], without: [] as number[] };
  for (let run = 0; run < RUNS; run += 1) {
    samples.without.push(await timeInterval(null));
    samples.with.push(await timeInterval(INTERVAL));
  }
  return {
    name: `interval of 10⁹ fuel, ${parts.mib} MiB, ${percent} % of pages dirty`,
    value: percentile(samples.with, 0.5),
    unit: 'ms of CPU',
    baseline: { name: 'without checkpoints', value: percentile(samples.without, 0.5) },
    // Hashing is to take less than a tenth of the run time.
    goal: atMost(1 / 0.9, 'ratio'),
  };
}
