import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseSpec } from '../../../../src/sandbox/gpu/cdi.ts';
import { createPlan } from '../../../../src/sandbox/gpu/create-plan.ts';
import { detectGpus } from '../../../../src/sandbox/gpu/detect-gpus.ts';
import { parseLdconfig } from '../../../../src/sandbox/gpu/driver-libraries.ts';
import type { GpuPlan } from '../../../../src/sandbox/gpu/interface.ts';
import { listUnits } from '../../../../src/sandbox/gpu/list-units.ts';
import { DriverTools } from '../../../../src/sandbox/gpu/run-tool.ts';
import { DRIVER, GpuTree, type GpuTreeOptions } from '../../../support/gpu-tree.ts';
import { h100 } from '../../../support/smi-log.ts';

const GPUS = [h100(0), h100(1), h100(2)];

async function planFor(tree: GpuTree, ...indices: readonly number[]): Promise<GpuPlan> {
  const modules = { places: tree.places, tools: new DriverTools() };
  const units = listUnits(await detectGpus(modules), { sharedWithDesktop: false, only: [] });
  return await createPlan(
    modules,
    units.filter((_, index) => indices.includes(index)),
  );
}

const pathsOf = (plan: GpuPlan): readonly string[] => plan.nodes.map(({ path }) => path);

describe('a plan of device nodes', () => {
  it('has the nodes of the units and those that all need, and no other', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const plan = await planFor(tree, 1);
    expect(pathsOf(plan)).toEqual(['/dev/nvidia-uvm', '/dev/nvidia1', '/dev/nvidiactl']);
    expect(plan).toMatchObject({ source: 'device nodes', files: [], remarks: [] });
    expect(plan.grants).toEqual([
      { uuid: GPUS[1]?.uuid, model: 'NVIDIA H100 80GB HBM3', memoryBytes: 81_559 * 2 ** 20, mig: null },
    ]);
    expect(plan.environment).toMatchObject({ CUDA_VISIBLE_DEVICES: GPUS[1]?.uuid, NVIDIA_VISIBLE_DEVICES: 'void' });
    expect(plan.nodes.every(({ major }) => major === 1)).toBe(true);
    expect(plan.proc).toEqual({
      folder: join(tree.folder, 'proc/driver/nvidia'),
      visible: ['version', 'params', 'gpus/0000:1c:00.0/information'],
    });
  });

  it('has the libraries of the driver under the names that loaders ask for', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const { libraries, programs } = await planFor(tree, 0, 2);
    expect(libraries.flatMap(({ aliases }) => aliases)).toEqual(
      expect.arrayContaining(['libcuda.so.1', `libcuda.so.${DRIVER}`, 'libnvidia-nvvm.so.4']),
    );
    expect(libraries.every(({ hostPath }) => hostPath.endsWith(DRIVER))).toBe(true);
    expect(programs.map(({ aliases }) => aliases)).toEqual([['nvidia-smi']]);
  });

  it('of a slice has its GPU and its two capabilities', async () => {
    const slices = [
      { gpuInstance: 1, memoryMebibytes: 9_984 },
      { gpuInstance: 2, memoryMebibytes: 9_984 },
    ];
    using tree = new GpuTree({
      gpus: [h100(0, { mig: 'Enabled', slices })],
      list:
        `GPU 0: NVIDIA H100 80GB HBM3 (UUID: ${h100(0).uuid})\n` +
        '  MIG 1g.10gb     Device  0: (UUID: MIG-00000001-5555-5555-5555-555555555555)\n' +
        '  MIG 1g.10gb     Device  1: (UUID: MIG-00000002-5555-5555-5555-555555555555)\n',
      capabilities: {
        'gpu0/mig/gi1/access': 12,
        'gpu0/mig/gi1/ci0/access': 13,
        'gpu0/mig/gi2/access': 21,
        'gpu0/mig/gi2/ci0/access': 22,
      },
    });
    const plan = await planFor(tree, 1);
    expect(pathsOf(plan)).toEqual([
      '/dev/nvidia-caps/nvidia-cap21',
      '/dev/nvidia-caps/nvidia-cap22',
      '/dev/nvidia-uvm',
      '/dev/nvidia0',
      '/dev/nvidiactl',
    ]);
    expect(plan.grants[0]).toMatchObject({ uuid: 'MIG-00000002-5555-5555-5555-555555555555', mig: '1g.10gb' });
  });

  it.each<[string, Partial<GpuTreeOptions>, string]>([
    ['libraries of another version', { libraries: '535.183.01' }, 'SANDBOX_GPU_DRIVER_MISMATCH'],
    ['no node for unified memory', { missing: ['nvidia-uvm'] }, 'SANDBOX_GPU_UNAVAILABLE'],
    ['no node of the GPU', { missing: ['nvidia1'] }, 'SANDBOX_GPU_UNAVAILABLE'],
  ])('is refused where there is %s', async (_, change, code) => {
    using tree = new GpuTree({ gpus: GPUS, ...change });
    await expect(planFor(tree, 1)).rejects.toMatchObject({ code });
  });

  it('is refused where a node is a plain file, and where no module is loaded', async () => {
    using tree = new GpuTree({ gpus: GPUS, missing: ['nvidia1'] });
    tree.write('dev/nvidia1', '');
    await expect(planFor(tree, 1)).rejects.toMatchObject({ code: 'SANDBOX_GPU_UNAVAILABLE' });
    tree.write('proc/driver/nvidia/version', '');
    await expect(planFor(tree, 0)).rejects.toThrow(/module is not loaded/);
  });
});

