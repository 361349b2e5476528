import { describe, expect, it } from 'vitest';
import { describeGpus } from '../../../../src/cli/gpu/check-gpus.ts';
import { parseXids } from '../../../../src/sandbox/gpu/gather-facts.ts';
import type { GpuSnapshot } from '../../../../src/sandbox/gpu/interface.ts';
import { parseSmi } from '../../../../src/sandbox/gpu/parse-smi.ts';
import { GPU_RULES, type GpuFacts, judgeCuda, runPreflight } from '../../../../src/sandbox/gpu/preflight.ts';
import { h100, renderSmiLog, type SmiGpu } from '../../../support/smi-log.ts';

const DRIVER = '550.54.15';

function snapshotOf(gpus: readonly SmiGpu[], change: Partial<GpuSnapshot> = {}): GpuSnapshot {
  const reading = parseSmi(renderSmiLog({ gpus }));
  if (reading.kind === 'garbled') throw new Error(reading.reason);
  const answered = { source: 'nvidia-smi', tool: 'answered', reason: null, confidential: null, untold: [] } as const;
  return { ...answered, ...reading.snapshot, ...change };
}

const SOUND: GpuFacts = {
  snapshot: snapshotOf([h100(0)]),
  moduleVersion: DRIVER,
  buses: ['0000:1b:00.0'],
  modules: ['nvidia', 'nvidia_uvm'],
  nodes: new Map([
    ['nvidiactl', 'ok'],
    ['nvidia-uvm', 'ok'],
    ['nvidia0', 'ok'],
  ]),
  libraries: ['libcuda.so.1', 'libnvidia-ml.so.1'].map((soname) => ({
    soname,
    path: `/lib/${soname}`,
    version: DRIVER,
  })),
  cdi: [],
  xids: [],
  isWsl: false,
};
const NO_DRIVER: Partial<GpuFacts> = {
  snapshot: snapshotOf([], { source: 'none', tool: 'absent' }),
  moduleVersion: null,
  modules: [],
  libraries: [],
};
const nodesWith = (name: string, state: 'missing' | 'denied' | 'no device'): Partial<GpuFacts> => ({
  nodes: new Map([...SOUND.nodes, [name, state]]),
});
const gpuWith = (change: Partial<SmiGpu>): Partial<GpuFacts> => ({ snapshot: snapshotOf([h100(0, change)]) });
const toolIs = (tool: GpuSnapshot['tool'], reason: string | null): Partial<GpuFacts> => ({
  snapshot: snapshotOf([], { source: 'none', tool, reason }),
});
const spec = (state: 'ok' | 'refused' | 'stale') => ({ cdi: [{ file: '/etc/cdi/nvidia.yaml', state, reason: 'why' }] });

/** For each rule what breaks it, alone; rules without a row here fail the test below. */
const CASES: readonly (readonly [keyof typeof GPU_RULES, Partial<GpuFacts>, RegExp])[] = [
  ['GPU_NOUVEAU', { ...NO_DRIVER, modules: ['nouveau'] }, /nouveau/],
  ['GPU_NO_DRIVER', NO_DRIVER, /no driver is loaded/],
  ['GPU_WSL', { isWsl: true }, /Windows/],
  ['GPU_HUNG', toolIs('hung', 'it hangs'), /does not answer/],
  ['GPU_VERSION_MISMATCH', toolIs('failed', 'Failed to initialize NVML: Driver/library version mismatch'), /550.54.15/],
  [
    'GPU_VERSION_MISMATCH',
    { libraries: SOUND.libraries?.map((each) => ({ ...each, version: '535.183.01' })) ?? null },
    /libcuda.so.1 is of version 535.183.01/,
  ],
  ['GPU_TOOL_FAILED', toolIs('failed', "couldn't communicate with the NVIDIA driver"), /communicate/],
  ['GPU_GARBLED', toolIs('garbled', 'it is not the log'), /not understood/],
  ['GPU_NO_TOOL', toolIs('absent', null), /nvidia-smi is not installed/],
  ['GPU_LIBRARY_MISSING', { libraries: SOUND.libraries?.slice(1) ?? null }, /libcuda.so.1 is not among/],
  ['GPU_LIBRARY_MISSING', { libraries: null }, /libnvidia-ml.so.1/],
  ['GPU_NODE_MISSING', nodesWith('nvidia-uvm', 'missing'), /\/dev\/nvidia-uvm is not there/],
  ['GPU_NODE_MISSING', nodesWith('nvidia0', 'no device'), /\/dev\/nvidia0/],
  ['GPU_NODE_DENIED', nodesWith('nvidia0', 'denied'), /may not be opened/],
  ['GPU_LOST', { buses: ['0000:1b:00.0', '0000:1c:00.0'] }, /0000:1c:00.0 is on the PCI bus/],
  ['GPU_FAULT', gpuWith({ utilisation: 'ERR!' }), /ERR!/],
  ['GPU_XID', { xids: [{ bus: '0000:1b:00', code: 79 }] }, /Xid 79 on 0000:1b:00: it has fallen off the bus/],
  ['GPU_MEMORY_ERRORS', gpuWith({ uncorrectable: 2 }), /2 memory errors/],
  ['GPU_PROHIBITED', gpuWith({ computeMode: 'Prohibited' }), /Prohibited/],
  ['GPU_MIG_PENDING', gpuWith({ pendingMig: 'Enabled' }), /waits for a reset/],
  ['GPU_MIG_EMPTY', gpuWith({ mig: 'Enabled' }), /no slices/],
  [
    'GPU_MIG_UNNAMED',
    gpuWith({ mig: 'Enabled', slices: [{ gpuInstance: 1, memoryMebibytes: 10_000 }] }),
    /does not name/,
  ],
  ['GPU_CDI_REFUSED', spec('refused'), /nvidia.yaml: why/],
  ['GPU_CDI_STALE', spec('stale'), /nvidia.yaml: why/],
  ['GPU_CONFIDENTIAL_DEVTOOLS', { snapshot: snapshotOf([h100(0)], { confidential: 'devtools' }) }, /developer mode/],
  ['GPU_CONFIDENTIAL_ON', { snapshot: snapshotOf([h100(0)], { confidential: 'on' }) }, /is on/],
  ['GPU_EXCLUSIVE', gpuWith({ computeMode: 'Exclusive_Process' }), /Exclusive/],
  ['GPU_PERSISTENCE_OFF', gpuWith({ persistence: 'Disabled' }), /persistence mode is off/],
];

