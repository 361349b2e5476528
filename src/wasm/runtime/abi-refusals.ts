import { type FunctionType, KIND_MEMORY } from '../binary/types.ts';
import type { WasmErrorInfo } from '../errors.ts';
import type { InstrumentedModule } from '../instrument/instrument.ts';
import { type HostAbi, isSameType } from './host-functions.ts';

/** Longest part of a name that an error repeats, in characters. */
const MAX_NAME = 80;

/** What of a module's imports and exports does not fit an ABI; empty if it fits. */
export function listAbiRefusals(
  module: Pick<InstrumentedModule, 'imports' | 'exports' | 'functionExports'>,
  abi: HostAbi,
): readonly WasmErrorInfo[] {
  const hasMemory = module.exports.some((entry) => entry.name === 'memory' && entry.kind === KIND_MEMORY);
  return [
    ...module.imports.flatMap((entry) => judgeImport(entry, abi) ?? []),
    ...(hasMemory ? [] : [{ code: 'WASM_EXPORT_MISSING', name: 'memory', expected: 'a memory' } as const]),
    ...Object.entries(abi.requiredExports).flatMap(
      ([name, expected]) => judgeExport(name, module.functionExports.get(name), expected) ?? [],
    ),
  ];
}

function judgeImport(
  { module, name, type }: InstrumentedModule['imports'][number],
  abi: HostAbi,
): WasmErrorInfo | undefined {
  const refusal = {
    code: 'WASM_IMPORT_REFUSED',
    module: module.slice(0, MAX_NAME),
    name: name.slice(0, MAX_NAME),
  } as const;
  if (module !== abi.importModule) return { ...refusal, reason: 'unknown-module' };
  const expected = abi.signatures.get(name);
  if (expected === undefined) return { ...refusal, reason: 'unknown-function' };
  return isSameType(type, expected) ? undefined : { ...refusal, reason: 'wrong-signature' };
}

function judgeExport(name: string, type: FunctionType | undefined, expected: FunctionType): WasmErrorInfo | undefined {
  if (type !== undefined && isSameType(type, expected)) return undefined;
  const results = expected.results.length === 0 ? 'no result' : 'an i32 result';
  return { code: 'WASM_EXPORT_MISSING', name, expected: `a function without parameters and with ${results}` };
}
