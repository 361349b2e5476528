import { ProgramBuildError } from './errors.ts';

/**
 * Reads what `llc -march=bpf -filetype=obj` writes: a relocatable 64-bit little-endian ELF file for machine 247.
 * Layout of headers, sections, symbols and relocations: System V ABI, chapter 4 (64-bit objects).
 */

/** Kinds of BPF relocation: LLVM, docs/BPF ("Relocation Types"). */
export const RELOCATION_KINDS = {
  /** R_BPF_64_64: an address in the two halves of a `lddw`. */
  address: 1,
  /** R_BPF_64_ABS64: an address in data. */
  pointer: 2,
  /** R_BPF_64_32: the target of a `call`. */
  call: 10,
} as const;

export interface ObjectSymbol {
  readonly name: string;
  /** Index of the section that it is in; undefined if it is another object's. */
  readonly section: number | undefined;
  readonly value: number;
}

export interface ObjectRelocation {
  readonly offset: number;
  readonly kind: number;
  readonly symbol: ObjectSymbol;
}

export interface ObjectSection {
  readonly index: number;
  readonly name: string;
  readonly role: 'code' | 'read-only' | 'writable' | 'not-loaded';
  readonly bytes: Uint8Array;
  readonly alignment: number;
  readonly relocations: readonly ObjectRelocation[];
}

export interface ObjectFile {
  readonly sections: readonly ObjectSection[];
  readonly symbols: readonly ObjectSymbol[];
}

/** A program account holds 10 MiB at most, and the object is never more than a few times the program. */
export const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

const HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;

const ELF_MAGIC = 0x7f454c46;
const TYPE_RELOCATABLE = 1;
const MACHINE_BPF = 247;

const SECTION_TYPES = { symbols: 2, relocationsWithAddend: 4, empty: 8, relocations: 9 } as const;
const FLAGS = { write: 1, load: 2, execute: 4 } as const;
/** Indices from here on are not sections but markers (SHN_ABS, SHN_COMMON). */
const FIRST_RESERVED_SECTION = 0xff00;
/** LLVM's name for constants that hold addresses; they are writable for a dynamic linker only. */
const RELOCATED_CONSTANTS = '.data.rel.ro';

interface SectionHeader {
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
}

export function parseObjectFile(bytes: Uint8Array): ObjectFile {
  if (bytes.length > MAX_OBJECT_BYTES) throw malformed(`${bytes.length} bytes are more than ${MAX_OBJECT_BYTES}`);
  const reader = new Reader(bytes);
  const { headers, nameTable } = readHeaders(reader);
  const names = reader.slice(at(headers, nameTable));
  const symbols = readSymbols(reader, headers);
  const relocations = headers.map((): ObjectRelocation[] => []);
  for (const header of headers) {
    if (header.type === SECTION_TYPES.relocationsWithAddend) throw malformed('relocations with addends');
    if (header.type !== SECTION_TYPES.relocations) continue;
    const target = at(headers, header.info);
    relocations[header.info]?.push(...readRelocations(reader, { header, symbols, limit: target.size }));
  }
  const sections = headers.map((header, index): ObjectSection => {
    const name = readName(names, header.nameOffset);
    const isLoaded = (header.flags & FLAGS.load) !== 0;
    return {
      index,
      name,
      role: findRole(name, header),
      bytes: isLoaded && header.type !== SECTION_TYPES.empty ? reader.slice(header) : new Uint8Array(0),
      alignment: header.alignment,
      relocations: relocations[index] ?? [],
    };
  });
  return { sections, symbols };
}

