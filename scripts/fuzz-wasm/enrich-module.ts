import { ByteReader } from '../../src/wasm/binary/byte-reader.ts';
import { ByteWriter } from '../../src/wasm/binary/byte-writer.ts';
import { parseModule, SECTION } from '../../src/wasm/binary/parse-module.ts';
import { F32, F64, FUNCREF, I32, I64, type ParsedModule, V128 } from '../../src/wasm/binary/types.ts';
import { decodeInstruction, type Instruction } from '../../src/wasm/instrument/decode-instruction.ts';
import { OP, PREFIX_SIMD } from '../../src/wasm/instrument/opcodes.ts';
import { createSeededNumbers } from '../../test/support/stepping-modules.ts';
import { skipSpecial, writeModule } from './rewrite-module.ts';

/** One instruction in this many gets something put in front of it, and one constant in this many becomes a NaN. */
const EVERY = [3, 10, 40] as const;
const NAN_EVERY = 3;
/** Addresses and lengths that are inside of any memory that has a page; some runs are longer than eight bytes. */
const MAX_ADDRESS = 60_000;
const MAX_LENGTH = 300;

/**
 * Puts small whole pieces of program between the instructions of a module: each leaves the operands as they were, so they
 * fit anywhere, also where nothing comes by. The generator's modules seldom reach bulk operations with operands that do
 * not trap, grow memory or tables, run loops to their end, or let the bits of a NaN be seen. Float constants become NaNs
 * of any sign and payload.
 */
export function enrichModule(bytes: Uint8Array, seed: number): Uint8Array {
  const module = parseModule(bytes);
  const below = createSeededNumbers(seed);
  const every = EVERY[below(EVERY.length)] ?? 10;
  const code = new ByteWriter(bytes.length * 2);
  code.u32(module.code.length);
  module.code.forEach((range, position) => {
    const parameters = module.types[module.functions[position] ?? -1]?.params.length ?? 0;
    const reader = new ByteReader(bytes, range.start, range.end);
    const body = new BodyEnricher({ reader, module, below, every, parameters }).write();
    code.u32(body.length);
    code.bytes(body);
  });
  return writeModule(module, new Map([[SECTION.code, code.view()]]));
}

/** The first of add, sub, mul, div, min, max. */
const F32X4_ADD = 228;
const F64X2_ADD = 240;

function concatNans(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.of(...a, ...b);
}

interface BodySource {
  readonly reader: ByteReader;
  readonly module: ParsedModule;
  readonly below: (limit: number) => number;
  readonly every: number;
  readonly parameters: number;
}

class BodyEnricher {
  private readonly source: BodySource;
  private readonly code = new ByteWriter(1024);
  private readonly added: number[] = [];
  private locals: number;

  constructor(source: BodySource) {
    this.source = source;
    this.locals = source.parameters;
  }

  write(): Uint8Array {
    const { reader, below, every } = this.source;
    const runs = Array.from({ length: reader.u32() }, () => {
      const count = reader.u32();
      this.locals += count;
      return [count, reader.u8()] as const;
    });
    const instruction: Instruction = { opcode: 0, index: 0, second: 0 };
    while (!reader.isAtEnd) {
      const start = reader.offset;
      decodeInstruction(reader, instruction);
      skipSpecial(reader, instruction.opcode);
      if (below(every) === 0) this.insert();
      this.copy(start, instruction.opcode);
    }
    const out = new ByteWriter(this.code.length + 64);
    out.u32(runs.length + this.added.length);
    for (const [count, type] of [...runs, ...this.added.map((type) => [1, type] as const)]) {
      out.u32(count);
      out.u8(type);
    }
    out.bytes(this.code.view());
    return out.view();
  }

  private copy(start: number, opcode: number): void {
    const { reader, below } = this.source;
    const bytes = reader.bytes.slice(start, reader.offset);
    if (below(NAN_EVERY) === 0) {
      if (opcode === 0x43) bytes.set(this.nan(4), 1);
      else if (opcode === 0x44) bytes.set(this.nan(8), 1);
      else if (opcode === PREFIX_SIMD + 12)
        bytes.set(this.nan(below(2) === 0 ? 4 : 8), bytes.length - 16 + 8 * below(2));
    }
    this.code.bytes(bytes);
  }

  /** Little-endian bits of a NaN, quiet or signalling. */
  private nan(size: 4 | 8): Uint8Array {
    const { below } = this.source;
    const bytes = Uint8Array.from({ length: size }, () => below(256));
    bytes[size - 1] = below(2) === 0 ? 0x7f : 0xff;
    bytes[size - 2] = (bytes[size - 2] ?? 0) | (size === 4 ? 0x81 : 0xf1);
    return bytes;
  }

  private op(opcode: number, index: number): void {
    this.code.u8(opcode);
    this.code.u32(index);
  }

  private i32(value: number): void {
    this.code.u8(0x41);
    this.code.signed(value);
  }

  private address(): void {
    this.i32(this.source.below(MAX_ADDRESS));
  }

  private local(type: number): number {
    this.added.push(type);
    return this.locals + this.added.length - 1;
  }

  private insert(): void {
    const { module, below } = this.source;
    const pieces = [() => this.insertLoop(), () => this.insertBranch(), () => this.insertNanChain()];
    if (module.memory !== null && module.memory.min > 0) {
      pieces.push(
        () => this.insertBulk(),
        () => this.insertGrowth(),
        () => this.insertStore(),
        () => this.insertVectorChain(),
      );
    }
    if (module.tables[0]?.elementType === FUNCREF) pieces.push(() => this.insertTable());
    pieces[below(pieces.length)]?.();
  }

