import { ProgramBuildError } from './errors.ts';
import { INSTRUCTION_BYTES } from './instructions.ts';
import { CODE_ADDRESS, type LinkedProgram, READ_ONLY_ADDRESS } from './relink.ts';

/**
 * The file that goes on chain, SBPF v3: an ELF header, a program header for the read-only data (left out where there is
 * none) and one for the code, then their bytes; no sections. SIMD-0178, SIMD-0189; what the loader checks is
 * `load_with_strict_parser` of solana-sbpf.
 */

/** What the upgradeable loader can hold (MAX_PERMITTED_DATA_LENGTH, less its own header). */
export const MAX_IMAGE_BYTES = 10 * 1024 * 1024 - 45;

const SBPF_VERSION = 3;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const IDENTIFICATION = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const TYPE_SHARED = 3;
const MACHINE_BPF = 247;
const SEGMENT_LOAD = 1;
const FLAGS = { execute: 1, read: 4 } as const;

interface Segment {
  readonly flags: number;
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export function encodeImage(program: LinkedProgram): Uint8Array {
  const segments: readonly Segment[] = [
    ...(program.readOnly.length > 0
      ? [{ flags: FLAGS.read, address: READ_ONLY_ADDRESS, bytes: program.readOnly }]
      : []),
    { flags: FLAGS.execute, address: CODE_ADDRESS, bytes: program.code },
  ];
  const headers = new Uint8Array(HEADER_BYTES + segments.length * PROGRAM_HEADER_BYTES);
  writeHeader(new DataView(headers.buffer), program.entryOffset, segments.length);
  headers.set(IDENTIFICATION);
  let offset = headers.length;
  for (const [index, segment] of segments.entries()) {
    const at = HEADER_BYTES + index * PROGRAM_HEADER_BYTES;
    writeSegment(new DataView(headers.buffer, at, PROGRAM_HEADER_BYTES), segment, offset);
    offset += segment.bytes.length;
  }
  if (offset > MAX_IMAGE_BYTES) throw malformed(`${offset} bytes are more than an account holds`);
  return Buffer.concat([headers, ...segments.map(({ bytes }) => bytes)]);
}

function writeHeader(view: DataView, entryOffset: number, segmentCount: number): void {
  view.setUint16(16, TYPE_SHARED, true);
  view.setUint16(18, MACHINE_BPF, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, CODE_ADDRESS + BigInt(entryOffset), true);
  view.setBigUint64(32, BigInt(HEADER_BYTES), true);
  view.setUint32(48, SBPF_VERSION, true);
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, segmentCount, true);
  view.setUint16(58, 64, true);
}

function writeSegment(view: DataView, { flags, address, bytes }: Segment, offset: number): void {
  view.setUint32(0, SEGMENT_LOAD, true);
  view.setUint32(4, flags, true);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, address, true);
  view.setBigUint64(24, address, true);
  view.setBigUint64(32, BigInt(bytes.length), true);
  view.setBigUint64(40, BigInt(bytes.length), true);
}

/** The inverse, for what is committed: takes only what `encodeImage` writes, to the byte. */
export function decodeImage(bytes: Uint8Array): LinkedProgram {
  if (bytes.length > MAX_IMAGE_BYTES) throw malformed(`${bytes.length} bytes are more than an account holds`);
  if (bytes.length < HEADER_BYTES + PROGRAM_HEADER_BYTES) throw malformed('shorter than its headers');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segmentCount = view.getUint16(56, true);
  const headersEnd = HEADER_BYTES + segmentCount * PROGRAM_HEADER_BYTES;
  if (segmentCount < 1 || segmentCount > 2 || headersEnd > bytes.length) throw malformed(`${segmentCount} segments`);
  const readOnlySize = segmentCount === 2 ? readSize(view, HEADER_BYTES) : 0n;
  const codeSize = readSize(view, headersEnd - PROGRAM_HEADER_BYTES);
  if (BigInt(headersEnd) + readOnlySize + codeSize !== BigInt(bytes.length)) throw malformed('sizes do not add up');
  const codeStart = headersEnd + Number(readOnlySize);
  const entryOffset = view.getBigUint64(24, true) - CODE_ADDRESS;
  if (entryOffset < 0n || entryOffset >= codeSize || entryOffset % BigInt(INSTRUCTION_BYTES) !== 0n) {
    throw malformed('the entry point is outside of the code');
  }
  const program = {
    readOnly: bytes.subarray(headersEnd, codeStart),
    code: bytes.subarray(codeStart),
    entryOffset: Number(entryOffset),
  };
  if (Buffer.compare(encodeImage(program), bytes) !== 0) throw malformed('its headers say something else');
  return program;
}

function readSize(view: DataView, header: number): bigint {
  const size = view.getBigUint64(header + 32, true);
  if (size % BigInt(INSTRUCTION_BYTES) !== 0n) throw malformed(`a segment of ${size} bytes`);
  return size;
}

function malformed(reason: string): ProgramBuildError {
  return new ProgramBuildError({ code: 'PROGRAMS_IMAGE', reason });
}