interface SpecChange {
  readonly driver?: string;
  readonly shared?: object;
  readonly extra?: object;
}

/** In the form that `nvidia-ctk cdi generate` of version 1.14 writes, cut down. */
function specOf(tree: GpuTree, { driver = DRIVER, shared = {}, extra = {} }: SpecChange = {}) {
  const library = (name: string) => ({
    hostPath: tree.libraryPath(`${name}.so.${driver}`),
    containerPath: `/usr/lib/x86_64-linux-gnu/${name}.so.${driver}`,
    options: ['ro', 'nosuid', 'nodev', 'bind'],
  });
  const device = (name: string, ...minors: readonly number[]) => ({
    name,
    containerEdits: {
      deviceNodes: minors.flatMap((minor) => [{ path: `/dev/nvidia${minor}` }, { path: `/dev/dri/card${minor + 1}` }]),
    },
  });
  return {
    cdiVersion: '0.5.0',
    kind: 'nvidia.com/gpu',
    // The driver's own order need not be that of the nodes.
    devices: [device('0', 2), device('1', 1), device('2', 0), device('all', 0, 1, 2)],
    containerEdits: {
      env: ['NVIDIA_VISIBLE_DEVICES=void', 'LD_PRELOAD=/evil.so', 'NVIDIA_CTK_LIBCUDA_DIR=/usr/lib'],
      deviceNodes: [{ path: '/dev/nvidia-modeset' }, { path: '/dev/nvidia-uvm' }, { path: '/dev/nvidiactl' }],
      mounts: [library('libcuda'), library('libnvidia-ml'), library('libnvidia-nvvm')],
      hooks: [
        {
          hookName: 'createContainer',
          path: '/usr/bin/nvidia-ctk',
          args: ['nvidia-ctk', 'hook', 'update-ldcache', '--folder', '/usr/lib'],
        },
      ],
      ...shared,
    },
    ...extra,
  };
}

function writeSpec(tree: GpuTree, spec: object, path = 'etc/cdi/nvidia.yaml'): string {
  return tree.write(path, path.endsWith('.yaml') ? stringify(spec) : JSON.stringify(spec));
}