function readHeaders(reader: Reader): { readonly headers: readonly SectionHeader[]; readonly nameTable: number } {
  const isElf = reader.u32(0, 'big') === ELF_MAGIC && reader.u8(4) === 2 && reader.u8(5) === 1;
  if (!isElf) throw malformed('not a 64-bit little-endian ELF file');
  if (reader.u16(16) !== TYPE_RELOCATABLE || reader.u16(18) !== MACHINE_BPF) throw malformed('not an object for BPF');
  const tableOffset = reader.u64(40);
  const count = reader.u16(60);
  if (count === 0 || reader.u16(58) !== SECTION_HEADER_BYTES) throw malformed('no section headers');
  const headers = Array.from({ length: count }, (_, index): SectionHeader => {
    const offset = tableOffset + index * SECTION_HEADER_BYTES;
    const header = {
      nameOffset: reader.u32(offset),
      type: reader.u32(offset + 4),
      flags: reader.u64(offset + 8),
      offset: reader.u64(offset + 24),
      size: reader.u64(offset + 32),
      link: reader.u32(offset + 40),
      info: reader.u32(offset + 44),
      alignment: Math.max(1, reader.u64(offset + 48)),
    };
    if (header.size > MAX_OBJECT_BYTES || header.alignment > 4096 || !isPowerOfTwo(header.alignment)) {
      throw malformed(`section ${index} has size ${header.size} and alignment ${header.alignment}`);
    }
    return header;
  });
  return { headers, nameTable: reader.u16(62) };
}

function readSymbols(reader: Reader, headers: readonly SectionHeader[]): readonly ObjectSymbol[] {
  const tables = headers.filter(({ type }) => type === SECTION_TYPES.symbols);
  const table = tables[0];
  if (table === undefined || tables.length > 1) throw malformed(`${tables.length} symbol tables`);
  const names = reader.slice(at(headers, table.link));
  return Array.from({ length: Math.floor(table.size / SYMBOL_BYTES) }, (_, index) => {
    const offset = table.offset + index * SYMBOL_BYTES;
    const section = reader.u16(offset + 6);
    if (section >= headers.length && section < FIRST_RESERVED_SECTION) throw malformed(`no section ${section}`);
    return {
      name: readName(names, reader.u32(offset)),
      section: section === 0 || section >= FIRST_RESERVED_SECTION ? undefined : section,
      value: reader.u64(offset + 8),
    };
  });
}

function readRelocations(
  reader: Reader,
  table: { readonly header: SectionHeader; readonly symbols: readonly ObjectSymbol[]; readonly limit: number },
): readonly ObjectRelocation[] {
  return Array.from({ length: Math.floor(table.header.size / RELOCATION_BYTES) }, (_, index) => {
    const entry = table.header.offset + index * RELOCATION_BYTES;
    const offset = reader.u64(entry);
    const symbol = table.symbols[reader.u32(entry + 12)];
    if (symbol === undefined || offset >= table.limit) throw malformed(`relocation ${index} points outside`);
    return { offset, kind: reader.u32(entry + 8), symbol };
  });
}

function findRole(name: string, header: SectionHeader): ObjectSection['role'] {
  if ((header.flags & FLAGS.load) === 0) return 'not-loaded';
  if ((header.flags & FLAGS.execute) !== 0) return 'code';
  if (name.startsWith(RELOCATED_CONSTANTS)) return 'read-only';
  return (header.flags & FLAGS.write) !== 0 || header.type === SECTION_TYPES.empty ? 'writable' : 'read-only';
}

function readName(table: Uint8Array, offset: number): string {
  const end = table.indexOf(0, offset);
  if (offset >= table.length || end < 0) throw malformed('a name outside of its table');
  return Buffer.from(table.buffer, table.byteOffset + offset, end - offset).toString('utf8');
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw malformed(`no section ${index}`);
  return item;
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0;
}

function malformed(reason: string): ProgramBuildError {
  return new ProgramBuildError({ code: 'PROGRAMS_OBJECT', reason });
}

/** Every read is checked against the end of the file. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER_BYTES) throw malformed('shorter than its header');
  }

  u8(offset: number): number {
    return this.#view.getUint8(this.#check(offset, 1));
  }

  u16(offset: number): number {
    return this.#view.getUint16(this.#check(offset, 2), true);
  }

  u32(offset: number, order: 'little' | 'big' = 'little'): number {
    return this.#view.getUint32(this.#check(offset, 4), order === 'little');
  }

  u64(offset: number): number {
    const value = this.#view.getBigUint64(this.#check(offset, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(`the number ${value} at ${offset}`);
    return Number(value);
  }

  slice(range: { readonly offset: number; readonly size: number }): Uint8Array {
    this.#check(range.offset, range.size);
    return this.#bytes.subarray(range.offset, range.offset + range.size);
  }

  #check(offset: number, size: number): number {
    if (offset + size > this.#bytes.length) throw malformed(`it ends before ${offset + size}`);
    return offset;
  }
}
