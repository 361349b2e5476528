import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../../../src/sandbox/gpu/interface.ts';
import { nameSlices, parseSliceList } from '../../../../src/sandbox/gpu/parse-list.ts';
import { MAX_SMI_BYTES, parseSmi } from '../../../../src/sandbox/gpu/parse-smi.ts';
import { h100, renderSmiLog, rtx4090 } from '../../../support/smi-log.ts';

const FIXTURES = join(import.meta.dirname, '../../../fixtures/gpu');
const MIB = 2 ** 20;

function readFixture(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8');
}

function devicesOf(log: string): readonly GpuDevice[] {
  const reading = parseSmi(log);
  if (reading.kind === 'garbled') throw new Error(reading.reason);
  return reading.snapshot.devices;
}

describe('a log of nvidia-smi', () => {
  it('tells of two H100, one of which computes', () => {
    const reading = parseSmi(readFixture('h100-two.xml'));
    expect(reading).toMatchObject({ kind: 'read', snapshot: { driver: '550.54.15', cuda: '12.4' } });
    const [busy, idle] = devicesOf(readFixture('h100-two.xml'));
    expect(busy).toEqual({
      uuid: 'GPU-00000000-1111-2222-3333-444444444444',
      model: 'NVIDIA H100 80GB HBM3',
      bus: '0000:1b:00.0',
      minor: 0,
      memoryBytes: 81_559 * MIB,
      usedBytes: 30_000 * MIB,
      utilisation: 0.97,
      computeMode: 'default',
      hasEcc: true,
      uncorrectedErrors: 0,
      isPersistent: true,
      mig: 'off',
      slices: [],
      processes: [{ pid: 4242, isCompute: true, gpuInstance: null }],
      faults: [],
    });
    expect(idle).toMatchObject({ bus: '0000:1c:00.0', utilisation: 0, processes: [] });
  });

  it('tells of a consumer GPU what it has, and nothing of what it lacks', () => {
    const [gpu] = devicesOf(readFixture('rtx-4090-desktop.xml'));
    expect(gpu).toMatchObject({ model: 'NVIDIA GeForce RTX 4090', hasEcc: null, mig: null, isPersistent: false });
    expect(gpu?.processes?.map(({ isCompute }) => isCompute)).toEqual([false, false]);
  });

  it('tells of slices, whose names come from the list', () => {
    const [cut, whole] = devicesOf(readFixture('a100-mig.xml'));
    expect(cut).toMatchObject({ mig: 'on', utilisation: null });
    expect(cut?.slices.map(({ uuid, gpuInstance }) => [uuid, gpuInstance])).toEqual([
      [null, 1],
      [null, 5],
      [null, 13],
    ]);
    expect(whole).toMatchObject({ mig: 'off', slices: [] });
    const listed = parseSliceList(readFixture('a100-mig.list'));
    const named = cut === undefined ? undefined : nameSlices(cut, listed);
    expect(named?.slices.map(({ profile }) => profile)).toEqual(['3g.20gb', '2g.10gb', '1g.5gb']);
    expect(named?.slices[2]).toMatchObject({
      uuid: 'MIG-00000003-5555-5555-5555-555555555555',
      gpuInstance: 13,
      memoryBytes: 4_864 * MIB,
    });
  });

  it('leaves slices without names where both tools do not count the same', () => {
    const [cut] = devicesOf(readFixture('a100-mig.xml'));
    const list = readFixture('a100-mig.list').split('\n').toSpliced(3, 1).join('\n');
    const named = cut === undefined ? undefined : nameSlices(cut, parseSliceList(list));
    expect(named?.slices.every(({ uuid }) => uuid === null)).toBe(true);
  });

  it('names the fields that a broken GPU answers with an error', () => {
    const [sound, lost] = devicesOf(readFixture('h100-lost.xml'));
    expect(sound?.faults).toEqual([]);
    expect(lost).toMatchObject({ memoryBytes: null, utilisation: null, computeMode: null });
    expect(lost?.faults).toEqual([
      'fb_memory_usage.total: GPU is lost',
      'compute_mode: ERR!',
      'utilization.gpu_util: ERR!',
    ]);
  });

  it('lists a GPU that does not tell its UUID under its address, as broken', () => {
    const [gpu] = devicesOf(renderSmiLog({ gpus: [h100(0, { uuid: 'ERR!' })] }));
    expect(gpu?.uuid).toBe('GPU-unknown-0000-1b-00-0');
    expect(gpu?.faults).toEqual(['uuid: not told', 'uuid: ERR!']);
  });

  it('sees MIG that waits for a reset, and memory errors', () => {
    const gpus = [h100(0, { mig: 'Disabled', pendingMig: 'Enabled', uncorrectable: 3 })];
    expect(devicesOf(renderSmiLog({ gpus }))[0]).toMatchObject({ mig: 'pending', uncorrectedErrors: 3 });
  });

  it('is of no GPU where there is none', () => {
    expect(devicesOf(renderSmiLog({ gpus: [] }))).toEqual([]);
  });

  it.each([
    ['an error message', 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'],
    ['nothing', ''],
    ['half of it', renderSmiLog({ gpus: [h100(0)] }).slice(0, 700)],
    ['another document', '<?xml version="1.0"?><html/>'],
    ['fewer GPUs than it counts', renderSmiLog({ gpus: [h100(0)], attached: 2 })],
    ['one UUID twice', renderSmiLog({ gpus: [h100(0), h100(0, { bus: '00000000:99:00.0' })] })],
    ['an entity', renderSmiLog({ gpus: [] }).replace('v12.dtd"', 'v12.dtd" [<!ENTITY a "b">]')],
    ['another document type', renderSmiLog({ gpus: [] }).replace('nvsmi_device_v12.dtd', '/etc/passwd')],
    ['too much of it', `<nvidia_smi_log>${' '.repeat(MAX_SMI_BYTES)}</nvidia_smi_log>`],
  ])('is not believed if it is %s', (_, log) => {
    expect(parseSmi(log).kind).toBe('garbled');
  });

  it('survives any text, and any log that was cut or changed', () => {
    const log = renderSmiLog({ gpus: [h100(0), rtx4090(1)] });
    fc.assert(fc.property(fc.string(), (text) => void parseSmi(text)));
    fc.assert(
      fc.property(fc.nat(log.length), fc.nat(40), fc.string({ maxLength: 20 }), (at, removed, put) => {
        const reading = parseSmi(log.slice(0, at) + put + log.slice(at + removed));
        if (reading.kind === 'read') expect(reading.snapshot.devices.length).toBeLessThanOrEqual(64);
      }),
    );
  });

  /** Programs choose what their processes are called, and nothing says that the tool escapes it. */
  it('adds no GPU, and hides no process of another, whatever a process on one is called', () => {
    const forged = `x</process_name></process_info></processes></gpu><gpu id="00000000:AA:00.0"><uuid>GPU-99999999-0</uuid>`;
    const pieces = [
      '</gpu>',
      '<gpu id="00000000:AA:00.0">',
      '</processes>',
      '<processes>',
      '</process_info>',
      '<!--',
      'x',
    ];
    const names = fc.oneof(
      fc.constant(forged),
      fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((p) => p.join('')),
    );
    fc.assert(
      fc.property(names, (name) => {
        const gpus = [h100(0, { processes: [{ pid: 1, name }] }), h100(1, { processes: [{ pid: 2 }] })];
        const reading = parseSmi(renderSmiLog({ gpus }));
        if (reading.kind === 'garbled') return;
        expect(reading.snapshot.devices.map(({ uuid }) => uuid)).toEqual(gpus.map(({ uuid }) => uuid));
        expect(reading.snapshot.devices[1]?.processes).toEqual([{ pid: 2, isCompute: true, gpuInstance: null }]);
      }),
    );
  });
});

describe('a list of slices', () => {
  it('survives any text', () => {
    fc.assert(fc.property(fc.string(), (text) => parseSliceList(text).size === 0));
    expect(parseSliceList('  MIG 1g.5gb Device 0: (UUID: MIG-1)')).toEqual(new Map());
  });
});
