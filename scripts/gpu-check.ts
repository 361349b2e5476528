/**
 * What is to be run once on every kind of GPU box: looks at its GPUs, leases one (or a slice), trains a small model in a
 * `command` sandbox with checkpoints, ends it half way, goes on from its checkpoint, and compares the end with that of an
 * undisturbed run. Writes what was seen to a file; docs/gpu.md says what to do with it.
 * Usage: npm run gpu:check -- [--out gpu-check.json] [--root root.tar] [--python /usr/bin/python3] [--mig PROFILE]
 * Exit code 0 if all of it worked, 1 if not, 3 if there is no GPU. Python needs PyTorch for the training; without it a
 * kernel of CUDA alone is run.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PeerKey } from '../src/domain/ids.ts';
import { SystemClock } from '../src/lib/clock.ts';
import { describeError } from '../src/lib/errors.ts';
import { CommandExecutor } from '../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../src/sandbox/executors/command/probe-command.ts';
import { gatherFacts } from '../src/sandbox/gpu/gather-facts.ts';
import { GpuInventory } from '../src/sandbox/gpu/gpu-inventory.ts';
import type { GpuPlan } from '../src/sandbox/gpu/interface.ts';
import { findGpuPlaces } from '../src/sandbox/gpu/places.ts';
import { runPreflight } from '../src/sandbox/gpu/preflight.ts';
import type { ExecutionResult, ExecutionSink, ExecutionTask, InputFile } from '../src/sandbox/interface.ts';
import { chooseUnits } from '../src/scheduler/provider/gpus/choose-units.ts';
import { NoopLogger } from '../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../src/telemetry/noop-metrics.ts';

const GIB = 2 ** 30;
const STEPS = 400;
const NO_GPU = 3;
/** A key of nobody: executors ask whose task it is. */
const NOBODY = PeerKey('12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5');

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'gpu-check.json' },
    root: { type: 'string' },
    python: { type: 'string', default: '/usr/bin/python3' },
    mig: { type: 'string' },
  },
});

interface Run {
  readonly result: ExecutionResult;
  readonly lines: readonly string[];
}

function collect(lines: string[]): ExecutionSink {
  return {
    log: (_, text) => void lines.push(text.slice(0, 500)),
    metric: () => {},
    progress: () => {},
    checkpoint: async () => {
      throw new TypeError('commands make no checkpoints of their own');
    },
  };
}

async function train(
  executor: CommandExecutor,
  gpus: GpuPlan,
  { from, to, inputs }: { readonly from: number; readonly to: number; readonly inputs: readonly InputFile[] },
): Promise<Run> {
  const module = values.root === undefined ? null : new Uint8Array(await readFile(values.root));
  const program = await readFile(join(import.meta.dirname, 'gpu-check', 'train.py'), 'utf8');
  const lines: string[] = [];
  const task: ExecutionTask = {
    requester: NOBODY,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      // The archive is read from its bytes; nothing asks for the blob.
      root: module === null ? { kind: 'host' } : { kind: 'archive', blob: '' as never, sizeBytes: module.length },
      program: values.python,
      arguments: ['-c', program, String(from), String(to)],
      environment: { PYTHONDONTWRITEBYTECODE: '1', CUBLAS_WORKSPACE_CONFIG: ':4096:8' },
      limits: { cpus: 4000, processes: 512, scratchBytes: GIB },
    },
    module,
    inputs,
    resources: { memoryBytes: 16 * GIB, fuel: null, wallTimeMs: 600_000, outputBytes: GIB, logBytes: 1_000_000 },
    checkpoints: null,
    resume: null,
    gpus,
  };
  return { result: await executor.execute(task, collect(lines), {}), lines };
}

function openExecutor(offer: Extract<Awaited<ReturnType<typeof probeCommand>>, { kind: 'works' }>['offer']) {
  const modules = { clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const rootsFolder = join(tmpdir(), 'fogproof-gpu-check');
  const limits = { maxMemoryBytes: 64 * GIB, maxCpus: 64_000, maxProcesses: 4096, maxInputBytes: 8 * GIB };
  return new CommandExecutor(modules, { ...DEFAULT_COMMAND_OPTIONS, ...limits, hostRoot: true, rootsFolder, offer });
}

async function runJobs(plan: GpuPlan) {
  const probe = await probeCommand(new SystemClock());
  if (probe.kind === 'fails') throw new Error(`commands do not work here: ${probe.reason}`);
  await using executor = openExecutor(probe.offer);
  const whole = await train(executor, plan, { from: 0, to: STEPS, inputs: [] });
  const first = await train(executor, plan, { from: 0, to: STEPS / 2, inputs: [] });
  const checkpoint = first.result.outputs.find(({ path }) => path.endsWith('/checkpoint'));
  const inputs = checkpoint === undefined ? [] : [{ path: '/input/checkpoint', bytes: checkpoint.bytes }];
  const second = await train(executor, plan, { from: STEPS / 2, to: STEPS, inputs });
  const endOf = ({ result }: Run): string =>
    new TextDecoder().decode(result.outputs.find(({ path }) => path.endsWith('/end'))?.bytes ?? new Uint8Array());
  const runs = { whole, first, second };
  return {
    isEqual: endOf(whole) !== '' && endOf(whole) === endOf(second),
    ends: { undisturbed: endOf(whole), resumed: endOf(second) },
    runs: Object.fromEntries(
      Object.entries(runs).map(([name, { result, lines }]) => [
        name,
        { outcome: result.outcome, usage: result.usage, report: result.report, lines: lines.slice(-60) },
      ]),
    ),
  };
}

async function check(): Promise<number> {
  const places = findGpuPlaces();
  const facts = await gatherFacts(places);
  const findings = runPreflight(facts);
  for (const { code, detail, remedy } of findings) console.log(`${code}: ${detail}\n  → ${remedy}`);
  const modules = { places, clock: new SystemClock(), logger: new NoopLogger() };
  using inventory = new GpuInventory(modules, { sharedWithDesktop: true, only: [] });
  await inventory.refresh(0);
  const request = { count: 1, minMemoryBytes: 0, models: [], mig: values.mig ?? null };
  const units = chooseUnits(request, inventory.units, new Set());
  if (units === null) {
    console.log(inventory.units.map(({ uuid, obstacle }) => `${uuid}: ${obstacle}`).join('\n'));
    console.log('There is no free GPU here: nothing was recorded.');
    return NO_GPU;
  }
  const plan = await inventory.plan(units);
  const jobs = await runJobs(plan);
  const host = { kernel: release(), node: process.version, at: new Date().toISOString() };
  const nodes = Object.fromEntries(facts.nodes);
  const record = { host, facts: { ...facts, nodes }, findings, units: inventory.units, plan, jobs };
  await writeFile(values.out, `${JSON.stringify(record, null, 2)}\n`);
  console.log(`${jobs.isEqual ? 'All of it worked' : 'It did NOT all work'}; what was seen is in ${values.out}.`);
  return jobs.isEqual ? 0 : 1;
}

try {
  process.exitCode = await check();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