  /** Counts down; from 0 to a few passes, sometimes with work in it. */
  private insertLoop(): void {
    const { code } = this;
    const counter = this.local(I32);
    this.i32(1 + this.source.below(6));
    this.op(OP.localSet, counter);
    code.u8(OP.loop, 0x40);
    if (this.source.below(2) === 0) this.insertNanChain();
    this.op(OP.localGet, counter);
    this.i32(1);
    code.u8(0x6b);
    this.op(OP.localTee, counter);
    this.op(OP.brIf, 0);
    code.u8(OP.end);
  }

  /** Blocks that are left by a branch table, by a branch, or not at all. */
  private insertBranch(): void {
    const { code } = this;
    const { below } = this.source;
    code.u8(OP.block, 0x40, OP.block, 0x40);
    this.i32(below(4));
    if (below(2) === 0) code.u8(OP.brTable, 2, 0, 1, 0);
    else code.u8(OP.brIf, below(2));
    code.u8(0x01, OP.end, 0x01, OP.end);
  }

  /** Arithmetic on NaNs through a local, seen at the end by its bits or not at all. */
  private insertNanChain(): void {
    const { code } = this;
    const { below } = this.source;
    const is32 = below(2) === 0;
    const local = this.local(is32 ? F32 : F64);
    const constant = (): void => {
      code.u8(is32 ? 0x43 : 0x44);
      code.bytes(this.nan(is32 ? 4 : 8));
    };
    constant();
    this.op(OP.localGet, local);
    code.u8((is32 ? 0x92 : 0xa0) + below(6));
    if (below(3) === 0) code.u8((is32 ? 0x8b : 0x99) + below(2));
    this.op(OP.localSet, local);
    this.op(OP.localGet, local);
    if (below(2) === 0) {
      this.op(OP.localGet, local);
      code.u8(is32 ? 0x98 : 0xa6);
    }
    const { memory } = this.source.module;
    if (below(3) > 0 && memory !== null && memory.min > 0) this.storeBits(is32);
    else code.u8(OP.drop);
  }

  /** Lanes of one shape, made by arithmetic and seen in another shape, or as bytes of memory. */
  private insertVectorChain(): void {
    const { code } = this;
    const { below } = this.source;
    // One each: what is seen of a local is seen of all that was ever put into it.
    const [first, last] = [this.local(V128), this.local(V128)];
    for (let operand = 0; operand < 2; operand++) {
      code.u8(0xfd, 12);
      for (let half = 0; half < 2; half++)
        code.bytes(below(2) === 0 ? this.nan(8) : concatNans(this.nan(4), this.nan(4)));
    }
    this.vectorOp((below(2) === 0 ? F32X4_ADD : F64X2_ADD) + below(6));
    if (below(2) === 0) {
      this.op(OP.localSet, first);
      this.op(OP.localGet, first);
      this.op(OP.localGet, first);
      this.vectorOp((below(2) === 0 ? F32X4_ADD : F64X2_ADD) + below(6));
    }
    this.op(OP.localSet, last);
    this.address();
    this.op(OP.localGet, last);
    code.u8(0xfd, 11, 0, 0);
  }

  private vectorOp(number: number): void {
    this.code.u8(0xfd);
    this.code.u32(number);
  }

  private storeBits(is32: boolean): void {
    const { code } = this;
    const bits = this.local(is32 ? I32 : I64);
    code.u8(is32 ? 0xbc : 0xbd);
    this.op(OP.localSet, bits);
    this.address();
    this.op(OP.localGet, bits);
    code.u8(is32 ? 0x36 : 0x37, 0, 0);
  }

  private insertStore(): void {
    const { code } = this;
    const is32 = this.source.below(2) === 0;
    this.address();
    code.u8(is32 ? 0x43 : 0x44);
    code.bytes(this.nan(is32 ? 4 : 8));
    code.u8(is32 ? 0x43 : 0x44);
    code.bytes(new Uint8Array(is32 ? 4 : 8));
    code.u8((is32 ? 0x92 : 0xa0) + this.source.below(6), is32 ? 0x38 : 0x39, 0, 0);
  }

  private insertBulk(): void {
    const { code } = this;
    this.address();
    this.address();
    this.i32(this.source.below(MAX_LENGTH));
    if (this.source.below(2) === 0) code.u8(0xfc, 10, 0, 0);
    else code.u8(0xfc, 11, 0);
  }

  private insertGrowth(): void {
    this.i32(this.source.below(10) === 0 ? -1 : this.source.below(2));
    this.code.u8(OP.memoryGrow, 0);
    this.address();
    this.code.u8(0x6a, OP.drop, OP.memorySize, 0, OP.drop);
  }

  private insertTable(): void {
    const { code } = this;
    const { below, module } = this.source;
    const entries = module.tables[0]?.min ?? 0;
    const count = below(2);
    if (below(3) === 0 && entries > 0) {
      this.i32(below(entries));
      this.i32(below(entries));
      this.i32(count);
      code.u8(0xfc, 14, 0, 0);
      return;
    }
    code.u8(0xd0, FUNCREF);
    this.i32(count);
    code.u8(0xfc, 15, 0, OP.drop, 0xfc, 16, 0, OP.drop);
  }
}
