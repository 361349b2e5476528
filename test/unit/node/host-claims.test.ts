import { describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import { nodeConfigSchema } from '../../../src/config/schema.ts';
import type { TeeKind } from '../../../src/domain/capability.ts';
import { composeRecord } from '../../../src/node/host-claims.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';

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
});
