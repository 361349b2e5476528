import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDaemonError } from '../../../src/lib/errors.ts';
import { INSTRUMENTER } from '../../../src/wasm/constants.ts';
import { guessAbi, inspectModule } from '../../../src/wasm/inspect/inspect-module.ts';
import type { AbiVerdict } from '../../../src/wasm/inspect/interface.ts';
import { type AbiName, prepareProgram } from '../../../src/wasm/runtime/prepare-program.ts';
import { steppingWat } from '../../support/program.ts';
import { buildSteppingModule } from '../../support/stepping-modules.ts';
import { assembleWat } from '../../support/wat.ts';

const LIMIT = { maxPages: 64 };
const KITCHEN_SINK = readFileSync(new URL('./kitchen-sink.wat', import.meta.url), 'utf8');
const NAMES: readonly AbiName[] = ['wasi', 'fogproof'];

const inspect = (wat: string, features: Record<string, boolean> = {}) =>
  inspectModule(assembleWat(wat, features), LIMIT).inspection;
const messages = (verdict: AbiVerdict) =>
  verdict.kind === 'refused' ? verdict.refusals.map(({ message }) => message) : [];

/** What a provider would say, and say first. */
function firstRefusal(bytes: Uint8Array, abi: AbiName): string | null {
  try {
    prepareProgram(bytes, { abi, ...LIMIT });
    return null;
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return error.message;
  }
}

function expectAgreement(bytes: Uint8Array): boolean {
  const { abis } = inspectModule(bytes, LIMIT).inspection;
  for (const abi of NAMES) {
    const first = firstRefusal(bytes, abi);
    if (first === null) expect(abis[abi].kind).toBe('accepted');
    else expect(messages(abis[abi])).toContain(first);
  }
  return NAMES.some((abi) => abis[abi].kind === 'accepted');
}

