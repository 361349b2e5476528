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
  KIND_GLOBAL,
  KIND_MEMORY,
  KIND_TABLE,
  KIND_TAG,
  type Limits,
  type OtherImport,
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

/** Told of what is refused. One that throws ends the reading; one that does not gets all there is to be found. */
export interface RefusalObserver {
  refuse(error: WasmError): void;
  /** Something could not be read because of the refusal before. */
  hide(what: string): void;
}

const STRICT: RefusalObserver = {
  refuse: (error) => {
    throw error;
  },
  hide: () => {},
};

function unsupported(feature: string): never {
  throw new WasmError({ code: 'WASM_UNSUPPORTED', feature });
}

function refuseFeature(observer: RefusalObserver, feature: string): void {
  observer.refuse(new WasmError({ code: 'WASM_UNSUPPORTED', feature }));
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

function readLimits(reader: ByteReader, observer: RefusalObserver): Limits {
  const flags = reader.u8();
  if ((flags & 0x04) !== 0) refuseFeature(observer, '64-bit memory (memory64)');
  if ((flags & 0x02) !== 0) refuseFeature(observer, 'shared memory (threads)');
  if (flags > 7) unsupported('custom page sizes');
  const hasMax = (flags & 0x01) !== 0;
  if ((flags & 0x04) !== 0) {
    reader.skipLeb(10);
    if (hasMax) reader.skipLeb(10);
    return { min: 0, max: null };
  }
  const min = reader.u32();
  return { min, max: hasMax ? reader.u32() : null };
}

function readTable(reader: ByteReader, observer: RefusalObserver): TableType {
  const elementType = reader.u8();
  if (elementType !== FUNCREF && elementType !== EXTERNREF) unsupported('typed function references');
  return { elementType, ...readLimits(reader, observer) };
}

function readMemory(reader: ByteReader, observer: RefusalObserver): Limits {
  const limits = readLimits(reader, observer);
  if (limits.min > MAX_PAGES || (limits.max ?? 0) > MAX_PAGES) reader.fail('memory is larger than 4 GiB');
  return limits;
}

function readImport(reader: ByteReader, observer: RefusalObserver): FunctionImport | OtherImport {
  const module = reader.name();
  const name = reader.name();
  const kind = reader.u8();
  if (kind === KIND_FUNCTION) return { module, name, typeIndex: reader.u32() };
  observer.refuse(new WasmError({ code: 'WASM_IMPORT_REFUSED', module, name, reason: 'not-a-function' }));
  switch (kind) {
    case KIND_TABLE:
      return { module, name, kind, table: readTable(reader, observer) };
    case KIND_MEMORY:
      return { module, name, kind, memory: readMemory(reader, observer) };
    case KIND_GLOBAL:
      return { module, name, kind, global: readGlobalType(reader) };
    case KIND_TAG:
      reader.skip(1);
      reader.u32();
      return { module, name, kind };
    default:
      return reader.fail('unknown kind of import');
  }
}

/** Passes over a constant expression (core specification, section 3.3.8.1). */
export function skipConstantExpression(reader: ByteReader): void {
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

function readGlobalType(reader: ByteReader): GlobalEntry {
  const valueType = readValueType(reader);
  const mutability = reader.u8();
  if (mutability > 1) unsupported('shared globals');
  return { valueType, isMutable: mutability === 1 };
}

function readGlobal(reader: ByteReader): GlobalEntry {
  const global = readGlobalType(reader);
  skipConstantExpression(reader);
  return global;
}

function readExport(reader: ByteReader, observer: RefusalObserver): ExportEntry {
  const name = reader.name();
  if (name.startsWith(RESERVED_PREFIX)) observer.refuse(new WasmError({ code: 'WASM_RESERVED_NAME', name }));
  return { name, kind: reader.u8(), index: reader.u32() };
}

function readCode(reader: ByteReader): CodeRange {
  const size = reader.u32();
  const start = reader.offset;
  reader.skip(size);
  return { start, end: start + size };
}

interface Range {
  readonly start: number;
  readonly end: number;
}

function readHeader(reader: ByteReader): void {
  const magic = [0x00, 0x61, 0x73, 0x6d];
  if (!magic.every((byte) => reader.u8() === byte)) reader.fail('not a WebAssembly module');
  const version = reader.slice(4);
  if (version[2] === 1) unsupported('the component model');
  if (version[0] !== 1 || version[1] !== 0 || version[2] !== 0 || version[3] !== 0) reader.fail('unknown version');
}

/** Puts the sections of a module into `sections`; refuses repeated and misplaced ones. */
function readSections(reader: ByteReader, sections: Map<number, Range>): void {
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
}

/** Runs a reading; where it fails the observer decides whether the rest of the module is looked at. */
function attempt<T>(observer: RefusalObserver, what: string, read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WasmError)) throw error;
    observer.refuse(error);
    observer.hide(what);
    return otherwise;
  }
}

