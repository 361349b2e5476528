import { prepareProgram } from '../../src/wasm/runtime/prepare-program.ts';
import type { ProgramTask } from '../../src/wasm/runtime/program-context.ts';
import { type ProgramResult, runProgram } from '../../src/wasm/runtime/run-program.ts';
import { assembleWat } from './wat.ts';

export interface ProgramRun extends ProgramResult {
  readonly logs: readonly string[];
  readonly metrics: readonly string[];
}

const DEFAULTS: ProgramTask = {
  arguments: [],
  environment: [],
  seed: new Uint8Array(32),
  inputs: [],
  fuel: 10_000_000,
  outputBytes: 1_000_000,
  logBytes: 10_000,
  checkpoints: null,
  resume: null,
};

/** Prepares and runs text as a program of an ABI. */
export function runWat(
  abi: 'wasi' | 'fogproof',
  wat: string,
  task: Partial<ProgramTask> & { readonly maxPages?: number } = {},
): ProgramRun {
  const prepared = prepareProgram(assembleWat(wat), { abi, maxPages: task.maxPages ?? 16 });
  const logs: string[] = [];
  const metrics: string[] = [];
  const result = runProgram(
    prepared,
    { ...DEFAULTS, ...task },
    {
      log: (stream, text) => logs.push(`${stream}: ${Buffer.from(text).toString('utf8')}`),
      metric: (step, name, value) => metrics.push(`${step} ${Buffer.from(name).toString('utf8')} ${value}`),
      tick: () => {},
      checkpoint: () => 'continue',
    },
  );
  return { ...result, logs, metrics };
}

/** A stepping module with all imports of the ABI; `init` and `step` are bodies that leave an i32. */
export function steppingWat(parts: { readonly init?: string; readonly step?: string; readonly rest?: string }): string {
  return `(module
    (import "fogproof" "input_count" (func $input_count (result i32)))
    (import "fogproof" "input_len" (func $input_len (param i32) (result i32)))
    (import "fogproof" "input_read" (func $input_read (param i32 i32 i32 i32) (result i32)))
    (import "fogproof" "output_write" (func $output_write (param i32 i32)))
    (import "fogproof" "log" (func $log (param i32 i32)))
    (import "fogproof" "metric" (func $metric (param i32 i32 f64)))
    (import "fogproof" "random" (func $random (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "hello world")
    ${parts.rest ?? ''}
    (func (export "fogproof_init") (result i32) ${parts.init ?? 'i32.const 0'})
    (func (export "fogproof_step") (result i32) ${parts.step ?? 'i32.const 1'}))`;
}
