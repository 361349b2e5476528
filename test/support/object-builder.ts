import { encodeInstruction, OPCODES } from '../../scripts/programs/instructions.ts';

/** An instruction; what is left out is zero. */
export type InstructionSpec = Parameters<typeof encodeInstruction>[0];

/** Sections in the order of their indices, from 1 on; relocations and symbols name each other. */
export interface SectionSpec {
  readonly name: string;
  readonly kind: 'code' | 'constant' | 'writable' | 'zeroed' | 'note';
  readonly bytes: Uint8Array;
  readonly alignment?: number;
  readonly relocations?: readonly { readonly offset: number; readonly kind: number; readonly symbol: string }[];
}

export interface SymbolSpec {
  readonly name: string;
  /** Name of its section; undefined for one of another object. */
  readonly section?: string;
  readonly value?: number;
}

export interface ObjectSpec {
  readonly sections: readonly SectionSpec[];
  readonly symbols: readonly SymbolSpec[];
  readonly machine?: number;
}

const FLAGS = { code: 6, constant: 2, writable: 3, zeroed: 3, note: 0 } as const;

interface RawSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly link?: number;
  readonly info?: number;
  readonly alignment: number;
}

/** The file that llc would write of it. */
export function buildObject({ sections, symbols, machine = 247 }: ObjectSpec): Uint8Array {
  const symbolTable = 1 + sections.length;
  const symbolNames = new NameTable();
  const symbolBytes = Buffer.concat([
    new Uint8Array(24),
    ...symbols.map(({ name, section, value = 0 }) => {
      const entry = Buffer.alloc(24);
      entry.writeUInt32LE(symbolNames.add(name), 0);
      entry.writeUInt8(section === undefined ? 0x10 : 0x02, 4);
      entry.writeUInt16LE(1 + sections.findIndex((candidate) => candidate.name === section), 6);
      entry.writeBigUInt64LE(BigInt(value), 8);
      return entry;
    }),
  ]);
  const raw: RawSection[] = [
    { name: '', type: 0, flags: 0, bytes: new Uint8Array(0), alignment: 0 },
    ...sections.map(({ name, kind, bytes, alignment = 8 }) => ({
      name,
      type: kind === 'zeroed' ? 8 : 1,
      flags: FLAGS[kind],
      bytes,
      alignment,
    })),
    { name: '.symtab', type: 2, flags: 0, bytes: symbolBytes, link: symbolTable + 1, alignment: 8 },
    { name: '.strtab', type: 3, flags: 0, bytes: symbolNames.bytes(), alignment: 1 },
    ...sections.flatMap(({ name, relocations = [] }, index) =>
      relocations.length === 0
        ? []
        : [buildRelocations(name, { relocations, symbols, symbolTable, target: index + 1 })],
    ),
  ];
  return writeElf(raw, machine);
}

function buildRelocations(
  name: string,
  table: {
    readonly relocations: NonNullable<SectionSpec['relocations']>;
    readonly symbols: readonly SymbolSpec[];
    readonly symbolTable: number;
    readonly target: number;
  },
): RawSection {
  const entries = table.relocations.map(({ offset, kind, symbol }) => {
    const entry = Buffer.alloc(16);
    entry.writeBigUInt64LE(BigInt(offset), 0);
    entry.writeUInt32LE(kind, 8);
    entry.writeUInt32LE(1 + table.symbols.findIndex((candidate) => candidate.name === symbol), 12);
    return entry;
  });
  const { symbolTable: link, target: info } = table;
  return { name: `.rel${name}`, type: 9, flags: 0x40, bytes: Buffer.concat(entries), link, info, alignment: 8 };
}

function writeElf(sections: readonly RawSection[], machine: number): Uint8Array {
  const names = new NameTable();
  const all: readonly RawSection[] = [
    ...sections,
    { name: '.shstrtab', type: 3, flags: 0, bytes: new Uint8Array(0), alignment: 1 },
  ];
  const nameOffsets = all.map(({ name }) => names.add(name));
  const contents = all.map(({ bytes }, index) => (index === all.length - 1 ? names.bytes() : bytes));
  const header = Buffer.alloc(64);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(1, 16);
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(all.length, 60);
  header.writeUInt16LE(all.length - 1, 62);
  let offset = 64;
  const table = all.map((section, index) => {
    const entry = Buffer.alloc(64);
    const size = contents[index]?.length ?? 0;
    entry.writeUInt32LE(nameOffsets[index] ?? 0, 0);
    entry.writeUInt32LE(section.type, 4);
    entry.writeBigUInt64LE(BigInt(section.flags), 8);
    entry.writeBigUInt64LE(BigInt(offset), 24);
    entry.writeBigUInt64LE(BigInt(size), 32);
    entry.writeUInt32LE(section.link ?? 0, 40);
    entry.writeUInt32LE(section.info ?? 0, 44);
    entry.writeBigUInt64LE(BigInt(section.alignment), 48);
    offset += size;
    return entry;
  });
  header.writeBigUInt64LE(BigInt(offset), 40);
  return Uint8Array.from(Buffer.concat([header, ...contents, ...table]));
}

class NameTable {
  #text = '\0';

  add(name: string): number {
    const offset = this.#text.length;
    this.#text += `${name}\0`;
    return offset;
  }

  bytes(): Uint8Array {
    return Buffer.from(this.#text, 'latin1');
  }
}

/** Code of a section, written instruction by instruction. */
export function assemble(...instructions: readonly InstructionSpec[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(instructions.map(encodeInstruction)));
}

export const EXIT = { opcode: OPCODES.exit } as const;
/** As llc writes it before relocation. */
export const CALL = { opcode: OPCODES.call, src: 1, immediate: -1 } as const;
/** Both halves of `lddw dst, value`. */
export function lddw(dst: number, low: number, high = 0): readonly InstructionSpec[] {
  return [
    { opcode: OPCODES.lddw, dst, immediate: low },
    { opcode: 0, immediate: high },
  ];
}
