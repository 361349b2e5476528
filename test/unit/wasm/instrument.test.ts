import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WasmError } from '../../../src/wasm/errors.ts';
import { type InstrumentedModule, instrument } from '../../../src/wasm/instrument/instrument.ts';
import { assembleWat } from '../../support/wat.ts';

const OPTIONS = { maxPages: 16, isStepping: false };
const KITCHEN_SINK = readFileSync(new URL('./kitchen-sink.wat', import.meta.url), 'utf8');

function refusalOf(bytes: Uint8Array, options = OPTIONS): unknown {
  try {
    instrument(bytes, options);
    return null;
  } catch (error) {
    return error instanceof WasmError ? error.info : error;
  }
}

const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
const raw = (...sections: number[][]): Uint8Array =>
  new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
/** One function () -> () with this code, behind these sections. */
const withCode = (code: readonly number[], ...before: number[][]): Uint8Array =>
  raw(section(1, 1, 0x60, 0, 0), section(3, 1, 0), ...before, section(10, 1, code.length + 2, 0, ...code, 0x0b));

describe('instrument', () => {
  it('gives the bytes that replicas agree on', () => {
    const { bytes } = instrument(assembleWat(KITCHEN_SINK), OPTIONS);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      'b4a8c53e4ae710e014be247917bb40bdb7313f24956872f6d7d4334ef2546ab3',
    );
  });

  it('is deterministic and depends on the memory limit', () => {
    const module = assembleWat(KITCHEN_SINK);
    expect(instrument(module, OPTIONS).bytes).toEqual(instrument(module, OPTIONS).bytes);
    expect(instrument(module, OPTIONS).bytes).not.toEqual(instrument(module, { ...OPTIONS, maxPages: 7 }).bytes);
  });

  it('drops custom sections and names, so that they do not change the result', () => {
    const named = raw(section(0, 1, 0x78, 1, 2, 3), section(1, 1, 0x60, 0, 0));
    expect(instrument(named, OPTIONS).bytes).toEqual(instrument(raw(section(1, 1, 0x60, 0, 0)), OPTIONS).bytes);
  });

  it('exports mutable globals under reserved names and turns start into an export', () => {
    const module = instrument(
      assembleWat('(module (global i32 (i32.const 1)) (global (mut i64) (i64.const 2)) (func $s) (start $s))'),
      OPTIONS,
    );
    expect(module.mutableGlobals).toEqual([{ index: 1, type: 0x7e }]);
    expect(module.hasStart).toBe(true);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes));
    expect(Object.keys(exports).sort()).toEqual([
      'fogproof:fuel',
      'fogproof:global:1',
      'fogproof:stack',
      'fogproof:start',
    ]);
  });

  it('grows memory up to the limit of module and job and no further', () => {
    const grown = (memory: string, maxPages: number): unknown[] => {
      const wat = `(module (memory ${memory}) (func (export "f") (param i32) (result i32) local.get 0 memory.grow)
        (func (export "size") (result i32) memory.size))`;
      const { bytes } = instrument(assembleWat(wat), { ...OPTIONS, maxPages });
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
      (exports['fogproof:fuel'] as WebAssembly.Global).value = 10n ** 9n;
      const grow = exports['f'] as (pages: number) => number;
      return [grow(1), grow(-1), grow(2), grow(1), (exports['size'] as () => number)()];
    };
    expect(grown('1', 4)).toEqual([1, -1, 2, -1, 4]);
    expect(grown('1 3', 9)).toEqual([1, -1, -1, 2, 3]);
    expect(grown('4', 4)).toEqual([-1, -1, -1, -1, 4]);
  });

  it('refuses a module that begins with more memory than the job allows', () => {
    expect(refusalOf(assembleWat('(module (memory 17))'))).toEqual({
      code: 'WASM_MEMORY_LIMIT',
      pages: 17,
      limitPages: 16,
    });
  });

  it('refuses reserved export names', () => {
    const wat = '(module (func (export "fogproof:fuel")))';
    expect(refusalOf(assembleWat(wat))).toMatchObject({ code: 'WASM_RESERVED_NAME' });
  });

  it.each([
    ['threads and atomic instructions', withCode([0xfe, 0x03, 0])],
    ['shared memory (threads)', raw(section(5, 1, 3, 1, 2))],
    ['64-bit memory (memory64)', raw(section(5, 1, 4, 1))],
    ['more than one memory', raw(section(5, 2, 0, 1, 0, 1))],
    ['more than one memory', withCode([0x41, 0, 0x28, 0x40, 1, 0, 0x1a], section(5, 1, 0, 1))],
    ['relaxed SIMD', withCode([0xfd, 0x80, 0x02])],
    ['tail calls', withCode([0x12, 0])],
    ['exception handling', withCode([0x08, 0])],
    ['exception handling', raw(section(1, 1, 0x60, 0, 0), section(13, 1, 0, 0))],
    ['garbage-collected types', raw(section(1, 1, 0x5f, 0))],
    ['garbage-collected types', withCode([0xfb, 0])],
    ['typed function references', withCode([0x14, 0])],
    ['the component model', new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0])],
  ])('refuses %s by name', (feature, bytes) => {
    expect(refusalOf(bytes)).toEqual({ code: 'WASM_UNSUPPORTED', feature });
  });

  it.each([
    ['memory', '(import "fogproof" "m" (memory 1))'],
    ['table', '(import "fogproof" "t" (table 1 funcref))'],
    ['global', '(import "fogproof" "g" (global i32))'],
  ])('refuses an imported %s', (_kind, text) => {
    expect(refusalOf(assembleWat(`(module ${text})`))).toMatchObject({
      code: 'WASM_IMPORT_REFUSED',
      reason: 'not-a-function',
    });
  });

  it.each([
    ['the fuel counter', [0x42, 0, 0x24, 0]],
    ['the stack counter', [0x41, 0, 0x24, 1]],
    ['a helper function', [0x41, 0, 0x10, 1, 0x1a]],
    ['the block around the body', [0x0c, 1]],
    ['an added local', [0x20, 0, 0x1a]],
  ])('refuses a module that reaches for %s', (_what, code) => {
    expect(refusalOf(withCode(code))).toMatchObject({ code: 'WASM_MALFORMED' });
  });

  it.each([
    [
      'an element segment',
      raw(
        section(1, 1, 0x60, 0, 0),
        section(3, 1, 0),
        section(4, 1, 0x70, 0, 1),
        section(9, 1, 0, 0x41, 0, 0x0b, 1, 1),
        section(10, 1, 2, 0, 0x0b),
      ),
    ],
    [
      'an export',
      raw(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(7, 1, 1, 0x61, 0, 1), section(10, 1, 2, 0, 0x0b)),
    ],
    ['the start function', raw(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(8, 1), section(10, 1, 2, 0, 0x0b))],
  ])('refuses a helper function in %s', (_where, bytes) => {
    expect(['WASM_INVALID', 'WASM_MALFORMED']).toContain((refusalOf(bytes) as { code: string }).code);
  });

  it.each(['table.set', 'table.grow', 'table.fill', 'table.copy', 'memory.init', 'data.drop'])(
    'refuses %s in a stepping module and allows it elsewhere',
    (name) => {
      const code: Readonly<Record<string, string>> = {
        'table.set': 'i32.const 0 ref.null func table.set 0',
        'table.grow': 'ref.null func i32.const 1 table.grow 0 drop',
        'table.fill': 'i32.const 0 ref.null func i32.const 0 table.fill 0',
        'table.copy': 'i32.const 0 i32.const 0 i32.const 0 table.copy',
        'memory.init': 'i32.const 0 i32.const 0 i32.const 0 memory.init 0',
        'data.drop': 'data.drop 0',
      };
      const wat = `(module (memory 1) (table 1 funcref) (data "x") (func ${code[name]}))`;
      expect(refusalOf(assembleWat(wat))).toBeNull();
      expect(refusalOf(assembleWat(wat), { ...OPTIONS, isStepping: true })).toMatchObject({ code: 'WASM_UNSUPPORTED' });
    },
  );

  it('bounds what all tables may hold', () => {
    const wat = '(module (table 1000000 funcref) (table 100000 funcref))';
    expect(refusalOf(assembleWat(wat))).toMatchObject({ code: 'WASM_TOO_LARGE' });
  });
});

describe('instrument with hostile bytes', () => {
  const accept = (bytes: Uint8Array): InstrumentedModule | null => {
    try {
      return instrument(bytes, OPTIONS);
    } catch (error) {
      if (error instanceof WasmError) return null;
      throw error;
    }
  };

  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        expect(accept(tail)).toBeNull();
        accept(raw([...tail]));
      }),
      { numRuns: 300 },
    );
  });

  it('gives a valid module or none for every mutation of a module', () => {
    const original = assembleWat(KITCHEN_SINK);
    const mutation = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const bytes = original.slice();
        for (const [at, value] of mutations) bytes[at] = value;
        const module = accept(bytes);
        if (module === null) return;
        accepted++;
        expect(WebAssembly.validate(module.bytes)).toBe(true);
      }),
      { numRuns: 1500 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});
