import { describe, expect, it } from 'vitest';
import { instantiateInstrumented } from '../../support/instrumented.ts';

const QUIET_32 = 0x7fc00000;
const QUIET_64 = 0x7ff8000000000000n;
const PAYLOAD_32 = '(f32.reinterpret_i32 (i32.const 0xffa12345))';
const PAYLOAD_64 = '(f64.reinterpret_i64 (i64.const 0xfff4123456789abc))';

const bits32 = (expression: string): number =>
  Number(
    instantiateInstrumented(`(module (func (export "f") (result i32) (i32.reinterpret_f32 ${expression})))`).call('f'),
  ) >>> 0;
const bits64 = (expression: string): bigint =>
  BigInt.asUintN(
    64,
    instantiateInstrumented(`(module (func (export "f") (result i64) (i64.reinterpret_f64 ${expression})))`).call(
      'f',
    ) as bigint,
  );

describe('NaN canonicalisation', () => {
  it.each(['add', 'sub', 'mul', 'div', 'min', 'max'])('f32.%s and f64.%s give the canonical NaN', (name) => {
    expect(bits32(`(f32.${name} ${PAYLOAD_32} (f32.const 1))`)).toBe(QUIET_32);
    expect(bits64(`(f64.${name} (f64.const 1) ${PAYLOAD_64})`)).toBe(QUIET_64);
  });

  it.each(['sqrt', 'ceil', 'floor', 'trunc', 'nearest'])('f32.%s and f64.%s give the canonical NaN', (name) => {
    expect(bits32(`(f32.${name} ${PAYLOAD_32})`)).toBe(QUIET_32);
    expect(bits64(`(f64.${name} ${PAYLOAD_64})`)).toBe(QUIET_64);
  });

  it('covers results that become NaN and conversions between widths', () => {
    expect(bits64('(f64.div (f64.const 0) (f64.const 0))')).toBe(QUIET_64);
    expect(bits32('(f32.sqrt (f32.const -1))')).toBe(QUIET_32);
    expect(bits32(`(f32.demote_f64 ${PAYLOAD_64})`)).toBe(QUIET_32);
    expect(bits64(`(f64.promote_f32 ${PAYLOAD_32})`)).toBe(QUIET_64);
  });

  it('leaves what the specification fixes bit by bit', () => {
    expect(bits32(`(f32.neg ${PAYLOAD_32})`)).toBe(0x7fa12345);
    expect(bits64(`(f64.abs ${PAYLOAD_64})`)).toBe(0x7ff4123456789abcn);
    expect(bits32(`(f32.copysign ${PAYLOAD_32} (f32.const 1))`)).toBe(0x7fa12345);
    expect(bits64('(f64.add (f64.const 1.5) (f64.const 2))')).toBe(0x400c000000000000n);
  });

  it.each([
    ['neg', '(f32.neg (f32.div (f32.const 0) (f32.const 0)))', 0xffc00000],
    ['copysign', '(f32.copysign (f32.const 1) (f32.div (f32.const 0) (f32.const 0)))', 0x3f800000],
    ['select', '(select (f32.div (f32.const 0) (f32.const 0)) (f32.const 1) (i32.const 1))', QUIET_32],
    ['a block', '(block (result f32) (br_if 0 (f32.div (f32.const 0) (f32.const 0)) (i32.const 1)))', QUIET_32],
    [
      'an if',
      '(if (result f32) (i32.const 1) (then (f32.div (f32.const 0) (f32.const 0))) (else (f32.const 1)))',
      QUIET_32,
    ],
  ])('sees a NaN that shows through %s', (_name, expression, expected) => {
    expect(bits32(expression)).toBe(expected);
  });

  it('sees a NaN that shows through locals, however far', () => {
    const wat = `(module (func (export "f") (result i64) (local f64 f64 f64)
      (local.set 0 (f64.div (f64.const 0) (f64.const 0)))
      (local.set 1 (f64.neg (local.tee 2 (local.get 0))))
      (i64.reinterpret_f64 (local.get 1))))`;
    expect(BigInt.asUintN(64, instantiateInstrumented(wat).call('f') as bigint)).toBe(QUIET_64 | (1n << 63n));
  });

  it('sees a NaN that shows in memory, in a global, in an operand and in a result', () => {
    const wat = `(module (memory 1) (global $g (mut f64) (f64.const 0))
      (func $id (param f64) (result f64) local.get 0)
      (func (export "memory") (result i64) (f64.store (i32.const 0) (f64.div (f64.const 0) (f64.const 0))) (i64.load (i32.const 0)))
      (func (export "global") (result i64) (global.set $g (f64.div (f64.const 0) (f64.const 0))) (i64.reinterpret_f64 (global.get $g)))
      (func (export "operand") (result i64) (i64.reinterpret_f64 (call $id (f64.div (f64.const 0) (f64.const 0)))))
      (func $made (result f64) (f64.div (f64.const 0) (f64.const 0)))
      (func (export "result") (result i64) (i64.reinterpret_f64 (call $made))))`;
    const instance = instantiateInstrumented(wat);
    for (const name of ['memory', 'global', 'operand', 'result']) {
      expect(BigInt.asUintN(64, instance.call(name) as bigint), name).toBe(QUIET_64);
    }
  });

  it('adds nothing where no bit can show', () => {
    const canonical = (code: string): number => {
      const { bytes } = instantiateInstrumented(
        `(module (memory 1) (func (export "f") (param f64 f64) (result i32) (local f64) ${code}))`,
      );
      return bytes.length;
    };
    const compared = canonical('(f64.lt (f64.add (f64.mul (local.get 0) (local.get 1)) (local.get 1)) (f64.const 1))');
    const plain = canonical('(f64.lt (local.get 0) (f64.const 1))');
    expect(compared - plain).toBeLessThan(10);
    const accumulated = canonical(
      `(local.set 2 (f64.add (local.get 2) (local.get 0))) (f64.lt (local.get 2) (f64.const 1))`,
    );
    expect(accumulated - plain).toBeLessThan(15);
  });
});