describe('inspecting a module', () => {
  it('that is accepted says what is in it and what was put in', () => {
    const { bytes, maxPages } = buildSteppingModule(3);
    const { inspection, instrumented } = inspectModule(bytes, LIMIT);
    expect(inspection).toMatchObject({
      sizeBytes: bytes.length,
      instrumenter: INSTRUMENTER,
      isStepping: true,
      hidden: [],
    });
    const { outline, abis } = inspection;
    expect(outline).toMatchObject({
      start: null,
      memory: { maxPages, reservedPages: maxPages },
      tables: [{ type: 'funcref', min: 4, max: 4 }],
      elementSegments: { active: 1, passive: 0, declared: 0 },
    });
    expect(outline?.dataSegments?.active).toBeGreaterThan(0);
    expect(outline?.imports).toContainEqual({
      module: 'fogproof',
      name: 'metric',
      kind: 'function',
      signature: '(i32, i32, f64) -> ()',
    });
    expect(outline?.mutableGlobals[0]).toEqual({ index: 0, type: 'i32' });
    expect(abis.fogproof).toMatchObject({ kind: 'accepted', sizeBytes: instrumented.fogproof?.bytes.length });
    if (abis.fogproof.kind !== 'accepted') return;
    expect(Math.min(...Object.values(abis.fogproof.inserted))).toBeGreaterThan(0);
    expect(abis.fogproof.addedPercent).toBeGreaterThan(10);
    expect(abis.wasi.kind).toBe('refused');
    expect(guessAbi(inspection)).toBe('fogproof');
  });

  it('counts what was put in', () => {
    const { abis } =
      inspect(`(module (memory (export "memory") 1) (func $leaf (result f32) (f32.div (f32.const 0) (f32.const 0)))
      (func (export "_start") (loop (f32.store (i32.const 0) (call $leaf)) (br_if 0 (i32.const 0)))))`);
    expect(abis.wasi).toMatchObject({
      inserted: { fuelCharges: 2, fuelChecks: 2, stackChecks: 1, canonicalNans: 1 },
    });
  });

  it('reserves the limit where the module declares no maximum', () => {
    expect(inspect(steppingWat({})).outline?.memory).toEqual({ minPages: 1, maxPages: null, reservedPages: 64 });
  });

  it('gives all reasons, with the functions and how often', () => {
    const { abis, hidden, isStepping } = inspect(`(module
      (import "env" "clock" (func (result i64))) (import "fogproof" "log" (func (param i32)))
      (memory 1) (table $t 2 funcref) (data $d "x") (elem $e func $a)
      (global (mut v128) (v128.const i64x2 0 0)) (global (mut funcref) (ref.null func))
      (func $a (export "fogproof_step") (result i32)
        (table.set $t (i32.const 0) (ref.null func)) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0))
      (func (data.drop $d) (elem.drop $e)))`);
    expect(isStepping).toBe(false);
    expect(hidden).toEqual([]);
    expect(abis.fogproof).toMatchObject({
      refusals: [
        { message: expect.stringContaining('mutable globals of vector or reference type') },
        {
          message: expect.stringContaining('changing tables or passive segments'),
          times: 4,
          places: ['function 2 (fogproof_step)', 'function 3'],
        },
        { message: expect.stringContaining("'env' 'clock' is refused: unknown-module") },
        { message: expect.stringContaining("'fogproof' 'log' is refused: wrong-signature") },
        { message: expect.stringContaining("does not export 'memory'") },
        { message: expect.stringContaining("does not export 'fogproof_init'") },
      ],
    });
  });

  it('goes on behind imports and memories that are refused', () => {
    const { abis, outline, hidden } = inspect(
      `(module (import "env" "memory" (memory 1 2)) (import "env" "t" (table 1 funcref)) (import "env" "g" (global (mut i64)))
        (memory 1) (func (global.set 0 (i64.const 1)) (drop (i32.load (i32.const 0)))) (export "fogproof:x" (func 0)))`,
      { multi_memory: true },
    );
    expect(hidden).toEqual([]);
    expect(outline?.imports.map(({ kind }) => kind)).toEqual(['memory', 'table', 'global']);
    expect(messages(abis.wasi)).toEqual([
      "the import 'env' 'memory' is refused: not-a-function",
      "the import 'env' 't' is refused: not-a-function",
      "the import 'env' 'g' is refused: not-a-function",
      expect.stringContaining('more than one memory'),
      "the module exports the reserved name 'fogproof:x'",
      expect.stringContaining("does not export 'memory'"),
      expect.stringContaining("does not export '_start'"),
    ]);
  });

  it('says what it could not look at behind a proposal that it cannot read', () => {
    const { abis, hidden } = inspect(
      `(module (memory 1 1 shared) (func (export "a") (drop (i32.atomic.load (i32.const 0))) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))
        (data "x") (func (export "b") (data.drop 0)))`,
      { threads: true },
    );
    expect(hidden).toEqual(['the rest of function 0 (a)']);
    expect(messages(abis.fogproof).slice(0, 3)).toEqual([
      expect.stringContaining('shared memory (threads)'),
      expect.stringContaining('threads and atomic instructions'),
      expect.stringContaining('changing tables or passive segments'),
    ]);
  });

  it('hides everything behind a header that is none', () => {
    const { inspection } = inspectModule(new TextEncoder().encode('(module)'), LIMIT);
    expect(inspection).toMatchObject({ outline: null, hidden: ['everything else'], isStepping: false });
    expect(messages(inspection.abis.wasi)).toEqual([expect.stringContaining('not a WebAssembly module')]);
    expect(guessAbi(inspection)).toBeNull();
  });

  it('takes a module that was instrumented before', () => {
    const { bytes } = buildSteppingModule(5);
    const first = inspectModule(bytes, LIMIT);
    const again = inspectModule(bytes, { ...LIMIT, known: first.instrumented });
    expect(again.inspection).toEqual(first.inspection);
    expect(again.instrumented.fogproof).toBe(first.instrumented.fogproof);
  });
});

describe('inspecting hostile bytes', () => {
  it('never throws, and agrees with what a provider does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (tail, hasHeader) => {
        const bytes = new Uint8Array(hasHeader ? [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...tail] : tail);
        expectAgreement(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['a program of many instructions', assembleWat(KITCHEN_SINK), 0],
    // About 20 of 200 are.
    ['a stepping module', buildSteppingModule(11).bytes, 2],
  ])('agrees for every mutation of %s', (_name, original, least) => {
    const mutation = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const bytes = original.slice();
        for (const [at, value] of mutations) bytes[at] = value;
        if (expectAgreement(bytes)) accepted++;
      }),
      { numRuns: 200 },
    );
    expect(accepted).toBeGreaterThanOrEqual(least);
  });
});
