import type { ByteReader } from '../../src/wasm/binary/byte-reader.ts';
import { ByteWriter } from '../../src/wasm/binary/byte-writer.ts';
import type { ParsedModule } from '../../src/wasm/binary/types.ts';
import { OP } from '../../src/wasm/instrument/opcodes.ts';

/** Sections stand in this order (core specification, section 5.5.16). */
export const SECTION_ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

/** The module with some of its sections changed. */
export function writeModule({ bytes, raw }: ParsedModule, changed: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const out = new ByteWriter(bytes.length * 8);
  out.bytes(bytes.subarray(0, 8));
  for (const id of SECTION_ORDER) {
    const content = changed.get(id) ?? raw.get(id);
    if (content === undefined) continue;
    out.u8(id);
    out.u32(content.length);
    out.bytes(content);
  }
  return out.view().slice();
}

/** Immediates of the control instructions and of typed select. */
export function skipSpecial(reader: ByteReader, opcode: number): void {
  if (opcode === OP.block || opcode === OP.loop || opcode === OP.if) reader.s33();
  else if (opcode === OP.br || opcode === OP.brIf || opcode === OP.call) reader.u32();
  else if (opcode === OP.callIndirect) {
    reader.u32();
    reader.u32();
  } else if (opcode === OP.brTable) {
    for (let left = reader.u32(); left >= 0; left--) reader.u32();
  } else if (opcode === OP.selectTyped) reader.skip(reader.u32());
}
