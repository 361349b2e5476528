import { ByteReader } from '../binary/byte-reader.ts';
import { ByteWriter } from '../binary/byte-writer.ts';
import { parseModule, SECTION } from '../binary/parse-module.ts';
import {
  type ExportEntry,
  F32,
  F64,
  type FunctionImport,
  type FunctionType,
  I32,
  I64,
  KIND_FUNCTION,
  KIND_GLOBAL,
  type ParsedModule,
} from '../binary/types.ts';
import {
  FUEL_EXPORT,
  GLOBAL_EXPORT_PREFIX,
  MAX_BODY_BYTES,
  MAX_PAGES,
  MAX_TABLE_ENTRIES,
  READ_BITS_PREFIX,
  STACK_EXPORT,
  STACK_SLOTS,
  START_EXPORT,
  WRITE_BITS_PREFIX,
} from '../constants.ts';
import { WasmError } from '../errors.ts';
import { FunctionAnalyser } from './analyse-function.ts';
import { listInconsistencies } from './consistency.ts';
import { createChargeBody, createGrowBody, createReadBitsBody, createWriteBitsBody } from './helpers.ts';
import { ModuleIndex } from './module-index.ts';
import { ALL_PARTS, type InstrumentedPart } from './parts.ts';
import { type AddedIndices, FunctionRewriter, type InsertedCounts } from './rewrite-function.ts';

export interface InstrumentOptions {
  /** Pages of memory that the job allows. */
  readonly maxPages: number;
  /** Refuses state outside memory and globals: passive segments and tables that change. */
  readonly isStepping: boolean;
  /** Absent is all of them, as for every job. */
  readonly parts?: ReadonlySet<InstrumentedPart>;
}

export interface InstrumentedModule {
  readonly bytes: Uint8Array;
  readonly imports: readonly (FunctionImport & { readonly type: FunctionType })[];
  readonly exports: readonly ExportEntry[];
  /** Type of an exported function, by name. */
  readonly functionExports: ReadonlyMap<string, FunctionType>;
  readonly hasStart: boolean;
  /** Pages at start and the most there can be; null without memory. */
  readonly memory: { readonly minPages: number; readonly maxPages: number } | null;
  /** In order of index. */
  readonly mutableGlobals: readonly MutableGlobal[];
  readonly inserted: Readonly<InsertedCounts>;
}

/** A global whose value is part of the state. */
export interface MutableGlobal {
  readonly index: number;
  /** Type byte (binary/types.ts). */
  readonly type: number;
}

interface AddedFunction {
  readonly type: FunctionType;
  readonly body: Uint8Array;
  /** Null where only the module itself calls it. */
  readonly exportName: string | null;
}

const IDENTITY: FunctionType = { params: [I32], results: [I32] };

/** Types that are added behind the module's own. */
class AddedTypes {
  readonly types: FunctionType[] = [];
  private readonly first: number;
  private readonly known = new Map<string, number>();

  constructor(module: ParsedModule) {
    this.first = module.types.length;
  }

