import { describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import { nodeConfigSchema } from '../../../src/config/schema.ts';
import type { TeeKind } from '../../../src/domain/capability.ts';
import { composeRecord } from '../../../src/node/host-claims.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';
import { ScriptedGpuExecutor } from '../../support/provider-gpus.ts';

const HOST = { cpus: 2, memoryBytes: 2 ** 33, diskBytes: 2 ** 40 };
const config = nodeConfigSchema.parse({ ...computeDefaults('/home', HOST), home: '/home', socket: '/s' });
const host = { cpuCores: 2, memoryBytes: 1, diskBytes: 1, gpus: [] };
const classesOf = (teeKind: TeeKind | null, isolation: readonly 'process'[] = ['process']) =>
  composeRecord(config, host, { executors: [new ScriptedExecutor(isolation)], teeKind }).capabilities;

describe('what a node says of itself', () => {
  it('has the class tee if it can show evidence, and none at all if nothing runs there', () => {
    expect(classesOf(null)).toEqual(['cpu']);
    expect(classesOf('sev-snp')).toEqual(['cpu', 'tee']);
    expect(classesOf('sev-snp', [])).toEqual([]);
  });

  it('has classes of GPUs where it lends them, and an executor that can give them', () => {
    const lending = (
      model: string,
      change: Partial<typeof config.provide.gpus> = {},
      executor = new ScriptedGpuExecutor(),
    ) =>
      composeRecord(
        { ...config, provide: { ...config.provide, gpus: { ...config.provide.gpus, ...change } } },
        { ...host, gpus: [{ model, memoryBytes: 1, driver: '550.54.15' }] },
        { executors: [executor], teeKind: 'sev-snp' },
      ).capabilities;
    expect(lending('NVIDIA H100 PCIe')).toEqual(['cpu', 'gpu-consumer', 'gpu-datacentre', 'tee']);
    expect(lending('NVIDIA GeForce RTX 4090')).toEqual(['cpu', 'gpu-consumer', 'tee']);
    expect(lending('NVIDIA H100 PCIe', { enabled: false })).toEqual(['cpu', 'tee']);
    const plain = { executors: [new ScriptedExecutor()], teeKind: null };
    const gpus = [{ model: 'NVIDIA H100 PCIe', memoryBytes: 1, driver: '550.54.15' }];
    expect(composeRecord(config, { ...host, gpus }, plain).capabilities).toEqual(['cpu']);
  });
});