describe('preflight of GPUs', () => {
  it('finds nothing wrong with a sound box, nor with one that has no GPU', () => {
    expect(runPreflight(SOUND)).toEqual([]);
    expect(runPreflight({ ...SOUND, ...NO_DRIVER, buses: [] })).toEqual([]);
  });

  it.each(CASES)('%s', (code, change, detail) => {
    const found = runPreflight({ ...SOUND, ...change });
    expect(found.map((finding) => finding.code)).toContain(code);
    const finding = found.find((each) => each.code === code && detail.test(each.detail));
    expect(finding).toBeDefined();
    expect(finding?.remedy.length).toBeGreaterThan(10);
  });

  it('has a case for each of its rules', () => {
    expect(new Set(CASES.map(([code]) => code))).toEqual(new Set(Object.keys(GPU_RULES)));
  });

  it('does not blame a GPU for what programs do: their Xids are passed over', () => {
    expect(runPreflight({ ...SOUND, xids: [13, 31, 43, 45].map((code) => ({ bus: '0000:1b:00', code })) })).toEqual([]);
  });

  it('needs no libraries in the cache of the loader where a CDI spec has them', () => {
    expect(runPreflight({ ...SOUND, libraries: null, ...spec('ok') })).toEqual([]);
  });

  it('tells the gravest first', () => {
    const weights = runPreflight({ ...SOUND, ...gpuWith({ persistence: 'Disabled', uncorrectable: 1 }), isWsl: true });
    expect(weights.map(({ weight }) => weight)).toEqual(['fails', 'part', 'note']);
  });

  it('reads Xids of the kernel log', () => {
    const log =
      '[1.0] NVRM: Xid (PCI:0000:1B:00): 79, pid=1234, name=python3, GPU has fallen off the bus.\n[2.0] NVRM: Xid (PCI:0000:1c:00.0): 31, pid=1\n[3] nothing';
    expect(parseXids(log)).toEqual([
      { bus: '0000:1b:00', code: 79 },
      { bus: '0000:1c:00.0', code: 31 },
    ]);
  });
});

describe('GPUs in doctor', () => {
  it('are told, and what is wrong with them without notes', () => {
    expect(describeGpus(SOUND)).toEqual([
      { name: 'GPU', status: 'ok', detail: `NVIDIA H100 80GB HBM3 (79.6 GiB), driver ${DRIVER}`, remedy: null },
    ]);
    const hung = describeGpus({ ...SOUND, ...toolIs('hung', null) });
    expect(hung).toMatchObject([{ status: 'degraded' }]);
    expect(hung[0]?.detail).toMatch(/^GPU_HUNG: /);
    expect(describeGpus({ ...SOUND, ...gpuWith({ persistence: 'Disabled' }) })).toHaveLength(1);
  });

  it('are no fault where there are none', () => {
    expect(describeGpus({ ...SOUND, ...NO_DRIVER, buses: [] })).toMatchObject([{ status: 'ok' }]);
  });
});

describe('a program made with CUDA', () => {
  it.each([
    ['12.4', '550.54.15', '12.4', 'yes'],
    ['12.6', '550.54.15', '12.4', 'mostly'],
    ['11.8', '550.54.15', '12.4', 'yes'],
    ['12.0', '470.82.01', '11.4', 'no'],
    ['13.0', '550.54.15', '12.4', 'no'],
    ['13.0', '580.65.06', '13.0', 'yes'],
    ['9.2', '550.54.15', '12.4', 'unknown'],
  ])('%s on driver %s, which serves %s, runs: %s', (wanted, driver, cuda, runs) => {
    expect(judgeCuda(wanted, { driver, cuda }).runs).toBe(runs);
  });

  it('is not judged without a driver', () => {
    expect(judgeCuda('12.4', { driver: null, cuda: null }).runs).toBe('unknown');
  });
});
