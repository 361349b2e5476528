import { KIND_MEMORY } from '../binary/types.ts';
import { WasmError } from '../errors.ts';
import { type InstrumentedModule, instrument } from '../instrument/instrument.ts';
import { FOGPROOF_ABI } from './fogproof-abi.ts';
import { type HostAbi, isSameType } from './host-functions.ts';
import { WASI_ABI } from './wasi/wasi-abi.ts';

export type AbiName = 'wasi' | 'fogproof';

export const ABIS: Readonly<Record<AbiName, HostAbi>> = { fogproof: FOGPROOF_ABI, wasi: WASI_ABI };

export interface PreparedProgram {
  readonly abi: HostAbi;
  readonly instrumented: InstrumentedModule;
  readonly module: WebAssembly.Module;
}

/**
 * Instruments, checks against the ABI, and compiles.
 * @throws WasmError
 */
export function prepareProgram(
  bytes: Uint8Array,
  options: { readonly abi: AbiName; readonly maxPages: number },
): PreparedProgram {
  const abi = ABIS[options.abi];
  const instrumented = instrument(bytes, { maxPages: options.maxPages, isStepping: options.abi === 'fogproof' });
  assertImports(instrumented, abi);
  assertExports(instrumented, abi);
  try {
    return { abi, instrumented, module: new WebAssembly.Module(instrumented.bytes) };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) throw new WasmError({ code: 'WASM_INVALID' }, { cause: error });
    throw error;
  }
}

function assertImports(module: InstrumentedModule, abi: HostAbi): void {
  for (const { module: from, name, type } of module.imports) {
    const refuse = (reason: 'unknown-module' | 'unknown-function' | 'wrong-signature'): never => {
      throw new WasmError({ code: 'WASM_IMPORT_REFUSED', module: from.slice(0, 80), name: name.slice(0, 80), reason });
    };
    if (from !== abi.importModule) refuse('unknown-module');
    const expected = abi.signatures.get(name) ?? refuse('unknown-function');
    if (!isSameType(type, expected)) refuse('wrong-signature');
  }
}

function assertExports(module: InstrumentedModule, abi: HostAbi): void {
  const hasMemory = module.exports.some((entry) => entry.name === 'memory' && entry.kind === KIND_MEMORY);
  if (!hasMemory) throw new WasmError({ code: 'WASM_EXPORT_MISSING', name: 'memory', expected: 'a memory' });
  for (const [name, expected] of Object.entries(abi.requiredExports)) {
    const type = module.functionExports.get(name);
    if (type === undefined || !isSameType(type, expected)) {
      const results = expected.results.length === 0 ? 'no result' : 'an i32 result';
      throw new WasmError({
        code: 'WASM_EXPORT_MISSING',
        name,
        expected: `a function without parameters and with ${results}`,
      });
    }
  }
}
