import { MAX_MODULE_BYTES, MAX_PAGES, MAX_SECTION_ITEMS, MAX_SIGNATURE, RESERVED_PREFIX } from '../constants.ts';
import { WasmError } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import {
  type CodeRange,
  EXTERNREF,
  type ExportEntry,
  FUNCREF,
  type FunctionImport,
  type FunctionType,
  type GlobalEntry,
  KIND_FUNCTION,
  type Limits,
  type ParsedModule,
  type TableType,
  VALUE_TYPES,
} from './types.ts';

export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/** Sections stand in this order (core specification, section 5.5.16). */
const ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

function unsupported(feature: string): never {
  throw new WasmError({ code: 'WASM_UNSUPPORTED', feature });
}

function readValueType(reader: ByteReader): number {
  const type = reader.u8();
  if (!VALUE_TYPES.has(type)) {
    if (type >= 0x5e && type <= 0x74) unsupported('garbage-collected types');
    reader.fail('unknown value type');
  }
  return type;
}

function readMany<T>(reader: ByteReader, what: string, read: (reader: ByteReader) => T): T[] {
  return readUpTo(reader, { limit: MAX_SECTION_ITEMS, what: `number of ${what}` }, read);
}

function readUpTo<T>(
  reader: ByteReader,
  bound: { readonly limit: number; readonly what: string },
  read: (reader: ByteReader) => T,
): T[] {
  const count = reader.count(bound.limit, bound.what);
  const items: T[] = [];
  for (let index = 0; index < count; index++) items.push(read(reader));
  return items;
}

function readFunctionType(reader: ByteReader): FunctionType {
  const form = reader.u8();
  if (form === 0x4e || form === 0x4f || form === 0x50 || form === 0x5e || form === 0x5f) {
    unsupported('garbage-collected types');
  }
  if (form !== 0x60) reader.fail('unknown type form');
  return {
    params: readUpTo(reader, { limit: MAX_SIGNATURE, what: 'number of parameters' }, readValueType),
    results: readUpTo(reader, { limit: MAX_SIGNATURE, what: 'number of results' }, readValueType),
  };
}

function readLimits(reader: ByteReader): Limits {
  const flags = reader.u8();
  if ((flags & 0x04) !== 0) unsupported('64-bit memory (memory64)');
  if ((flags & 0x02) !== 0) unsupported('shared memory (threads)');
  if (flags > 1) unsupported('custom page sizes');
  const min = reader.u32();
  return { min, max: flags === 1 ? reader.u32() : null };
}

function readTable(reader: ByteReader): TableType {
  const elementType = reader.u8();
  if (elementType !== FUNCREF && elementType !== EXTERNREF) unsupported('typed function references');
  return { elementType, ...readLimits(reader) };
}

function readMemory(reader: ByteReader): Limits {
  const limits = readLimits(reader);
  if (limits.min > MAX_PAGES || (limits.max ?? 0) > MAX_PAGES) reader.fail('memory is larger than 4 GiB');
  return limits;
}

function readImport(reader: ByteReader): FunctionImport {
  const module = reader.name();
  const name = reader.name();
  if (reader.u8() !== KIND_FUNCTION) {
    throw new WasmError({ code: 'WASM_IMPORT_REFUSED', module, name, reason: 'not-a-function' });
  }
  return { module, name, typeIndex: reader.u32() };
}

/** Passes over a constant expression (core specification, section 3.3.8.1). */
function skipConstantExpression(reader: ByteReader): void {
  for (;;) {
    const opcode = reader.u8();
    if (opcode === 0x0b) return;
    if (opcode === 0x41 || opcode === 0x23 || opcode === 0xd2) reader.skipLeb(5);
    else if (opcode === 0x42) reader.skipLeb(10);
    else if (opcode === 0x43) reader.skip(4);
    else if (opcode === 0x44) reader.skip(8);
    else if (opcode === 0xd0) reader.skip(1);
    else if (opcode === 0xfd && reader.u32() === 12) reader.skip(16);
    else if (![0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].includes(opcode)) unsupported('unknown constant expressions');
  }
}

