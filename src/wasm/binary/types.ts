/** Value types by their byte (core specification, section 5.3.1 to 5.3.4). */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;

export const VALUE_TYPES: ReadonlySet<number> = new Set([I32, I64, F32, F64, V128, FUNCREF, EXTERNREF]);

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface FunctionImport {
  readonly module: string;
  readonly name: string;
  readonly typeIndex: number;
}

export interface Limits {
  readonly min: number;
  readonly max: number | null;
}

export interface TableType extends Limits {
  readonly elementType: number;
}

export interface GlobalEntry {
  readonly valueType: number;
  readonly isMutable: boolean;
}

export interface ExportEntry {
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

/** Export kinds (core specification, section 5.5.10). */
export const KIND_FUNCTION = 0;
export const KIND_TABLE = 1;
export const KIND_MEMORY = 2;
export const KIND_GLOBAL = 3;
export const KIND_TAG = 4;

/** An import that is refused; its type keeps the places of what the module itself defines. */
export interface OtherImport {
  readonly module: string;
  readonly name: string;
  readonly kind: number;
  readonly table?: TableType;
  readonly memory?: Limits;
  readonly global?: GlobalEntry;
}

/** Where a function's code stands in the module. */
export interface CodeRange {
  readonly start: number;
  readonly end: number;
}

/** A module taken apart as far as rewriting needs it. `raw` sections are carried over byte for byte. */
export interface ParsedModule {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  readonly imports: readonly FunctionImport[];
  /** Empty in a module that is accepted. */
  readonly otherImports: readonly OtherImport[];
  /** Type indices of the functions that the module defines. */
  readonly functions: readonly number[];
  readonly tables: readonly TableType[];
  readonly memory: Limits | null;
  readonly globals: readonly GlobalEntry[];
  readonly exports: readonly ExportEntry[];
  readonly start: number | null;
  readonly code: readonly CodeRange[];
  /** Contents of sections by id. */
  readonly raw: ReadonlyMap<number, Uint8Array>;
}