  indexOf(type: FunctionType): number {
    const key = `${type.params.join()}>${type.results.join()}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const index = this.first + this.types.push(type) - 1;
    this.known.set(key, index);
    return index;
  }
}

/**
 * Rewrites a module so that fuel, stack height, memory growth and NaN bits are the same everywhere. Deterministic: equal
 * bytes and options give equal bytes.
 * @throws WasmError
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions): InstrumentedModule {
  const module = parseModule(bytes);
  const [inconsistency] = listInconsistencies(module, options);
  if (inconsistency !== undefined) throw new WasmError(inconsistency);
  const rewritten = new ModuleRewriter(module, options).rewrite();
  // Indices that the instrumenter adds are free in a valid module only: an invalid one might name the fuel counter.
  if (!WebAssembly.validate(new Uint8Array(bytes))) throw new WasmError({ code: 'WASM_INVALID' });
  return rewritten;
}

class ModuleRewriter {
  private readonly module: ParsedModule;
  private readonly options: InstrumentOptions;
  private readonly types: AddedTypes;
  private readonly index: ModuleIndex;
  private readonly added: AddedIndices;
  private readonly maxPages: number;
  private readonly helpers: readonly AddedFunction[];
  private readonly helperTypes: readonly number[];
  private readonly out: ByteWriter;

  constructor(module: ParsedModule, options: InstrumentOptions) {
    this.module = module;
    this.options = options;
    this.types = new AddedTypes(module);
    this.index = new ModuleIndex(module);
    this.maxPages = Math.min(module.memory?.max ?? MAX_PAGES, options.maxPages, MAX_PAGES);
    this.out = new ByteWriter(module.bytes.length * 2 + 1024);
    const firstGlobal = module.globals.length;
    const firstHelper = this.index.functionCount;
    this.added = {
      fuelGlobal: firstGlobal,
      stackGlobal: firstGlobal + 1,
      chargeBytes: firstHelper,
      chargeItems: firstHelper + 1,
      grow: firstHelper + 2,
      inserted: { fuelCharges: 0, fuelChecks: 0, stackChecks: 0, canonicalNans: 0 },
      parts: options.parts ?? ALL_PARTS,
      blockTypeOf: (type) => this.types.indexOf({ params: [], results: type.results }),
    };
    this.helpers = this.createHelpers();
    this.helperTypes = this.helpers.map(({ type }) => this.types.indexOf(type));
  }

  private createHelpers(): AddedFunction[] {
    const { added } = this;
    const inner = [createChargeBody(added, 'bytes'), createChargeBody(added, 'items')];
    // Without a memory memory.grow does not validate; nothing calls the helper then.
    if (this.module.memory !== null) inner.push(createGrowBody(added, this.maxPages));
    return [
      ...inner.map((body) => ({ type: IDENTITY, body, exportName: null })),
      ...(this.options.isStepping ? this.mutableGlobals().flatMap(createBitsFunctions) : []),
    ];
  }

  rewrite(): InstrumentedModule {
    const { module } = this;
    const code = this.rewriteCode();
    this.out.bytes(module.bytes.subarray(0, 8));
    this.appendTo(SECTION.type, this.types.types.length, (out) => this.writeTypes(out));
    this.copy(SECTION.import);
    this.appendTo(SECTION.function, this.helperTypes.length, (out) => {
      for (const type of this.helperTypes) out.u32(type);
    });
    if (module.tables.length > 0) this.section(SECTION.table, (out) => this.writeTables(out));
    const { memory } = module;
    if (memory !== null) {
      this.section(SECTION.memory, (out) => {
        out.u8(1, 1);
        out.u32(memory.min);
        out.u32(this.maxPages);
      });
    }
    this.appendTo(SECTION.global, 2, (out) => this.writeGlobals(out));
    const addedExports = this.addedExports();
    this.appendTo(SECTION.export, addedExports.length, (out) => {
      for (const entry of addedExports) {
        out.name(entry.name);
        out.u8(entry.kind);
        out.u32(entry.index);
      }
    });
    this.copy(SECTION.element);
    this.copy(SECTION.dataCount);
    this.writeSection(SECTION.code, code);
    this.copy(SECTION.data);
    return this.describe();
  }

  private describe(): InstrumentedModule {
    const { module } = this;
    const functionExports = new Map<string, FunctionType>();
    const reader = new ByteReader(module.bytes);
    for (const entry of module.exports) {
      if (entry.kind === KIND_FUNCTION) functionExports.set(entry.name, this.index.typeOfFunction(entry.index, reader));
    }
    return {
      bytes: this.out.view().slice(),
      imports: module.imports.map((entry) => ({
        ...entry,
        type: module.types[entry.typeIndex] ?? reader.fail(`no type ${entry.typeIndex}`),
      })),
      exports: module.exports,
      functionExports,
      hasStart: module.start !== null,
      memory: module.memory === null ? null : { minPages: module.memory.min, maxPages: this.maxPages },
      mutableGlobals: this.mutableGlobals(),
      inserted: this.added.inserted,
    };
  }

  private rewriteCode(): ByteWriter {
    const { module, options } = this;
    const section = new ByteWriter(module.bytes.length * 2);
    section.u32(module.code.length + this.helpers.length);
    const reader = new ByteReader(module.bytes);
    module.code.forEach((range, position) => {
      const type = this.index.typeOfFunction(module.imports.length + position, reader);
      const source = { bytes: module.bytes, range, type, index: this.index, isStepping: options.isStepping };
      const analysis = new FunctionAnalyser(source).analyse();
      const rewriter = new FunctionRewriter(module.bytes, type, analysis, this.added);
      this.appendBody(section, rewriter.rewrite());
    });
    for (const { body } of this.helpers) this.appendBody(section, body);
    return section;
  }

  private appendBody(section: ByteWriter, body: Uint8Array): void {
    if (body.length > MAX_BODY_BYTES) {
      throw new WasmError({
        code: 'WASM_TOO_LARGE',
        what: 'a function, instrumented, in bytes',
        value: body.length,
        limit: MAX_BODY_BYTES,
      });
    }
    section.u32(body.length);
    section.bytes(body);
  }

  private mutableGlobals(): MutableGlobal[] {
    return this.module.globals.flatMap((global, index) =>
      global.isMutable ? [{ index, type: global.valueType }] : [],
    );
  }

  private addedExports(): ExportEntry[] {
    const { added, module } = this;
    const entries: ExportEntry[] = [
      { name: FUEL_EXPORT, kind: KIND_GLOBAL, index: added.fuelGlobal },
      { name: STACK_EXPORT, kind: KIND_GLOBAL, index: added.stackGlobal },
    ];
    if (module.start !== null) entries.push({ name: START_EXPORT, kind: KIND_FUNCTION, index: module.start });
    for (const { index } of this.mutableGlobals()) {
      entries.push({ name: GLOBAL_EXPORT_PREFIX + index, kind: KIND_GLOBAL, index });
    }
    this.helpers.forEach(({ exportName }, position) => {
      const index = added.chargeBytes + position;
      if (exportName !== null) entries.push({ name: exportName, kind: KIND_FUNCTION, index });
    });
    return entries;
  }

  private writeTypes(out: ByteWriter): void {
    for (const type of this.types.types) {
      out.u8(0x60);
      out.u32(type.params.length);
      out.u8(...type.params);
      out.u32(type.results.length);
      out.u8(...type.results);
    }
  }

  /** Tables may grow as far as the module says, within what all tables may hold together. */
  private writeTables(out: ByteWriter): void {
    const { tables } = this.module;
    let spare = MAX_TABLE_ENTRIES - tables.reduce((sum, table) => sum + table.min, 0);
    out.u32(tables.length);
    for (const table of tables) {
      const growth = Math.min((table.max ?? MAX_TABLE_ENTRIES) - table.min, spare);
      spare -= growth;
      out.u8(table.elementType, 1);
      out.u32(table.min);
      out.u32(table.min + growth);
    }
  }

  private writeGlobals(out: ByteWriter): void {
    out.u8(I64, 1, 0x42, 0, 0x0b);
    out.u8(I32, 1, 0x41);
    out.signed(STACK_SLOTS);
    out.u8(0x0b);
  }

  private copy(id: number): void {
    const raw = this.module.raw.get(id);
    if (raw === undefined) return;
    this.out.u8(id);
    this.out.u32(raw.length);
    this.out.bytes(raw);
  }

  /** The module's own items of a section, with more behind them. */
  private appendTo(id: number, extra: number, write: (out: ByteWriter) => void): void {
    const reader = new ByteReader(this.module.raw.get(id) ?? Uint8Array.of(0));
    const count = reader.u32();
    this.section(id, (out) => {
      out.u32(count + extra);
      out.bytes(reader.slice(reader.end - reader.offset));
      write(out);
    });
  }

  private section(id: number, write: (out: ByteWriter) => void): void {
    const content = new ByteWriter(256);
    write(content);
    this.writeSection(id, content);
  }

  private writeSection(id: number, content: ByteWriter): void {
    this.out.u8(id);
    this.out.u32(content.length);
    this.out.bytes(content.view());
  }
}

function createBitsFunctions({ index, type }: MutableGlobal): AddedFunction[] {
  if (type !== F32 && type !== F64) return [];
  const bits = type === F32 ? I32 : I64;
  return [
    {
      type: { params: [], results: [bits] },
      body: createReadBitsBody(index, type),
      exportName: READ_BITS_PREFIX + index,
    },
    {
      type: { params: [bits], results: [] },
      body: createWriteBitsBody(index, type),
      exportName: WRITE_BITS_PREFIX + index,
    },
  ];
}
