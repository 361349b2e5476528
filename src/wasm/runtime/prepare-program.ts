import { WasmError } from '../errors.ts';
import { type InstrumentedModule, instrument } from '../instrument/instrument.ts';
import { listAbiRefusals } from './abi-refusals.ts';
import { FOGPROOF_ABI } from './fogproof-abi.ts';
import type { HostAbi } from './host-functions.ts';
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
  const isStepping = isSteppingAbi(options.abi);
  return prepareInstrumented(instrument(bytes, { maxPages: options.maxPages, isStepping }), options.abi);
}

/** Modules of this ABI keep all their state in memory and globals. */
export function isSteppingAbi(abi: AbiName): boolean {
  return abi === 'fogproof';
}

/** The same for a module that was instrumented before, for this ABI. @throws WasmError */
export function prepareInstrumented(instrumented: InstrumentedModule, name: AbiName): PreparedProgram {
  const abi = ABIS[name];
  const [refusal] = listAbiRefusals(instrumented, abi);
  if (refusal !== undefined) throw new WasmError(refusal);
  try {
    return { abi, instrumented, module: new WebAssembly.Module(instrumented.bytes) };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) throw new WasmError({ code: 'WASM_INVALID' }, { cause: error });
    throw error;
  }
}
