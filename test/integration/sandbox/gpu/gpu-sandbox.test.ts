import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { CommandExecutor } from '../../../../src/sandbox/executors/command/command-executor.ts';
import { hideGpus, viewGpus } from '../../../../src/sandbox/executors/command/gpu-view.ts';
import { DEFAULT_COMMAND_OPTIONS } from '../../../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../../../src/sandbox/executors/command/probe-command.ts';
import { createPlan } from '../../../../src/sandbox/gpu/create-plan.ts';
import { detectGpus } from '../../../../src/sandbox/gpu/detect-gpus.ts';
import type { GpuPlan } from '../../../../src/sandbox/gpu/interface.ts';
import { listUnits } from '../../../../src/sandbox/gpu/list-units.ts';
import { DriverTools } from '../../../../src/sandbox/gpu/run-tool.ts';
import type { ExecutionResult, ExecutionTask } from '../../../../src/sandbox/interface.ts';
import { nameGroup } from '../../../../src/sandbox/limits/cgroup.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import { DRIVER, GpuTree } from '../../../support/gpu-tree.ts';
import { describeIf } from '../../../support/needs.ts';
import { ALICE, RecordingSink } from '../../../support/sandbox.ts';
import { h100 } from '../../../support/smi-log.ts';

const clock = new SystemClock();
const probe = await probeCommand(clock);
const offer = probe.kind === 'works' && probe.offer.cgroups !== null ? probe.offer : null;
const NEED = { isMet: offer !== null, kind: 'host', reason: 'bubblewrap and control groups' } as const;
const MEBIBYTE = 2 ** 20;

function createTask(script: string, change: Partial<ExecutionTask> = {}): ExecutionTask {
  return {
    requester: ALICE,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/sh',
      arguments: ['-c', script],
      environment: {},
      limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
    },
    module: null,
    inputs: [],
    resources: {
      memoryBytes: 64 * MEBIBYTE,
      fuel: null,
      wallTimeMs: 30_000,
      outputBytes: MEBIBYTE,
      logBytes: 100_000,
    },
    checkpoints: null,
    resume: null,
    ...change,
  };
}

