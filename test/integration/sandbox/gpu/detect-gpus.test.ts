import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SystemClock } from '../../../../src/lib/clock.ts';
import { detectGpus } from '../../../../src/sandbox/gpu/detect-gpus.ts';
import { GpuInventory } from '../../../../src/sandbox/gpu/gpu-inventory.ts';
import { DriverTools } from '../../../../src/sandbox/gpu/run-tool.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { DRIVER, GpuTree } from '../../../support/gpu-tree.ts';
import { h100 } from '../../../support/smi-log.ts';

const GPUS = [h100(0), h100(1)];

describe('GPUs of a host', () => {
  it('are told by nvidia-smi', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const found = await detectGpus({ places: tree.places, tools: new DriverTools() });
    expect(found).toMatchObject({ source: 'nvidia-smi', tool: 'answered', driver: DRIVER, cuda: '12.4', untold: [] });
    expect(found.devices.map(({ uuid }) => uuid)).toEqual(GPUS.map(({ uuid }) => uuid));
  });

  it('are told by the kernel where there is no nvidia-smi, with what it cannot tell', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const found = await detectGpus({ places: { ...tree.places, nvidiaSmi: null }, tools: new DriverTools() });
    expect(found).toMatchObject({ source: 'driver-files', tool: 'absent', driver: DRIVER });
    expect(found.untold).toContain('memory');
    expect(found.devices[1]).toMatchObject({ bus: '0000:1c:00.0', minor: 1, memoryBytes: null, processes: null });
  });

  it('are none where there is nothing', async () => {
    using tree = new GpuTree({ gpus: [] });
    const places = { ...tree.places, nvidiaSmi: null, proc: '/nowhere' };
    expect(await detectGpus({ places, tools: new DriverTools() })).toMatchObject({
      source: 'none',
      driver: null,
      devices: [],
    });
  });

  it('are told with the reason why nvidia-smi failed', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    tree.writeTool(
      'nvidia-smi',
      'echo "Failed to initialize NVML: Driver/library version mismatch"; echo "NVML library version: 580.173"; exit 18',
    );
    const found = await detectGpus({ places: tree.places, tools: new DriverTools() });
    expect(found).toMatchObject({ tool: 'failed', source: 'driver-files' });
    expect(found.reason).toBe('Failed to initialize NVML: Driver/library version mismatch');
  });

  it('are not waited for where the driver hangs, even by whoever comes again', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    // Its child keeps the pipes open when it is killed, as a process in the kernel does.
    tree.writeTool('nvidia-smi', 'sleep 5 & echo "<nvidia_smi_log>"; wait');
    const tools = new DriverTools();
    const begunAtMs = performance.now();
    const found = await detectGpus({ places: tree.places, tools }, { timeoutMs: 100 });
    expect(found).toMatchObject({ tool: 'hung', source: 'driver-files' });
    expect(performance.now() - begunAtMs).toBeLessThan(3_000);
  });

  it('are garbled where it writes garbage, or without end', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    tree.writeTool('nvidia-smi', 'head -c 5000 /dev/urandom');
    expect((await detectGpus({ places: tree.places, tools: new DriverTools() })).tool).toBe('garbled');
    tree.writeTool('nvidia-smi', 'yes');
    expect((await detectGpus({ places: tree.places, tools: new DriverTools() })).tool).toBe('garbled');
  });

  it('know their confidential mode where the driver has one', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    tree.writeTool('nvidia-smi', `[ "$1" = -q ] && exec cat ${tree.folder}/log.xml; echo "CC status: ON"`);
    const modules = { places: tree.places, tools: new DriverTools() };
    expect((await detectGpus(modules, { asksConfidential: true })).confidential).toBe('on');
    expect((await detectGpus(modules)).confidential).toBeNull();
  });
});

describe('an inventory', () => {
  const open = (tree: GpuTree, timeoutMs = 10_000): GpuInventory =>
    new GpuInventory(
      { places: tree.places, clock: new SystemClock(), logger: new NoopLogger() },
      { sharedWithDesktop: false, only: [], timeoutMs },
    );

  it('has what was seen last, and looks again when it is old', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    using inventory = open(tree);
    expect(inventory.units).toEqual([]);
    await inventory.refresh(0);
    expect(inventory.units.map(({ obstacle }) => obstacle)).toEqual([null, null]);
    tree.setLog({ gpus: [h100(0, { processes: [{ pid: 3 }] }), h100(1)] });
    await inventory.refresh(60_000);
    expect(inventory.units[0]?.obstacle).toBeNull();
    await inventory.refresh(-1);
    expect(inventory.units[0]?.obstacle).toMatch(/process 3/);
  });

  it('lends nothing from when the driver hangs', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    using inventory = open(tree, 2_000);
    await inventory.refresh(0);
    tree.writeTool('nvidia-smi', 'exec sleep 20');
    const slow = open(tree, 50);
    await slow.refresh(-1);
    expect(slow.units.map(({ obstacle }) => obstacle?.slice(0, 40))).toEqual(
      Array.from({ length: 2 }, () => 'nobody can say whether it is in use (nvi'),
    );
    slow[Symbol.dispose]();
  });

  it('survives whatever the tool says', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    using inventory = open(tree);
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
        tree.write('log.xml', text);
        await inventory.refresh(-1);
        expect(inventory.units.every(({ obstacle }) => obstacle !== null)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});
