import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GpuRequest } from '../../../../src/domain/gpu.ts';
import type { GpuSnapshot, GpuUnit } from '../../../../src/sandbox/gpu/interface.ts';
import { listUnits, type UnitRules } from '../../../../src/sandbox/gpu/list-units.ts';
import { nameSlices } from '../../../../src/sandbox/gpu/parse-list.ts';
import { parseSmi } from '../../../../src/sandbox/gpu/parse-smi.ts';
import { chooseUnits, describeLack } from '../../../../src/scheduler/provider/gpus/choose-units.ts';
import { h100, renderSmiLog, rtx4090, type SmiGpu } from '../../../support/smi-log.ts';

const GIB = 2 ** 30;
const RULES: UnitRules = { sharedWithDesktop: false, only: [] };
const ANY: GpuRequest = { count: 1, minMemoryBytes: 0, models: [], mig: null };
const SLICE_NAMES = [1, 2, 3].map((n) => ({ uuid: `MIG-0000000${n}-5555-5555-5555-555555555555`, profile: '1g.10gb' }));

function snapshotOf(gpus: readonly SmiGpu[], change: Partial<GpuSnapshot> = {}): GpuSnapshot {
  const reading = parseSmi(renderSmiLog({ gpus }));
  if (reading.kind === 'garbled') throw new Error(reading.reason);
  const { driver, cuda, devices } = reading.snapshot;
  const named = devices.map((device) =>
    nameSlices(device, new Map([[device.uuid, SLICE_NAMES.slice(0, device.slices.length)]])),
  );
  const rest = { tool: 'answered', reason: null, confidential: null, untold: [] } as const;
  return { source: 'nvidia-smi', driver, cuda, devices: named, ...rest, ...change };
}

function unitsOf(gpus: readonly SmiGpu[], rules: UnitRules = RULES): readonly GpuUnit[] {
  return listUnits(snapshotOf(gpus), rules);
}

const obstacleOf = (gpu: SmiGpu, rules: UnitRules = RULES): string | null | undefined =>
  unitsOf([gpu], rules)[0]?.obstacle;

const CUT = h100(0, {
  mig: 'Enabled',
  slices: [1, 2, 3].map((gpuInstance) => ({ gpuInstance, memoryMebibytes: 9_984 })),
});

describe('units of GPUs', () => {
  it('are free if nothing is on them', () => {
    expect(obstacleOf(h100(0))).toBeNull();
    expect(obstacleOf(rtx4090(0))).toBeNull();
  });

  it.each<[string, SmiGpu, RegExp]>([
    ['a foreign process', h100(0, { processes: [{ pid: 4242 }] }), /process 4242 computes/],
    ['a process of no known type', h100(0, { processes: [{ pid: 7, type: '??' }] }), /process 7 computes/],
    ['a desktop', rtx4090(0, { processes: [{ pid: 12, type: 'G' }] }), /process 12 draws/],
    ['processes that cannot be seen', h100(0, { usedMebibytes: 40_000 }), /cannot be seen/],
    ['no list of processes', h100(0, { processes: null }), /which processes/],
    ['an error', h100(0, { utilisation: 'ERR!' }), /error \(utilization.gpu_util: ERR!\)/],
    ['a compute mode', h100(0, { computeMode: 'Prohibited' }), /Prohibited/],
    ['MIG that waits', h100(0, { pendingMig: 'Enabled' }), /next reset/],
  ])('are not while there is %s', (_, gpu, why) => expect(obstacleOf(gpu)).toMatch(why));

  it('are lent beside a desktop where the operator says so, but not beside a computing program', () => {
    const rules = { ...RULES, sharedWithDesktop: true };
    expect(obstacleOf(rtx4090(0, { processes: [{ pid: 12, type: 'G' }] }), rules)).toBeNull();
    expect(obstacleOf(rtx4090(0, { processes: [{ pid: 12, type: 'C+G' }] }), rules)).toMatch(/computes/);
  });

  it('are not free where nobody can say whether they are', () => {
    const [unit] = listUnits(snapshotOf([h100(0)], { source: 'driver-files', reason: 'it hangs' }), RULES);
    expect(unit?.obstacle).toBe('nobody can say whether it is in use (it hangs)');
  });

  it('are slices where a GPU is cut, each busy by itself', () => {
    const units = unitsOf([{ ...CUT, processes: [{ pid: 9, gpuInstance: 2 }] }]);
    expect(units.map(({ uuid, mig, memoryBytes, obstacle }) => [uuid, mig, memoryBytes, obstacle])).toEqual([
      [SLICE_NAMES[0]?.uuid, '1g.10gb', 9_984 * 2 ** 20, null],
      [SLICE_NAMES[1]?.uuid, '1g.10gb', 9_984 * 2 ** 20, 'process 9 computes on it'],
      [SLICE_NAMES[2]?.uuid, '1g.10gb', 9_984 * 2 ** 20, null],
    ]);
  });

  it('are none where MIG is on and nothing was cut', () => {
    expect(unitsOf([h100(0, { mig: 'Enabled' })])).toEqual([]);
  });

  it('are those alone that the operator names', () => {
    const only = [h100(1).uuid];
    expect(unitsOf([h100(0), h100(1)], { ...RULES, only }).map(({ uuid }) => uuid)).toEqual(only);
    expect(unitsOf([CUT], { ...RULES, only: [CUT.uuid] })).toHaveLength(3);
    expect(unitsOf([CUT], { ...RULES, only: [SLICE_NAMES[1]?.uuid ?? ''] })).toHaveLength(1);
  });
});

