import { EXTERNREF, FUNCREF, type ParsedModule, V128 } from '../binary/types.ts';
import { MAX_MUTABLE_GLOBALS, MAX_TABLE_ENTRIES } from '../constants.ts';
import type { WasmErrorInfo } from '../errors.ts';

/** State that is neither in memory nor in a global whose bits can be read. */
const OUTSIDE: ReadonlySet<number> = new Set([V128, FUNCREF, EXTERNREF]);

/** What is wrong with a module as a whole; empty if nothing is. */
export function listInconsistencies(
  module: ParsedModule,
  options: { readonly maxPages: number; readonly isStepping: boolean },
): readonly WasmErrorInfo[] {
  const found: WasmErrorInfo[] = [];
  if (module.code.length !== module.functions.length) {
    found.push({ code: 'WASM_MALFORMED', offset: 0, reason: 'functions and code do not match' });
  }
  if (module.memory !== null && module.memory.min > options.maxPages) {
    found.push({ code: 'WASM_MEMORY_LIMIT', pages: module.memory.min, limitPages: options.maxPages });
  }
  const entries = module.tables.reduce((sum, table) => sum + table.min, 0);
  if (entries > MAX_TABLE_ENTRIES) {
    found.push({ code: 'WASM_TOO_LARGE', what: 'table entries', value: entries, limit: MAX_TABLE_ENTRIES });
  }
  return options.isStepping ? [...found, ...listOutsideState(module)] : found;
}

function listOutsideState(module: ParsedModule): WasmErrorInfo[] {
  const mutable = module.globals.filter((global) => global.isMutable);
  const found: WasmErrorInfo[] = [];
  if (mutable.length > MAX_MUTABLE_GLOBALS) {
    const limits = { value: mutable.length, limit: MAX_MUTABLE_GLOBALS };
    found.push({ code: 'WASM_TOO_LARGE', what: 'number of mutable globals', ...limits });
  }
  if (mutable.some((global) => OUTSIDE.has(global.valueType))) {
    const feature = 'mutable globals of vector or reference type in a stepping module';
    found.push({ code: 'WASM_UNSUPPORTED', feature });
  }
  return found;
}
