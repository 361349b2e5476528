import { describe, expect, it } from 'vitest';
import { gatherFacts } from '../../../../src/sandbox/gpu/gather-facts.ts';
import { type GpuFinding, runPreflight } from '../../../../src/sandbox/gpu/preflight.ts';
import { GpuTree } from '../../../support/gpu-tree.ts';
import { h100 } from '../../../support/smi-log.ts';

const GPUS = [h100(0), h100(1)];

async function findIn(tree: GpuTree): Promise<readonly GpuFinding['code'][]> {
  return runPreflight(await gatherFacts(tree.places, { timeoutMs: 2_000 })).map(({ code }) => code);
}

describe('facts about the GPUs of a host', () => {
  it('of a sound one give nothing to find', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const facts = await gatherFacts(tree.places);
    expect(facts).toMatchObject({ moduleVersion: '550.54.15', buses: ['0000:1b:00.0', '0000:1c:00.0'], isWsl: false });
    expect(facts.libraries?.map(({ version }) => version)).toEqual(Array.from({ length: 4 }, () => '550.54.15'));
    expect([...facts.nodes.values()]).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(runPreflight(facts)).toEqual([]);
  });

  it('tell a box whose libraries were updated under a running driver', async () => {
    using tree = new GpuTree({ gpus: GPUS, libraries: '580.173.02' });
    tree.writeTool('nvidia-smi', 'echo "Failed to initialize NVML: Driver/library version mismatch" >&2; exit 18');
    expect(await findIn(tree)).toContain('GPU_VERSION_MISMATCH');
  });

  it('tell a box without a driver, and one with nouveau', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    tree.write('proc/driver/nvidia/version', '');
    tree.writeTool('nvidia-smi', 'exit 9');
    expect(await findIn(tree)).toContain('GPU_NO_DRIVER');
    tree.write('sys/module/nouveau/version', '');
    expect(await findIn(tree)).toContain('GPU_NOUVEAU');
  });

  it('tell missing nodes, a stale spec, and what the kernel reported', async () => {
    using tree = new GpuTree({ gpus: GPUS, missing: ['nvidia-uvm'] });
    const mount = {
      hostPath: tree.libraryPath('libcuda.so.535.183.01'),
      containerPath: '/usr/lib/libcuda.so.535.183.01',
    };
    const spec = { cdiVersion: '0.6.0', kind: 'nvidia.com/gpu', devices: [], containerEdits: { mounts: [mount] } };
    tree.write('etc/cdi/nvidia.json', JSON.stringify(spec));
    tree.write('etc/cdi/broken.json', '{');
    tree.writeTool('dmesg', 'echo "[9.1] NVRM: Xid (PCI:0000:1b:00): 79, pid=1, GPU has fallen off the bus."');
    const places = { ...tree.places, dmesg: `${tree.folder}/bin/dmesg` };
    const codes = runPreflight(await gatherFacts(places)).map(({ code }) => code);
    expect(codes).toEqual(['GPU_NODE_MISSING', 'GPU_XID', 'GPU_CDI_REFUSED', 'GPU_CDI_STALE']);
  });
});