/** Devices of a faked tree stand in for those of a GPU: which are seen and opened does not depend on what they do. */
describeIf(NEED, 'a command with GPUs', () => {
  let executor: CommandExecutor;
  let rootsFolder: string;
  let tree: GpuTree;
  let plan: GpuPlan;

  beforeAll(async () => {
    rootsFolder = mkdtempSync(join(tmpdir(), 'fogproof-roots-'));
    chmodSync(rootsFolder, 0o711);
    tree = new GpuTree({ gpus: [h100(0), h100(1), h100(2)] });
    const modules = { places: tree.places, tools: new DriverTools() };
    const units = listUnits(await detectGpus(modules), { sharedWithDesktop: false, only: [] });
    plan = await createPlan(modules, units.slice(1, 2));
    executor = new CommandExecutor(
      { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
      { ...DEFAULT_COMMAND_OPTIONS, maxCpus: 2000, hostRoot: true, rootsFolder, offer },
    );
  });

  afterAll(async () => {
    await executor[Symbol.asyncDispose]();
    tree[Symbol.dispose]();
    rmSync(rootsFolder, { recursive: true, force: true });
  });

  const run = async (task: ExecutionTask): Promise<{ readonly result: ExecutionResult; readonly text: string }> => {
    const sink = new RecordingSink();
    const result = await executor.execute(task, sink, {});
    return { result, text: sink.events.map((line) => line.replace(/^std(out|err): /, '')).join('\n') };
  };

  it('sees exactly the nodes that were leased to it, and opens them', async () => {
    const script = 'ls -d /dev/nvidia*; for d in /dev/nvidia*; do (: <>"$d") && echo "opened $d"; done';
    const { result, text } = await run(createTask(script, { gpus: plan }));
    expect(result.outcome).toEqual({ kind: 'completed' });
    const names = ['/dev/nvidia-uvm', '/dev/nvidia1', '/dev/nvidiactl'];
    expect(text.split('\n').map((line) => line.trim())).toEqual([...names, ...names.map((name) => `opened ${name}`)]);
  });

  it('has the libraries of the driver and is told which GPU is its own', async () => {
    const script =
      'cat /gpu/lib/libcuda.so.1; echo $LD_LIBRARY_PATH; echo $CUDA_VISIBLE_DEVICES; ls /gpu/bin; touch /gpu/x';
    const { text } = await run(createTask(script, { gpus: plan }));
    const lines = text.split('\n').map((line) => line.trim());
    expect(lines).toContain(`library libcuda.so.${DRIVER}`);
    expect(lines).toContain('/gpu/lib');
    expect(lines).toContain(plan.grants[0]?.uuid);
    expect(lines).toContain('nvidia-smi');
    expect(text).toMatch(/Read-only file system/);
  });

  it('is named with its GPUs in the report, and with the group that holds it to them', async () => {
    const { result } = await run(createTask('true', { gpus: plan }));
    expect(result.report.gpus).toEqual(plan.grants);
    expect(result.report.controls.includes('cgroup-v1-devices')).toBe(offer?.cgroups?.limitsDevices === true);
    expect((await run(createTask('true'))).result.report).not.toHaveProperty('gpus');
  });

  it('without GPUs sees none', async () => {
    const { text } = await run(createTask('ls /dev /gpu; ls /proc/driver/nvidia; echo "[$CUDA_VISIBLE_DEVICES]"'));
    expect(text).not.toMatch(/nvidia[0-9c-]/);
    expect(text).toContain('[]');
  });

  it('keeps the paths of libraries that the job names, after those of the driver', async () => {
    const base = createTask('echo $LD_LIBRARY_PATH', { gpus: plan });
    if (base.workload.kind !== 'command') throw new TypeError('a command was made');
    const workload = { ...base.workload, environment: { LD_LIBRARY_PATH: '/opt/lib' } };
    expect((await run({ ...base, workload })).text.trim()).toBe('/gpu/lib:/opt/lib');
  });

  it('may not have an input where the driver is', async () => {
    const inputs = [{ path: '/gpu/lib/libcuda.so.1', bytes: new Uint8Array(1) }];
    const { result } = await run(createTask('true', { gpus: plan, inputs }));
    expect(result.outcome).toMatchObject({ kind: 'program-failed', code: 'PROGRAM_REFUSED' });
  });

  it('sees of the driver in /proc what is its own, where there is one', () => {
    const proc = { folder: '/proc/driver/nvidia', visible: ['version', 'gpus/0000:1c:00.0/information'] };
    const view = viewGpus({ ...plan, proc }, { folders: new Set() });
    expect(view.proc.slice(0, 4)).toEqual([
      '--tmpfs',
      '/proc/driver/nvidia',
      '--ro-bind',
      '/proc/driver/nvidia/version',
    ]);
    expect(hideGpus(true).proc).toEqual(['--tmpfs', '/proc/driver/nvidia', '--remount-ro', '/proc/driver/nvidia']);
    expect(hideGpus(false).proc).toEqual([]);
  });
});

const factory = offer?.cgroups ?? null;
const DEVICES = {
  isMet: factory?.limitsDevices === true && process.getuid?.() === 0,
  kind: 'host',
  reason: 'the devices controller of control groups, version 1, and root',
} as const;

describeIf(DEVICES, 'a control group of devices', () => {
  it('opens those that it names, and refuses others even to root', async () => {
    if (factory === null) throw new TypeError('there is a factory where the need is met');
    const limits = { memoryBytes: 64 * MEBIBYTE, tasks: 8 };
    const open = async (devices: readonly { major: number; minor: number }[]): Promise<string> => {
      const group = factory.create(nameGroup('devices-test'), { ...limits, devices });
      const joins = group.procsFiles.map((file) => `echo $$ > ${file}`).join('; ');
      try {
        const script = `${joins}; (: < /dev/kmsg) && echo opened; (: < /dev/zero) && echo common`;
        return (await promisify(execFile)('/bin/sh', ['-c', `${script}; true`])).stdout;
      } finally {
        group.remove();
      }
    };
    expect(await open([])).toBe('common\n');
    expect(await open([{ major: 1, minor: 11 }])).toBe('opened\ncommon\n');
  });
});
