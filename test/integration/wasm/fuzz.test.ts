import { afterAll, describe, expect, it } from 'vitest';
import { Comparison, type Verdict } from '../../../scripts/fuzz-wasm/compare.ts';
import { ModuleGenerator } from '../../../scripts/fuzz-wasm/generate.ts';
import { TIERS, TierProcess } from '../../../scripts/fuzz-wasm/tier-process.ts';
import { instrument } from '../../../src/wasm/instrument/instrument.ts';
import { assembleWat } from '../../support/wat.ts';

/** A few of each recipe; many more: npm run fuzz:wasm. */
const SEEDS = Array.from({ length: 12 }, (_, index) => 4 + index);

const generator = new ModuleGenerator();
const tiers = TIERS.map((tier) => new TierProcess(tier));
const comparison = new Comparison({ generator, tiers });
afterAll(async () => {
  await Promise.all([generator, ...tiers].map((part) => part[Symbol.asyncDispose]()));
});

describe('random modules, plain and instrumented, under every compiler tier', () => {
  it('give the same results, traps, memory and globals, for the same fuel', async () => {
    const verdicts: Verdict[] = [];
    for (const seed of SEEDS) {
      const verdict = await comparison.run(seed);
      expect(verdict.kind, `seed ${seed}: ${JSON.stringify(verdict, (_key, value) => String(value))}`).not.toBe(
        'differs',
      );
      verdicts.push(verdict);
    }
    const same = verdicts.flatMap((verdict) => (verdict.kind === 'same' ? [verdict] : []));
    expect(same.length).toBeGreaterThan(7);
    expect(same.some(({ traps }) => traps > 0)).toBe(true);
    expect(same.some(({ fuel }) => fuel > 100_000n)).toBe(true);
  });

  const module = (code: string, state = 'i32.const 0') =>
    assembleWat(`(module
    (import "fuzzing-support" "log-i32" (func $log (param i32)))
    (memory (export "state:memory:0") 1) (global (export "state:global:0") (mut i32) (i32.const 0))
    (func (export "f") (param i32) (result i32) ${state} global.set 0 ${code}))`);
  const base = module('local.get 0 i32.const 3 i32.mul');

  it.each([
    ['a result', module('local.get 0 i32.const 5 i32.mul'), /^call \d/],
    ['a trap', module('unreachable'), 'unreachable'],
    ['memory', module('i32.const 8 i32.const 1 i32.store local.get 0 i32.const 3 i32.mul'), 'memory'],
    ['a global', module('local.get 0 i32.const 3 i32.mul', 'i32.const 9'), 'state'],
    ['what the host is told', module('i32.const 1 call $log local.get 0 i32.const 3 i32.mul'), 'host'],
  ])('would be seen to differ in %s', async (_name, plain, what) => {
    const { bytes: instrumented } = instrument(base, { maxPages: 16, isStepping: false });
    const at = { seed: 1, hangLimit: 100 };
    expect(await comparison.compare({ plain: base, instrumented }, at)).toMatchObject({ kind: 'same', traps: 0 });
    const verdict = await comparison.compare({ plain, instrumented }, at);
    expect(verdict).toMatchObject({ kind: 'differs', what: expect.stringMatching(what) });
  });
});
