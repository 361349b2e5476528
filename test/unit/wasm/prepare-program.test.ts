import { describe, expect, it } from 'vitest';
import { WasmError } from '../../../src/wasm/errors.ts';
import { prepareProgram } from '../../../src/wasm/runtime/prepare-program.ts';
import { steppingWat } from '../../support/program.ts';
import { assembleWat } from '../../support/wat.ts';

function refusalOf(abi: 'wasi' | 'fogproof', wat: string): unknown {
  try {
    prepareProgram(assembleWat(wat), { abi, maxPages: 16 });
    return null;
  } catch (error) {
    return error instanceof WasmError ? error.info : error;
  }
}

describe('prepareProgram', () => {
  it('accepts every import of the ABI', () => {
    expect(refusalOf('fogproof', steppingWat({}))).toBeNull();
  });

  it.each([
    ['fogproof', '(import "env" "abort" (func))', 'unknown-module'],
    ['fogproof', '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))', 'unknown-module'],
    ['wasi', '(import "fogproof" "log" (func (param i32 i32)))', 'unknown-module'],
    ['fogproof', '(import "fogproof" "open" (func))', 'unknown-function'],
    ['fogproof', '(import "fogproof" "constructor" (func))', 'unknown-function'],
    ['fogproof', '(import "fogproof" "__proto__" (func))', 'unknown-function'],
    [
      'wasi',
      '(import "wasi_snapshot_preview1" "sock_open" (func (param i32 i32 i32) (result i32)))',
      'unknown-function',
    ],
    ['wasi', '(import "wasi_unstable" "proc_exit" (func (param i32)))', 'unknown-module'],
    ['fogproof', '(import "fogproof" "log" (func (param i32)))', 'wrong-signature'],
    [
      'wasi',
      '(import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i32 i32) (result i32)))',
      'wrong-signature',
    ],
  ] as const)('with ABI %s refuses %s: %s', (abi, text, reason) => {
    expect(refusalOf(abi, `(module ${text} (memory (export "memory") 1))`)).toMatchObject({
      code: 'WASM_IMPORT_REFUSED',
      reason,
    });
  });

  it.each([
    ['fogproof', '(memory 1)', 'memory'],
    [
      'fogproof',
      '(memory (export "memory") 1) (func (export "fogproof_step") (result i32) i32.const 1)',
      'fogproof_init',
    ],
    [
      'fogproof',
      '(memory (export "memory") 1) (func (export "fogproof_init") (result i32) i32.const 1)',
      'fogproof_step',
    ],
    ['fogproof', '(func (export "memory"))', 'memory'],
    ['wasi', '(memory (export "memory") 1) (func (export "_start") (param i32))', '_start'],
  ] as const)('with ABI %s refuses %s for want of %s', (abi, text, name) => {
    expect(refusalOf(abi, `(module ${text})`)).toMatchObject({ code: 'WASM_EXPORT_MISSING', name });
  });
});
