import { expect, it } from 'vitest';
import { computeStateLimit } from '../../../../src/scheduler/snapshots/state-limit.ts';

const resources = { memoryBytes: 2 ** 20, fuel: 1, wallTimeMs: 1, outputBytes: 2 ** 16, logBytes: 1 };

it('a snapshot is no larger than memory and output, or than the files of a program that reports rounds', () => {
  const sealing = 1.0025;
  expect(computeStateLimit({ resources })).toBe(Math.ceil((2 ** 20 + 2 ** 16) * sealing));
  const checkpoints = { schedule: { kind: 'rounds', every: 1 }, holder: null, sealed: true } as const;
  expect(computeStateLimit({ resources, checkpoints })).toBe(Math.ceil((2 ** 26 + 2 ** 16) * sealing));
});
