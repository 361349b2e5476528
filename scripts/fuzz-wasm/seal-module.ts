import { ByteReader } from '../../src/wasm/binary/byte-reader.ts';
import { ByteWriter } from '../../src/wasm/binary/byte-writer.ts';
import { SECTION } from '../../src/wasm/binary/parse-module.ts';
import { EXTERNREF, F32, F64, FUNCREF, I32, I64, V128 } from '../../src/wasm/binary/types.ts';
import { SECTION_ORDER } from './rewrite-module.ts';

/** Pages and table entries that a module may grow to: plain execution has no limit of its own. */
const MAX_PAGES = 64;
const MAX_ENTRIES = 1000;
/** Exports that are added so that the whole state can be compared. */
export const STATE_PREFIX = 'state:';

interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

/**
 * Makes a generated module self-contained: imported globals become its own, memory and tables get a maximum that any
 * host can give, and memory, tables and mutable globals are exported. Function imports stay.
 */
export function sealModule(bytes: Uint8Array): Uint8Array {
  const sections = new Map(splitSections(bytes).map((section) => [section.id, section.content]));
  const imports = splitImports(sections.get(SECTION.import));
  const memories = capLimits(sections.get(SECTION.memory), { hasElementType: false, most: MAX_PAGES });
  const tables = capLimits(sections.get(SECTION.table), { hasElementType: true, most: MAX_ENTRIES });
  const globals = prependGlobals(sections.get(SECTION.global), imports.globals);
  const state = [
    ...Array.from({ length: tables.count }, (_, index) => ({ name: `table:${index}`, kind: 1, index })),
    ...Array.from({ length: memories.count }, (_, index) => ({ name: `memory:${index}`, kind: 2, index })),
    ...globals.mutable.map((index) => ({ name: `global:${index}`, kind: 3, index })),
  ];
  sections.set(SECTION.import, imports.content);
  sections.set(SECTION.memory, memories.content);
  sections.set(SECTION.table, tables.content);
  sections.set(SECTION.global, globals.content);
  sections.set(SECTION.export, appendExports(sections.get(SECTION.export), state));
  const out = new ByteWriter(bytes.length + 1024);
  out.bytes(bytes.subarray(0, 8));
  for (const id of SECTION_ORDER) {
    const content = sections.get(id);
    if (content === undefined) continue;
    out.u8(id);
    out.u32(content.length);
    out.bytes(content);
  }
  return out.view().slice();
}

function splitSections(bytes: Uint8Array): Section[] {
  const reader = new ByteReader(bytes, 8);
  const sections: Section[] = [];
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const content = reader.slice(reader.u32());
    if (id !== SECTION.custom) sections.push({ id, content });
  }
  return sections;
}

const NOTHING: Uint8Array = Uint8Array.of(0);

interface GlobalImport {
  readonly type: number;
  readonly mutability: number;
}

function splitImports(content = NOTHING): { content: Uint8Array; globals: GlobalImport[] } {
  const reader = new ByteReader(content);
  const functions: Uint8Array[] = [];
  const globals: GlobalImport[] = [];
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const start = reader.offset;
    reader.name();
    reader.name();
    const kind = reader.u8();
    if (kind === 3) globals.push({ type: reader.u8(), mutability: reader.u8() });
    else if (kind === 0) {
      reader.u32();
      functions.push(content.subarray(start, reader.offset));
    } else throw new TypeError(`the generator imports something of kind ${kind}`);
  }
  const out = new ByteWriter(content.length);
  out.u32(functions.length);
  for (const entry of functions) out.bytes(entry);
  return { content: out.view().slice(), globals };
}

function capLimits(
  content: Uint8Array = NOTHING,
  { hasElementType, most }: { readonly hasElementType: boolean; readonly most: number },
): { content: Uint8Array; count: number } {
  const reader = new ByteReader(content);
  const out = new ByteWriter(content.length + 16);
  const count = reader.u32();
  out.u32(count);
  for (let index = 0; index < count; index++) {
    if (hasElementType) out.u8(reader.u8());
    const hasMax = reader.u8() === 1;
    const min = reader.u32();
    const max = hasMax ? reader.u32() : most;
    out.u8(1);
    out.u32(min);
    out.u32(Math.max(min, Math.min(max, most)));
  }
  return { content: out.view().slice(), count };
}

/** Any value will do for what was imported. */
const INITIAL: Readonly<Record<number, readonly number[]>> = {
  [I32]: [0x41, 42],
  [I64]: [0x42, 43],
  [F32]: [0x43, 0, 0, 0x40, 0x40],
  [F64]: [0x44, 0, 0, 0, 0, 0, 0, 0x45, 0x40],
  [V128]: [0xfd, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  [FUNCREF]: [0xd0, FUNCREF],
  [EXTERNREF]: [0xd0, EXTERNREF],
};

function prependGlobals(content: Uint8Array = NOTHING, imported: readonly GlobalImport[]) {
  const reader = new ByteReader(content);
  const count = reader.u32();
  const rest = content.subarray(reader.offset);
  const out = new ByteWriter(content.length + 64);
  out.u32(count + imported.length);
  const mutable: number[] = [];
  imported.forEach(({ type, mutability }, index) => {
    const initial = INITIAL[type];
    if (initial === undefined) throw new TypeError(`the generator imports a global of type ${type}`);
    out.u8(type, mutability, ...initial, 0x0b);
    if (mutability === 1) mutable.push(index);
  });
  out.bytes(rest);
  for (let index = 0; index < count; index++) {
    reader.u8();
    if (reader.u8() === 1) mutable.push(imported.length + index);
    skipExpression(reader);
  }
  return { content: out.view().slice(), mutable };
}

function skipExpression(reader: ByteReader): void {
  for (let opcode = reader.u8(); opcode !== 0x0b; opcode = reader.u8()) {
    if (opcode === 0x41 || opcode === 0x42 || opcode === 0x23 || opcode === 0xd2) reader.skipLeb(10);
    else if (opcode === 0x43) reader.skip(4);
    else if (opcode === 0x44) reader.skip(8);
    else if (opcode === 0xd0) reader.skip(1);
    else if (opcode === 0xfd) reader.skip(17);
  }
}

function appendExports(
  content: Uint8Array = NOTHING,
  added: readonly { readonly name: string; readonly kind: number; readonly index: number }[],
): Uint8Array {
  const reader = new ByteReader(content);
  const count = reader.u32();
  const out = new ByteWriter(content.length + added.length * 24 + 8);
  out.u32(count + added.length);
  out.bytes(content.subarray(reader.offset));
  for (const { name, kind, index } of added) {
    out.name(STATE_PREFIX + name);
    out.u8(kind);
    out.u32(index);
  }
  return out.view().slice();
}