function readGlobal(reader: ByteReader): GlobalEntry {
  const valueType = readValueType(reader);
  const mutability = reader.u8();
  if (mutability > 1) unsupported('shared globals');
  skipConstantExpression(reader);
  return { valueType, isMutable: mutability === 1 };
}

function readExport(reader: ByteReader): ExportEntry {
  const name = reader.name();
  if (name.startsWith(RESERVED_PREFIX)) throw new WasmError({ code: 'WASM_RESERVED_NAME', name });
  return { name, kind: reader.u8(), index: reader.u32() };
}

function readCode(reader: ByteReader): CodeRange {
  const size = reader.u32();
  const start = reader.offset;
  reader.skip(size);
  return { start, end: start + size };
}

/** Splits the module into its sections; refuses repeated and misplaced ones. */
function readSections(bytes: Uint8Array): Map<number, { readonly start: number; readonly end: number }> {
  const reader = new ByteReader(bytes);
  const magic = [0x00, 0x61, 0x73, 0x6d];
  if (!magic.every((byte) => reader.u8() === byte)) reader.fail('not a WebAssembly module');
  const version = reader.slice(4);
  if (version[2] === 1) unsupported('the component model');
  if (version[0] !== 1 || version[1] !== 0 || version[2] !== 0 || version[3] !== 0) reader.fail('unknown version');
  const sections = new Map<number, { start: number; end: number }>();
  let position = -1;
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const size = reader.u32();
    const start = reader.offset;
    reader.skip(size);
    if (id === SECTION.custom) continue;
    const place = ORDER.indexOf(id);
    if (place === -1) reader.fail(`unknown section ${id}`);
    if (place <= position) reader.fail(`section ${id} is out of order`);
    position = place;
    sections.set(id, { start, end: start + size });
  }
  return sections;
}

/**
 * Takes a module apart.
 * @throws WasmError WASM_MALFORMED, WASM_UNSUPPORTED, WASM_TOO_LARGE, WASM_RESERVED_NAME, WASM_IMPORT_REFUSED
 */
export function parseModule(bytes: Uint8Array): ParsedModule {
  if (bytes.length > MAX_MODULE_BYTES) {
    throw new WasmError({
      code: 'WASM_TOO_LARGE',
      what: 'the module in bytes',
      value: bytes.length,
      limit: MAX_MODULE_BYTES,
    });
  }
  const sections = readSections(bytes);
  if (sections.has(SECTION.tag)) unsupported('exception handling');
  const items = <T>(id: number, what: string, read: (reader: ByteReader) => T): T[] => {
    const range = sections.get(id);
    if (range === undefined) return [];
    const reader = new ByteReader(bytes, range.start, range.end);
    const result = readMany(reader, what, read);
    if (!reader.isAtEnd) reader.fail('bytes left over in a section');
    return result;
  };
  const memories = items(SECTION.memory, 'memories', readMemory);
  if (memories.length > 1) unsupported('more than one memory');
  const startRange = sections.get(SECTION.start);
  const raw = new Map<number, Uint8Array>();
  for (const [id, range] of sections) raw.set(id, bytes.subarray(range.start, range.end));
  return {
    bytes,
    types: items(SECTION.type, 'types', readFunctionType),
    imports: items(SECTION.import, 'imports', readImport),
    functions: items(SECTION.function, 'functions', (reader) => reader.u32()),
    tables: items(SECTION.table, 'tables', readTable),
    memory: memories[0] ?? null,
    globals: items(SECTION.global, 'globals', readGlobal),
    exports: items(SECTION.export, 'exports', readExport),
    start: startRange === undefined ? null : new ByteReader(bytes, startRange.start, startRange.end).u32(),
    code: items(SECTION.code, 'functions', readCode),
    raw,
  };
}
