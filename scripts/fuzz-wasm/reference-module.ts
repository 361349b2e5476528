import { ByteReader } from '../../src/wasm/binary/byte-reader.ts';
import { ByteWriter } from '../../src/wasm/binary/byte-writer.ts';
import { parseModule, SECTION } from '../../src/wasm/binary/parse-module.ts';
import { F32, F64, I32, I64, type ParsedModule, V128 } from '../../src/wasm/binary/types.ts';
import { decodeInstruction, type Instruction } from '../../src/wasm/instrument/decode-instruction.ts';
import { GIVES, OP, OPCODES } from '../../src/wasm/instrument/opcodes.ts';
import { skipSpecial, writeModule } from './rewrite-module.ts';

/** i64 global: fuel taken so far, counted instruction by instruction. */
export const COUNT_EXPORT = 'reference:fuel';

/**
 * Plain execution with one answer to what the specification leaves open, and a count of what ran. Behind every instruction
 * that may make a NaN the canonical one is put in its place: no flow is followed, nothing is left out. In front of every
 * instruction its price (docs/decisions/0001-instrumenter.md) is counted: no runs, no locals, nothing at once.
 */
export function createReference(bytes: Uint8Array): Uint8Array {
  const module = parseModule(bytes);
  const code = new ByteWriter(bytes.length * 8);
  code.u32(module.code.length);
  module.code.forEach((range, position) => {
    const type = module.types[module.functions[position] ?? -1];
    const reader = new ByteReader(bytes, range.start, range.end);
    const body = new BodyWriter(reader, module, type?.params.length ?? 0).write();
    code.u32(body.length);
    code.bytes(body);
  });
  const name = Buffer.from(COUNT_EXPORT);
  const changed = new Map<number, Uint8Array>([
    [SECTION.global, append(module, SECTION.global, [I64, 1, 0x42, 0, 0x0b])],
    [SECTION.code, code.view()],
  ]);
  const index = new ByteWriter(8);
  index.u32(module.globals.length);
  changed.set(SECTION.export, append(module, SECTION.export, [name.length, ...name, 3, ...index.view()]));
  return writeModule(module, changed);
}

function append({ raw }: ParsedModule, id: number, item: readonly number[]): Uint8Array {
  const reader = new ByteReader(raw.get(id) ?? Uint8Array.of(0));
  const out = new ByteWriter(reader.end + 64);
  out.u32(reader.u32() + 1);
  out.bytes(reader.slice(reader.end - reader.offset));
  out.u8(...item);
  return out.view();
}

const FREE: ReadonlySet<number> = new Set([OP.block, OP.loop, OP.else, OP.end]);
const BYTE_OPERATIONS: ReadonlySet<number> = new Set([OP.memoryInit, OP.memoryCopy, OP.memoryFill]);
const ITEM_OPERATIONS: ReadonlySet<number> = new Set([OP.tableInit, OP.tableCopy, OP.tableFill, OP.tableGrow]);
const NAN_TYPES = [0, F32, F64, V128, V128] as const;
const NAN_32 = [0, 0, 0xc0, 0x7f];
const NAN_64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];

class BodyWriter {
  private readonly reader: ByteReader;
  private readonly module: ParsedModule;
  private readonly code = new ByteWriter(1024);
  private readonly added = new Map<number, number>();
  private locals: number;

  constructor(reader: ByteReader, module: ParsedModule, parameters: number) {
    this.reader = reader;
    this.module = module;
    this.locals = parameters;
  }

  write(): Uint8Array {
    const { reader, code } = this;
    const runs = this.readLocals();
    const instruction: Instruction = { opcode: 0, index: 0, second: 0 };
    while (!reader.isAtEnd) {
      const start = reader.offset;
      decodeInstruction(reader, instruction);
      skipSpecial(reader, instruction.opcode);
      this.count(instruction.opcode);
      code.range(reader.bytes, start, reader.offset);
      const gives = OPCODES.gives[instruction.opcode] ?? GIVES.exact;
      if (gives !== GIVES.exact) this.settle(gives);
    }
    const out = new ByteWriter(code.length + 64);
    out.u32(runs.length + this.added.size);
    for (const [count, type] of [...runs, ...[...this.added.keys()].map((type) => [1, type] as const)]) {
      out.u32(count);
      out.u8(type);
    }
    out.bytes(code.view());
    return out.view();
  }

  private readLocals(): (readonly [count: number, type: number])[] {
    return Array.from({ length: this.reader.u32() }, () => {
      const count = this.reader.u32();
      this.locals += count;
      return [count, this.reader.u8()] as const;
    });
  }

  private op(opcode: number, index: number): void {
    this.code.u8(opcode);
    this.code.u32(index);
  }

  private temporary(type: number): number {
    const local = this.added.get(type) ?? this.locals + this.added.size;
    this.added.set(type, local);
    return local;
  }

  private count(opcode: number): void {
    if (FREE.has(opcode)) return;
    this.addToCount(() => this.code.u8(0x42, 1));
    if (BYTE_OPERATIONS.has(opcode)) this.countOperand(() => this.code.u8(0x42, 3, 0x88));
    else if (ITEM_OPERATIONS.has(opcode)) this.countOperand(() => {});
    else if (opcode === OP.memoryGrow) this.countGrowth();
  }

  private addToCount(push: () => void): void {
    const count = this.module.globals.length;
    this.op(OP.globalGet, count);
    push();
    this.code.u8(0x7c);
    this.op(OP.globalSet, count);
  }

  /** The length on top of the operands, as u64 and then as `convert` makes it. */
  private countOperand(convert: () => void): void {
    const length = this.temporary(I32);
    this.op(OP.localTee, length);
    this.addToCount(() => {
      this.op(OP.localGet, length);
      this.code.u8(0xad);
      convert();
    });
  }

  /** 1000 and 256 a page, where the limit allows it. */
  private countGrowth(): void {
    const { code } = this;
    const pages = this.temporary(I32);
    this.op(OP.localTee, pages);
    this.op(OP.localGet, pages);
    code.u8(0x41);
    code.signed(this.module.memory?.max ?? 0);
    code.u8(OP.memorySize, 0, 0x6b, 0x4d, OP.if, 0x40);
    this.addToCount(() => {
      this.op(OP.localGet, pages);
      code.u8(0xad, 0x42);
      code.signed(256);
      code.u8(0x7e, 0x42);
      code.signed(1000);
      code.u8(0x7c);
    });
    code.u8(OP.end);
  }

  /** Scalars by a branch, lanes by a mask: x where x == x, else the NaN. */
  private settle(gives: number): void {
    const { code } = this;
    const local = this.temporary(NAN_TYPES[gives] ?? F32);
    this.op(OP.localSet, local);
    if (gives === GIVES.f32 || gives === GIVES.f64) {
      this.op(OP.localGet, local);
      this.op(OP.localGet, local);
      if (gives === GIVES.f32) code.u8(0x5c, OP.if, F32, 0x43, ...NAN_32);
      else code.u8(0x62, OP.if, F64, 0x44, ...NAN_64);
      code.u8(OP.else);
      this.op(OP.localGet, local);
      code.u8(OP.end);
      return;
    }
    const is32 = gives === GIVES.f32x4;
    this.op(OP.localGet, local);
    code.u8(0xfd, 12, ...(is32 ? [...NAN_32, ...NAN_32, ...NAN_32, ...NAN_32] : [...NAN_64, ...NAN_64]));
    this.op(OP.localGet, local);
    this.op(OP.localGet, local);
    code.u8(0xfd, is32 ? 65 : 71, 0xfd, 82);
  }
}