describe('a choice of units', () => {
  it('takes the smallest that will do, all of one model', () => {
    const units = unitsOf([h100(0), rtx4090(1), h100(2)]);
    expect(chooseUnits(ANY, units, new Set())?.map(({ uuid }) => uuid)).toEqual([rtx4090(1).uuid]);
    expect(chooseUnits({ ...ANY, count: 2 }, units, new Set())?.map(({ uuid }) => uuid)).toEqual([
      h100(0).uuid,
      h100(2).uuid,
    ]);
    expect(chooseUnits({ ...ANY, count: 3 }, units, new Set())).toBeNull();
    expect(chooseUnits({ ...ANY, minMemoryBytes: 40 * GIB }, units, new Set())?.[0]?.uuid).toBe(h100(0).uuid);
  });

  it('gives neither a whole GPU of which a slice is leased, nor a slice of one that is leased whole', () => {
    const cut = unitsOf([CUT]);
    expect(chooseUnits({ ...ANY, mig: '1g.10gb' }, cut, new Set([CUT.uuid]))).toBeNull();
    const joined = unitsOf([h100(0)]).map((unit) => ({ ...unit, device: cut[0]?.device ?? unit.device }));
    expect(chooseUnits(ANY, joined, new Set([SLICE_NAMES[0]?.uuid ?? '']))).toBeNull();
  });

  it('says in figures why it takes none', () => {
    const units = unitsOf([h100(0), h100(1, { processes: [{ pid: 5 }] })]);
    expect(describeLack({ ...ANY, count: 2 }, units, new Set([h100(0).uuid]))).toBe(
      '2 of one model asked for; of 2 such GPUs 1 are leased or promised; of another one: process 5 computes on it',
    );
    expect(describeLack({ ...ANY, models: ['t4'] }, units, new Set())).toBe('1 asked for, it has none of such GPUs');
  });

  it('never takes what is held, busy or not asked for, and takes as many as asked or nothing', () => {
    const gpus = fc.array(fc.tuple(fc.boolean(), fc.boolean()), { maxLength: 8 });
    fc.assert(
      fc.property(gpus, fc.integer({ min: 1, max: 4 }), fc.array(fc.nat(7)), (kinds, count, taken) => {
        const units = unitsOf(
          kinds.map(([isBig, isBusy], index) => {
            const processes = isBusy ? [{ pid: 1 }] : [];
            return isBig ? h100(index, { processes }) : rtx4090(index, { processes });
          }),
        );
        const held = new Set(taken.map((index) => h100(index).uuid));
        const chosen = chooseUnits({ ...ANY, count }, units, held);
        const free = units.filter(({ uuid, obstacle }) => !held.has(uuid) && obstacle === null);
        const most = Math.max(0, ...[...Map.groupBy(free, ({ model }) => model).values()].map(({ length }) => length));
        expect(chosen?.length ?? 0).toBe(most >= count ? count : 0);
        expect(new Set(chosen?.map(({ uuid }) => uuid)).size).toBe(chosen?.length ?? 0);
        for (const unit of chosen ?? []) expect(free).toContain(unit);
      }),
    );
  });
});