/**
 * Takes a module apart. Without an observer the first thing that is refused is thrown.
 * @throws WasmError WASM_MALFORMED, WASM_UNSUPPORTED, WASM_TOO_LARGE, WASM_RESERVED_NAME, WASM_IMPORT_REFUSED
 */
export function parseModule(bytes: Uint8Array, observer: RefusalObserver = STRICT): ParsedModule {
  if (bytes.length > MAX_MODULE_BYTES) {
    const limits = { value: bytes.length, limit: MAX_MODULE_BYTES };
    throw new WasmError({ code: 'WASM_TOO_LARGE', what: 'the module in bytes', ...limits });
  }
  const sections = new Map<number, Range>();
  const start = new ByteReader(bytes);
  readHeader(start);
  attempt(observer, 'the sections that follow', () => readSections(start, sections), undefined);
  if (sections.has(SECTION.tag)) refuseFeature(observer, 'exception handling');
  return new ModuleParser(bytes, sections, observer).parse();
}

class ModuleParser {
  private readonly bytes: Uint8Array;
  private readonly sections: ReadonlyMap<number, Range>;
  private readonly observer: RefusalObserver;

  constructor(bytes: Uint8Array, sections: ReadonlyMap<number, Range>, observer: RefusalObserver) {
    this.bytes = bytes;
    this.sections = sections;
    this.observer = observer;
  }

  parse(): ParsedModule {
    const { bytes, observer, sections } = this;
    const memories = this.items(SECTION.memory, 'memories', readMemory);
    const types = this.items(SECTION.type, 'types', readFunctionType);
    const imports = this.items(SECTION.import, 'imports', readImport);
    const others = imports.flatMap((entry) => ('kind' in entry ? [entry] : []));
    const imported = others.filter(({ memory }) => memory !== undefined).length;
    if (memories.length + imported > 1) refuseFeature(observer, 'more than one memory');
    const raw = new Map<number, Uint8Array>();
    for (const [id, range] of sections) raw.set(id, bytes.subarray(range.start, range.end));
    return {
      bytes,
      types,
      imports: imports.flatMap((entry) => ('kind' in entry ? [] : [entry])),
      otherImports: others,
      functions: this.items(SECTION.function, 'functions', (reader) => reader.u32()),
      tables: [...others.flatMap((entry) => entry.table ?? []), ...this.items(SECTION.table, 'tables', readTable)],
      memory: others.find((entry) => entry.memory !== undefined)?.memory ?? memories[0] ?? null,
      globals: [...others.flatMap((entry) => entry.global ?? []), ...this.items(SECTION.global, 'globals', readGlobal)],
      exports: this.items(SECTION.export, 'exports', readExport),
      start: this.readStart(),
      code: this.items(SECTION.code, 'functions', readCode),
      raw,
    };
  }

  private readStart(): number | null {
    const range = this.sections.get(SECTION.start);
    if (range === undefined) return null;
    const reader = new ByteReader(this.bytes, range.start, range.end);
    return attempt(this.observer, 'the start function', () => reader.u32(), null);
  }

  private items<T>(id: number, what: string, read: (reader: ByteReader, observer: RefusalObserver) => T): T[] {
    const range = this.sections.get(id);
    if (range === undefined) return [];
    const reader = new ByteReader(this.bytes, range.start, range.end);
    const { observer } = this;
    const readAll = (): T[] => {
      const result = readMany(reader, what, (from) => read(from, observer));
      if (!reader.isAtEnd) reader.fail('bytes left over in a section');
      return result;
    };
    return attempt(observer, `the section of ${id === SECTION.code ? 'code' : what}`, readAll, []);
  }
}
