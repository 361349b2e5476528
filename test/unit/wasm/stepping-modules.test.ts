import { describe, expect, it } from 'vitest';
import { prepareProgram } from '../../../src/wasm/runtime/prepare-program.ts';
import { runWat } from '../../support/program.ts';
import { buildSteppingModule } from '../../support/stepping-modules.ts';

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);
const inputs = [{ path: '/input', bytes: new Uint8Array(100).fill(9) }];
const limits = { inputs, fuel: 1e9, maxPages: 64, logBytes: 10_000_000, outputBytes: 10_000_000 };

describe('random stepping modules', () => {
  it.each(SEEDS)('seed %i is accepted, comes to its end after its steps, and repeats', (seed) => {
    const { wat, bytes, steps } = buildSteppingModule(seed);
    const first = runWat('fogproof', wat, limits);
    expect(first).toMatchObject({ outcome: { kind: 'completed' }, steps });
    expect(runWat('fogproof', wat, limits)).toEqual(first);
    expect(prepareProgram(bytes, { abi: 'fogproof', maxPages: 64 }).instrumented.mutableGlobals.length).toBeGreaterThan(
      4,
    );
    expect(buildSteppingModule(seed).bytes).toEqual(bytes);
  });

  it('between them they end in every way, grow, and use every host function', () => {
    const modules = SEEDS.map((seed) => buildSteppingModule(seed, { endings: 'any' }));
    const runs = modules.map(({ wat }) => runWat('fogproof', wat, limits));
    expect(new Set(runs.map(({ outcome }) => ('code' in outcome ? outcome.code : outcome.kind)))).toEqual(
      new Set(['completed', 'TRAP', 'STEP_FAILED']),
    );
    expect(runs.some(({ memoryBytes }, index) => memoryBytes === (modules[index]?.maxPages ?? 0) * 65_536)).toBe(true);
    expect(runs.some(({ logs }) => logs.length > 0)).toBe(true);
    expect(runs.some(({ metrics }) => metrics.length > 0)).toBe(true);
    expect(runs.some(({ outputs }) => (outputs[0]?.bytes.length ?? 0) > 0)).toBe(true);
  });
});