describe('a plan of a CDI spec', () => {
  it.each(['etc/cdi/nvidia.yaml', 'run/cdi/nvidia.json'])(
    'of %s mounts what the spec says and runs no hook',
    async (path) => {
      using tree = new GpuTree({ gpus: GPUS });
      const file = writeSpec(tree, specOf(tree), path);
      tree.write('bin/hooked', '');
      const plan = await planFor(tree, 0);
      expect(plan.source).toBe(file);
      expect(pathsOf(plan)).toEqual(['/dev/nvidia-uvm', '/dev/nvidia0', '/dev/nvidiactl']);
      expect(plan.libraries.map(({ path: place }) => place)).toContain(
        `/usr/lib/x86_64-linux-gnu/libcuda.so.${DRIVER}`,
      );
      expect(plan.libraries.flatMap(({ aliases }) => aliases)).toEqual(
        expect.arrayContaining(['libcuda.so.1', 'libnvidia-ml.so.1', 'libnvidia-nvvm.so.4']),
      );
      expect(plan.environment).toMatchObject({ NVIDIA_CTK_LIBCUDA_DIR: '/usr/lib', NVIDIA_VISIBLE_DEVICES: 'void' });
      expect(plan.environment).not.toHaveProperty('LD_PRELOAD');
      expect(plan.remarks).toEqual([`hook /usr/bin/nvidia-ctk hook of ${file} is not run`]);
    },
  );

  it('in the later folder wins', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    writeSpec(tree, specOf(tree));
    const file = writeSpec(tree, specOf(tree), 'run/cdi/nvidia.json');
    expect((await planFor(tree, 0)).source).toBe(file);
  });

  it('is not used when it is stale: the driver has its libraries elsewhere', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const file = writeSpec(tree, specOf(tree, { driver: '535.183.01' }));
    const plan = await planFor(tree, 0);
    expect(plan.source).toBe('device nodes');
    expect(plan.remarks[0]).toContain(`CDI spec ${file} is not used: it mounts`);
  });

  it.each<[string, SpecChange, RegExp]>([
    ['names no entry for the GPU alone', { extra: { devices: [] } }, /no entry for each/],
    ['is of a version that is not known', { extra: { cdiVersion: '2.0.0' } }, /cdiVersion/],
    [
      'climbs out of a folder',
      { shared: { mounts: [{ hostPath: '/usr/../etc/shadow', containerPath: '/x' }] } },
      /absolute path/,
    ],
  ])('is not used when it %s', async (_, change, why) => {
    using tree = new GpuTree({ gpus: GPUS });
    writeSpec(tree, specOf(tree, change));
    const plan = await planFor(tree, 0);
    expect(plan.source).toBe('device nodes');
    expect(plan.remarks[0]).toMatch(why);
  });

  it('is not used when others may write to it', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    chmodSync(writeSpec(tree, specOf(tree)), 0o666);
    expect((await planFor(tree, 0)).remarks[0]).toMatch(/others may write/);
  });

  it('is refused when it gives a GPU to everybody', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    writeSpec(tree, specOf(tree, { shared: { deviceNodes: [{ path: '/dev/nvidia2' }] } }));
    await expect(planFor(tree, 0)).rejects.toMatchObject({ code: 'SANDBOX_GPU_CDI_REFUSED' });
  });

  it('brings no socket into a sandbox', async () => {
    using tree = new GpuTree({ gpus: GPUS });
    const socket = join(tree.folder, 'persistenced');
    const server = createServer().listen(socket);
    await new Promise((resolve) => server.once('listening', resolve));
    const { mounts } = specOf(tree).containerEdits;
    writeSpec(
      tree,
      specOf(tree, { shared: { mounts: [...mounts, { hostPath: socket, containerPath: '/run/socket' }] } }),
    );
    const plan = await planFor(tree, 0);
    server.close();
    expect([...plan.files, ...plan.libraries].map(({ path }) => path)).not.toContain('/run/socket');
    expect(plan.remarks[0]).toMatch(/a way out of the sandbox/);
  });

  it('survives any text', () => {
    fc.assert(fc.property(fc.string(), (text) => ['spec', 'refused'].includes(parseSpec('x', text).kind)));
    fc.assert(fc.property(fc.json(), (text) => parseSpec('x', text).kind === 'refused'));
    expect(parseSpec('x', 'a: &a [x]\nb: [*a, *a]').kind).toBe('refused');
  });
});

describe('libraries of a loader', () => {
  it('are those of this architecture, the first of a name', () => {
    const output = [
      '\tlibcuda.so.1 (libc6) => /lib/i386/libcuda.so.1',
      '\tlibcuda.so.1 (libc6,x86-64) => /a/libcuda.so.1',
      '\tlibcuda.so.1 (libc6,x86-64, OS ABI: Linux 3.2.0) => /b/libcuda.so.1',
      '\tlibcudart.so.12 (libc6,x86-64) => /c/libcudart.so.12',
    ].join('\n');
    expect(parseLdconfig(output, 'x64')).toEqual([{ soname: 'libcuda.so.1', path: '/a/libcuda.so.1' }]);
    expect(parseLdconfig(output, 'arm64')).toEqual([]);
  });
});
