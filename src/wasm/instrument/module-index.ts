import type { ByteReader } from '../binary/byte-reader.ts';
import { type FunctionType, type ParsedModule, VALUE_TYPES } from '../binary/types.ts';

/** A block's operands and results by number. */
export interface Arity {
  readonly params: number;
  readonly results: number;
}

const EMPTY: Arity = { params: 0, results: 0 };
const ONE: Arity = { params: 0, results: 1 };

/** Looks up what indices in code refer to; an index that refers to nothing is WASM_MALFORMED. */
export class ModuleIndex {
  private readonly module: ParsedModule;
  private readonly functionTypes: readonly number[];
  private readonly arities: readonly Arity[];

  constructor(module: ParsedModule) {
    this.module = module;
    this.functionTypes = [...module.imports.map((entry) => entry.typeIndex), ...module.functions];
    this.arities = module.types.map((type) => ({ params: type.params.length, results: type.results.length }));
  }

  get functionCount(): number {
    return this.functionTypes.length;
  }

  typeOfFunction(index: number, reader: ByteReader): FunctionType {
    return this.module.types[this.functionTypes[index] ?? -1] ?? reader.fail(`no function ${index}`);
  }

  arityOfFunction(index: number, reader: ByteReader): Arity {
    return this.arities[this.functionTypes[index] ?? -1] ?? reader.fail(`no function ${index}`);
  }

  arityOfType(index: number, reader: ByteReader): Arity {
    return this.arities[index] ?? reader.fail(`no type ${index}`);
  }

  /** Reads a block type (core specification, section 5.4.1). */
  readBlockType(reader: ByteReader): Arity {
    const value = reader.s33();
    if (value >= 0) return this.arityOfType(value, reader);
    const byte = value & 0x7f;
    if (byte === 0x40) return EMPTY;
    return VALUE_TYPES.has(byte) ? ONE : reader.fail('unknown block type');
  }

  assertGlobal(index: number, reader: ByteReader): void {
    if (index >= this.module.globals.length) reader.fail(`no global ${index}`);
  }

  assertTable(index: number, reader: ByteReader): void {
    if (index >= this.module.tables.length) reader.fail(`no table ${index}`);
  }

  assertFunction(index: number, reader: ByteReader): void {
    if (index >= this.functionCount) reader.fail(`no function ${index}`);
  }
}
