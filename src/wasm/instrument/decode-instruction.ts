import type { ByteReader } from '../binary/byte-reader.ts';
import { WasmError } from '../errors.ts';
import { describeUnsupportedOpcode, IMMEDIATE, OPCODES, PREFIX_MISC, PREFIX_SIMD } from './opcodes.ts';

/** One decoded instruction; the object is reused by the next call. */
export interface Instruction {
  /** As numbered in OPCODES. */
  opcode: number;
  /** First immediate where it is an index, else 0. */
  index: number;
  /** Second index of call_indirect (table) and of the table instructions. */
  second: number;
}

function unsupported(feature: string): never {
  throw new WasmError({ code: 'WASM_UNSUPPORTED', feature });
}

function readZeroByte(reader: ByteReader): void {
  if (reader.u8() !== 0) unsupported('more than one memory');
}

function skipMemoryArgument(reader: ByteReader): void {
  const alignment = reader.u32();
  if ((alignment & 0x40) !== 0) unsupported('more than one memory');
  reader.skipLeb(5);
}

function readOpcode(reader: ByteReader): number {
  const first = reader.u8();
  const isMisc = first === 0xfc;
  const isSimd = first === 0xfd;
  if (!isMisc && !isSimd) {
    if (OPCODES.immediates[first] === IMMEDIATE.undefined) refuseOpcode(reader, first, 0);
    return first;
  }
  const number = reader.u32();
  const opcode = (isMisc ? PREFIX_MISC : PREFIX_SIMD) + number;
  if (number > 255 || OPCODES.immediates[opcode] === IMMEDIATE.undefined) refuseOpcode(reader, first, number);
  return opcode;
}

function refuseOpcode(reader: ByteReader, prefix: number, number: number): never {
  const feature = describeUnsupportedOpcode(prefix, prefix >= 0xfb ? number : prefix);
  if (feature !== null) unsupported(feature);
  return reader.fail(`unknown opcode 0x${prefix.toString(16)} ${number}`);
}

/** Reads an instruction with its immediates, except those of the `special` ones. */
export function decodeInstruction(reader: ByteReader, instruction: Instruction): void {
  const opcode = readOpcode(reader);
  instruction.opcode = opcode;
  instruction.index = 0;
  instruction.second = 0;
  switch (OPCODES.immediates[opcode]) {
    case IMMEDIATE.index:
      instruction.index = reader.u32();
      return;
    case IMMEDIATE.twoIndices:
      instruction.index = reader.u32();
      instruction.second = reader.u32();
      return;
    case IMMEDIATE.memory:
      return skipMemoryArgument(reader);
    case IMMEDIATE.memoryAndLane:
      skipMemoryArgument(reader);
      return reader.skip(1);
    case IMMEDIATE.lane:
      return reader.skip(1);
    case IMMEDIATE.bytes16:
      return reader.skip(16);
    case IMMEDIATE.i32:
      return reader.skipLeb(5);
    case IMMEDIATE.i64:
      return reader.skipLeb(10);
    case IMMEDIATE.f32:
      return reader.skip(4);
    case IMMEDIATE.f64:
      return reader.skip(8);
    case IMMEDIATE.zeroByte:
      return readZeroByte(reader);
    case IMMEDIATE.twoZeroBytes:
      readZeroByte(reader);
      return readZeroByte(reader);
    case IMMEDIATE.indexAndZeroByte:
      instruction.index = reader.u32();
      return readZeroByte(reader);
    case IMMEDIATE.referenceType:
      return skipReferenceType(reader);
    default:
      return;
  }
}

function skipReferenceType(reader: ByteReader): void {
  const type = reader.u8();
  if (type !== 0x70 && type !== 0x6f) unsupported('typed function references');
}
