import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/wasm/binary/byte-writer.ts';
import {
  describeUnsupportedOpcode,
  IMMEDIATE,
  OPCODES,
  PREFIX_MISC,
  PREFIX_SIMD,
} from '../../../src/wasm/instrument/opcodes.ts';

const CONSTANTS = [
  [0x41, 0],
  [0x42, 0],
  [0x43, 0, 0, 0, 0],
  [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
  [0xfd, 12, ...new Array<number>(16).fill(0)],
  [0xd0, 0x70],
  [0xd0, 0x6f],
];
const IMMEDIATES: Readonly<Record<number, readonly number[]>> = {
  [IMMEDIATE.none]: [],
  [IMMEDIATE.index]: [0],
  [IMMEDIATE.twoIndices]: [0, 0],
  [IMMEDIATE.memory]: [0, 0],
  [IMMEDIATE.memoryAndLane]: [0, 0, 0],
  [IMMEDIATE.lane]: [0],
  [IMMEDIATE.bytes16]: new Array<number>(16).fill(0),
  [IMMEDIATE.i32]: [0],
  [IMMEDIATE.i64]: [0],
  [IMMEDIATE.f32]: [0, 0, 0, 0],
  [IMMEDIATE.f64]: [0, 0, 0, 0, 0, 0, 0, 0],
  [IMMEDIATE.zeroByte]: [0],
  [IMMEDIATE.twoZeroBytes]: [0, 0],
  [IMMEDIATE.indexAndZeroByte]: [0, 0],
  [IMMEDIATE.referenceType]: [0x70],
};

function section(id: number, content: readonly number[]): number[] {
  const out = new ByteWriter();
  out.u8(id);
  out.u32(content.length);
  return [...out.view(), ...content];
}

/** A module with one of everything, whose only function has this code. */
function moduleOf(code: readonly number[]): Uint8Array {
  const body = [1, 1, 0x7f, ...code, 0x0b];
  const size = new ByteWriter();
  size.u32(body.length);
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(4, [1, 0x70, 0, 1]),
    ...section(5, [1, 0, 1]),
    ...section(6, [1, 0x7f, 1, 0x41, 0, 0x0b]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(9, [1, 1, 0, 1, 0]),
    ...section(12, [1]),
    ...section(10, [1, ...size.view(), ...body]),
    ...section(11, [1, 1, 0]),
  ]);
}

function* operands(count: number): Generator<number[]> {
  if (count === 0) return yield [];
  for (const rest of operands(count - 1)) for (const constant of CONSTANTS) yield [...constant, ...rest];
}

function encode(opcode: number): number[] {
  const out = new ByteWriter();
  if (opcode >= PREFIX_SIMD) {
    out.u8(0xfd);
    out.u32(opcode - PREFIX_SIMD);
  } else if (opcode >= PREFIX_MISC) {
    out.u8(0xfc);
    out.u32(opcode - PREFIX_MISC);
  } else out.u8(opcode);
  return [...out.view(), ...(IMMEDIATES[OPCODES.immediates[opcode] ?? 0] ?? [])];
}

/** True if the engine takes exactly `pops` operands of some types and gives exactly `pushes` results. */
function engineAgrees(opcode: number, pops: number, pushes: number): boolean {
  const drops = new Array<number>(pushes).fill(0x1a);
  for (const before of operands(pops)) {
    if (WebAssembly.validate(moduleOf([...before, ...encode(opcode), ...drops]))) return true;
  }
  return false;
}

describe('opcode table', () => {
  const plain = [...OPCODES.immediates.keys()].filter((opcode) => {
    const immediate = OPCODES.immediates[opcode] ?? IMMEDIATE.undefined;
    return immediate !== IMMEDIATE.undefined && immediate !== IMMEDIATE.special;
  });

  it('agrees with the engine on immediates, operands and results of every plain opcode', () => {
    const wrong = plain.filter(
      (opcode) => !engineAgrees(opcode, OPCODES.pops[opcode] ?? 9, OPCODES.pushes[opcode] ?? 9),
    );
    expect(wrong.map((opcode) => opcode.toString(16))).toEqual([]);
  });

  it('names the feature of every other opcode that the engine accepts', () => {
    const candidates = [...new Array(0xfb).keys(), ...Array.from({ length: 256 }, (_, index) => PREFIX_SIMD + index)];
    const nameless = candidates.filter((opcode) => {
      if (OPCODES.immediates[opcode] !== IMMEDIATE.undefined) return false;
      if (opcode < 256 && describeUnsupportedOpcode(opcode, opcode) !== null) return false;
      return [[], [0], [0, 0]].some((bytes) =>
        WebAssembly.validate(moduleOf([0x00, ...encode(opcode), ...bytes, 0x00])),
      );
    });
    expect(nameless.map((opcode) => opcode.toString(16))).toEqual([]);
  });

  it.each([
    [0x12, 0x12, 'tail calls'],
    [0x14, 0x14, 'typed function references'],
    [0x06, 0x06, 'exception handling'],
    [0xfe, 0, 'threads and atomic instructions'],
    [0xfb, 0, 'garbage-collected types'],
    [0xfd, 256, 'relaxed SIMD'],
  ])('0x%x %i is %s', (prefix, number, feature) => {
    expect(describeUnsupportedOpcode(prefix, number)).toBe(feature);
  });
});
