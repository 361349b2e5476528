import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../../src/wasm/binary/byte-writer.ts';
import { I32 } from '../../../../src/wasm/binary/types.ts';
import { WasmError } from '../../../../src/wasm/errors.ts';
import { instrument } from '../../../../src/wasm/instrument/instrument.ts';
import { prepareProgram } from '../../../../src/wasm/runtime/prepare-program.ts';
import { assembleWat } from '../../../support/wat.ts';

const STATE = `(memory (export "memory") 1) (table 2 funcref) (elem $e func $f) (elem declare func $f)
  (data $d "x") (func $f)`;

function refusalOf(abi: 'fogproof' | 'wasi', text: string): unknown {
  const entries =
    abi === 'wasi'
      ? '(func (export "_start"))'
      : '(func (export "fogproof_init") (result i32) i32.const 0) (func (export "fogproof_step") (result i32) i32.const 1)';
  try {
    prepareProgram(assembleWat(`(module ${text} ${entries})`), { abi, maxPages: 16 });
    return null;
  } catch (error) {
    return error instanceof WasmError ? error.info : error;
  }
}

describe('state outside of memory and globals', () => {
  it.each([
    ['table.set', 'i32.const 0 ref.func $f table.set 0'],
    ['table.grow', 'ref.null func i32.const 1 table.grow 0 drop'],
    ['table.fill', 'i32.const 0 ref.null func i32.const 1 table.fill 0'],
    ['table.copy', 'i32.const 0 i32.const 0 i32.const 0 table.copy'],
    ['table.init', 'i32.const 0 i32.const 0 i32.const 0 table.init $e'],
    ['memory.init', 'i32.const 0 i32.const 0 i32.const 0 memory.init $d'],
    ['data.drop', 'data.drop $d'],
    ['elem.drop', 'elem.drop $e'],
  ])('is refused in stepping modules: %s', (_name, code) => {
    const text = `${STATE} (func ${code})`;
    expect(refusalOf('wasi', text)).toBeNull();
    const feature = 'changing tables or passive segments in a stepping module';
    expect(refusalOf('fogproof', text)).toEqual({ code: 'WASM_UNSUPPORTED', feature });
  });

  it.each(['v128', 'funcref', 'externref'])('is refused in stepping modules: a mutable global of type %s', (type) => {
    const initial = { v128: 'v128.const i64x2 0 0', funcref: 'ref.null func', externref: 'ref.null extern' }[type];
    const text = (declared: string): string => `${STATE} (global ${declared} (${initial}))`;
    expect(refusalOf('wasi', text(`(mut ${type})`))).toBeNull();
    expect(refusalOf('fogproof', text(type))).toBeNull();
    const feature = 'mutable globals of vector or reference type in a stepping module';
    expect(refusalOf('fogproof', text(`(mut ${type})`))).toEqual({ code: 'WASM_UNSUPPORTED', feature });
  });

  it.each([
    ['a memory', '(import "fogproof" "memory" (memory 1))'],
    ['a table', '(import "fogproof" "table" (table 1 funcref))'],
    ['a global', '(import "fogproof" "global" (global (mut i32)))'],
  ])('is refused: an import of %s', (_name, text) => {
    const refusal = { code: 'WASM_IMPORT_REFUSED', reason: 'not-a-function' };
    expect(refusalOf('fogproof', text)).toMatchObject(refusal);
  });

  it('is refused: a second memory', () => {
    expect(refusalOf('fogproof', '(memory (export "memory") 1) (memory 1)')).toEqual({
      code: 'WASM_UNSUPPORTED',
      feature: 'more than one memory',
    });
  });

  it('is refused: more globals than a snapshot holds', () => {
    const module = (globals: number): Uint8Array => {
      const section = new ByteWriter();
      section.u32(globals);
      for (let index = 0; index < globals; index++) section.u8(I32, 1, 0x41, 0, 0x0b);
      const bytes = new ByteWriter();
      bytes.u8(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 6);
      bytes.u32(section.length);
      bytes.bytes(section.view());
      return bytes.view();
    };
    const options = { maxPages: 1, isStepping: true };
    expect(instrument(module(65_536), options).mutableGlobals).toHaveLength(65_536);
    expect(instrument(module(65_537), { ...options, isStepping: false }).mutableGlobals).toHaveLength(65_537);
    expect(() => instrument(module(65_537), options)).toThrow(expect.objectContaining({ code: 'WASM_TOO_LARGE' }));
  });
});