describe('NaN canonicalisation of vectors', () => {
  const lane = (expression: string): bigint =>
    BigInt.asUintN(
      64,
      instantiateInstrumented(`(module (func (export "f") (result i64) (i64x2.extract_lane 0 ${expression})))`).call(
        'f',
      ) as bigint,
    );
  const NAN_F32X4 = '(v128.const i32x4 0xffa12345 0xffa12345 0 0)';
  const NAN_F64X2 = '(v128.const i64x2 0xfff4123456789abc 0)';

  it.each(['add', 'sub', 'mul', 'div', 'min', 'max'])('f32x4.%s and f64x2.%s give canonical lanes', (name) => {
    expect(lane(`(f32x4.${name} ${NAN_F32X4} (v128.const f32x4 1 1 1 1))`)).toBe(0x7fc000007fc00000n);
    expect(lane(`(f64x2.${name} ${NAN_F64X2} (v128.const f64x2 1 1))`)).toBe(QUIET_64);
  });

  it.each(['sqrt', 'ceil', 'floor', 'trunc', 'nearest'])('f32x4.%s and f64x2.%s give canonical lanes', (name) => {
    expect(lane(`(f32x4.${name} ${NAN_F32X4})`)).toBe(0x7fc000007fc00000n);
    expect(lane(`(f64x2.${name} ${NAN_F64X2})`)).toBe(QUIET_64);
  });

  it('covers demote and promote, and keeps lanes that are numbers', () => {
    expect(lane(`(f64x2.promote_low_f32x4 ${NAN_F32X4})`)).toBe(QUIET_64);
    expect(lane(`(f32x4.demote_f64x2_zero ${NAN_F64X2})`)).toBe(0x7fc00000n);
    expect(lane('(f32x4.add (v128.const i32x4 0x7fa12345 0x3f800000 0 0) (v128.const f32x4 1 1 1 1))')).toBe(
      0x400000007fc00000n,
    );
  });

  it('does not take lanes of the other shape for NaNs that nobody sees', () => {
    // The low word of a 64-bit NaN is a number to f32x4: it has to be canonical before it is added.
    expect(lane(`(f32x4.add (f64x2.add ${NAN_F64X2} (v128.const f64x2 1 1)) (v128.const f32x4 1 1 1 1))`)).toBe(
      0x7fc000003f800000n,
    );
  });
});
