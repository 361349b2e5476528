import { describe, expect, it } from 'vitest';
import { instantiateInstrumented } from '../../support/instrumented.ts';

function fuelOf(wat: string, name: string, ...operands: readonly unknown[]): number {
  const instance = instantiateInstrumented(wat);
  instance.call(name, ...operands);
  return Number(1_000_000n - instance.fuelLeft());
}

describe('fuel', () => {
  it('counts every instruction of straight code once', () => {
    expect(fuelOf('(module (func (export "f") (result i32) i32.const 1 i32.const 2 i32.add))', 'f')).toBe(3);
  });

  it('counts only the arm of an if that runs', () => {
    const wat = `(module (func (export "f") (param i32) (result i32)
      local.get 0 if (result i32) i32.const 1 else i32.const 1 i32.const 2 i32.const 3 drop drop end))`;
    expect(fuelOf(wat, 'f', 1)).toBe(3);
    expect(fuelOf(wat, 'f', 0)).toBe(7);
  });

  it('counts what follows a taken branch not, and what follows an untaken one', () => {
    const wat = `(module (func (export "f") (param i32)
      block local.get 0 br_if 0 nop nop nop end nop))`;
    expect(fuelOf(wat, 'f', 1)).toBe(3);
    expect(fuelOf(wat, 'f', 0)).toBe(6);
  });

  it('counts each pass of a loop', () => {
    const wat = `(module (func (export "f") (param i32)
      loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end))`;
    expect(fuelOf(wat, 'f', 1)).toBe(5);
    expect(fuelOf(wat, 'f', 100)).toBe(500);
  });

  it('counts callees, also from inside a loop that caches the fuel', () => {
    const wat = `(module
      (func $leaf nop nop)
      (func $looping (param i32) loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end)
      (func (export "f") (param i32)
        loop call $leaf i32.const 3 call $looping local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end call $leaf))`;
    expect(fuelOf(wat, 'f', 10)).toBe(10 * (1 + 2 + 2 + 15 + 5) + 3);
  });

  it('counts early returns, br_table and nested blocks', () => {
    const wat = `(module (func (export "f") (param i32) (result i32)
      block block block local.get 0 br_table 0 1 2 end i32.const 10 return end i32.const 20 return end i32.const 30))`;
    for (const [operand, result] of [
      [0, 10],
      [1, 20],
      [2, 30],
      [9, 30],
    ] as const) {
      const instance = instantiateInstrumented(wat);
      expect(instance.call('f', operand)).toBe(result);
      expect(1_000_000n - instance.fuelLeft()).toBe(operand < 2 ? 4n : 3n);
    }
  });

  it('charges bulk operations by their length and growth by its pages', () => {
    const fill = '(module (memory 2) (func (export "f") (param i32) i32.const 0 i32.const 1 local.get 0 memory.fill))';
    expect(fuelOf(fill, 'f', 80_000) - fuelOf(fill, 'f', 0)).toBe(10_000);
    const grow = '(module (memory 0 9) (func (export "f") (param i32) (result i32) local.get 0 memory.grow))';
    expect(fuelOf(grow, 'f', 3) - fuelOf(grow, 'f', 0)).toBe(3 * 256);
    const table = `(module (table 10 20 funcref) (func (export "f") (param i32)
      i32.const 0 ref.null func local.get 0 table.fill 0))`;
    expect(fuelOf(table, 'f', 7) - fuelOf(table, 'f', 0)).toBe(7);
  });

  it.each([
    ['a loop', '(func (export "f") loop br 0 end)'],
    ['a loop whose head costs nothing', '(func (export "f") loop loop nop br 1 end end)'],
    [
      'recursion',
      '(func $f (export "f") (param i32) (result i32) local.get 0 call $g) (func $g (param i32) (result i32) i32.const 0 if (result i32) i32.const 0 else i32.const 0 end loop br 0 end)',
    ],
    [
      'a bulk operation',
      '(memory 1) (func (export "f") loop i32.const 0 i32.const 0 i32.const 65536 memory.fill br 0 end)',
    ],
  ])('stops %s when it is spent', (_what, code) => {
    const instance = instantiateInstrumented(`(module ${code})`);
    expect(() => instance.call('f', 0)).toThrow(WebAssembly.RuntimeError);
    expect(instance.fuelLeft()).toBeLessThan(0n);
    expect(instance.fuelLeft()).toBeGreaterThan(-20_000n);
  });

  it('is the same whether it is spent in one go or watched', () => {
    const wat = '(module (func (export "f") (param i32) loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end))';
    const instance = instantiateInstrumented(wat);
    instance.setFuel(500n);
    instance.call('f', 100);
    expect(instance.fuelLeft()).toBe(0n);
    instance.setFuel(494n);
    expect(() => instance.call('f', 100)).toThrow('unreachable');
  });
});

describe('stack height', () => {
  const recursion =
    '(module (func $f (export "f") (param i32) (result i32) local.get 0 i32.eqz if (result i32) i32.const 7 else local.get 0 i32.const 1 i32.sub call $f end))';

  it('is given back on every way out', () => {
    const wat = `(module
      (func $g (param i32) (result i32) local.get 0 if i32.const 1 return end
        block (result i32) i32.const 2 local.get 0 br_if 0 br 1 end)
      (func (export "f") (result i32) i32.const 0 call $g i32.const 1 call $g i32.add)
      (func (export "pair") (param i32) (result i32 i64) i32.const 0 call $g i64.const 5 local.get 0 br_if 0))`;
    const instance = instantiateInstrumented(wat);
    const before = instance.stackLeft();
    expect(instance.call('f')).toBe(3);
    expect(instance.call('pair', 0)).toEqual([2, 5n]);
    expect(instance.call('pair', 1)).toEqual([2, 5n]);
    expect(instance.stackLeft()).toBe(before);
  });

  it('traps beyond the limit and says so in its global', () => {
    const instance = instantiateInstrumented(recursion);
    instance.setStack(10_000);
    expect(instance.call('f', 500)).toBe(7);
    expect(() => instance.call('f', 1000)).toThrow('unreachable');
    expect(instance.stackLeft()).toBeLessThan(0);
  });

  it('charges wide frames more', () => {
    const locals = '(local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)';
    const deepest = (wat: string): number => {
      let depth = 0;
      const instance = instantiateInstrumented(wat, { m: { count: () => depth++ } });
      expect(() => instance.call('f')).toThrow();
      return depth;
    };
    const narrow = deepest('(module (import "m" "count" (func $c)) (func $f (export "f") call $c call $f))');
    const wide = deepest(`(module (import "m" "count" (func $c)) (func $f (export "f") ${locals} call $c call $f))`);
    expect(narrow).toBeGreaterThan(wide * 2);
  });
});
