import { ByteWriter } from '../binary/byte-writer.ts';
import { F32, I32 } from '../binary/types.ts';
import { BULK_BYTES_PER_FUEL_LOG2, GROW_FUEL, HOST_MEMORY_MARK, PAGE_FUEL } from '../constants.ts';
import { OP } from './opcodes.ts';

export interface HelperIndices {
  readonly fuelGlobal: number;
  readonly stackGlobal: number;
}

const END = OP.end;

function body(write: (out: ByteWriter) => void, locals: readonly number[] = []): Uint8Array {
  const out = new ByteWriter(64);
  out.u32(locals.length);
  for (const type of locals) out.u8(1, type);
  write(out);
  out.u8(END);
  return out.view();
}

function op(out: ByteWriter, opcode: number, index: number): void {
  out.u8(opcode);
  out.u32(index);
}

/** Takes the i64 on the stack from the fuel and traps where that is too much. */
function emitDynamicCharge(out: ByteWriter, indices: HelperIndices, pushCost: () => void): void {
  op(out, OP.globalGet, indices.fuelGlobal);
  pushCost();
  out.u8(0x7d);
  op(out, OP.globalSet, indices.fuelGlobal);
  op(out, OP.globalGet, indices.fuelGlobal);
  out.u8(0x42, 0x00, 0x53, OP.if, 0x40, OP.unreachable, END);
}

/** (n: i32) -> n: charges n, or n / 8 for bytes, n unsigned. */
export function createChargeBody(indices: HelperIndices, unit: 'bytes' | 'items'): Uint8Array {
  return body((out) => {
    emitDynamicCharge(out, indices, () => {
      op(out, OP.localGet, 0);
      out.u8(0xad);
      if (unit === 'bytes') out.u8(0x42, BULK_BYTES_PER_FUEL_LOG2, 0x88);
    });
    op(out, OP.localGet, 0);
  });
}

/**
 * (n: i32) -> i32: memory.grow, which fails by the limit alone. If the host has no memory where the limit allows it, the
 * program does not get to see it: a mark is left for the host and the run is given up.
 */
export function createGrowBody(indices: HelperIndices, maxPages: number): Uint8Array {
  const n = 0;
  const result = 1;
  return body(
    (out) => {
      op(out, OP.localGet, n);
      out.u8(0x41);
      out.signed(maxPages);
      out.u8(OP.memorySize, 0, 0x6b, 0x4b, OP.if, 0x40, 0x41, 0x7f, OP.return, END);
      emitDynamicCharge(out, indices, () => {
        op(out, OP.localGet, n);
        out.u8(0xad, 0x42);
        out.signed(PAGE_FUEL);
        out.u8(0x7e, 0x42);
        out.signed(GROW_FUEL);
        out.u8(0x7c);
      });
      op(out, OP.localGet, n);
      out.u8(OP.memoryGrow, 0);
      op(out, OP.localTee, result);
      out.u8(0x41, 0x7f, 0x46, OP.if, 0x40, 0x41);
      out.signed(HOST_MEMORY_MARK);
      op(out, OP.globalSet, indices.stackGlobal);
      out.u8(OP.unreachable, END);
      op(out, OP.localGet, result);
    },
    [I32],
  );
}

/** () -> i32 or i64: the bits of a float global. */
export function createReadBitsBody(global: number, type: number): Uint8Array {
  return body((out) => {
    op(out, OP.globalGet, global);
    out.u8(type === F32 ? 0xbc : 0xbd);
  });
}

/** (i32 or i64) -> (): sets a float global by its bits. */
export function createWriteBitsBody(global: number, type: number): Uint8Array {
  return body((out) => {
    op(out, OP.localGet, 0);
    out.u8(type === F32 ? 0xbe : 0xbf);
    op(out, OP.globalSet, global);
  });
}
