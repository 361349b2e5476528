/**
 * Every opcode that a job's module may use: immediates, operands, results, and what it means for NaNs.
 * Numbers from the core specification 2.0, sections 5.4.1 to 5.4.9. One-byte opcodes stand at 0 to 255, those after the
 * prefixes 0xfc and 0xfd at 256 and 512 plus their number.
 */
export const PREFIX_MISC = 256;
export const PREFIX_SIMD = 512;
const SIZE = 768;

/** How the immediates of an opcode are encoded. */
export const IMMEDIATE = {
  undefined: 0,
  none: 1,
  index: 2,
  twoIndices: 3,
  memory: 4,
  memoryAndLane: 5,
  lane: 6,
  bytes16: 7,
  i32: 8,
  i64: 9,
  f32: 10,
  f64: 11,
  zeroByte: 12,
  twoZeroBytes: 13,
  indexAndZeroByte: 14,
  referenceType: 15,
  /** Control instructions and typed select, decoded one by one. */
  special: 16,
} as const;

/**
 * What an instruction does with the bits of a NaN that it takes. `observe`: they may show. `f32`, `f64`: it does not tell
 * NaNs apart (arithmetic, comparison, truncation). `f32x4`, `f64x2`: the same for each lane of that shape. `pass`: it
 * hands them on.
 */
export const TAKES = { observe: 0, scalar: 1, f32x4: 2, f64x2: 3, pass: 4 } as const;
/** Whose result may be a NaN that the specification does not fix (core specification, section 4.3.3). */
export const GIVES = { exact: 0, f32: 1, f64: 2, f32x4: 3, f64x2: 4 } as const;

export interface OpcodeTable {
  readonly immediates: Uint8Array;
  readonly pops: Uint8Array;
  readonly pushes: Uint8Array;
  readonly takes: Uint8Array;
  readonly gives: Uint8Array;
}

const table = {
  immediates: new Uint8Array(SIZE),
  pops: new Uint8Array(SIZE),
  pushes: new Uint8Array(SIZE),
  takes: new Uint8Array(SIZE),
  gives: new Uint8Array(SIZE),
};

interface Definition {
  readonly immediate?: keyof typeof IMMEDIATE;
  readonly takes?: keyof typeof TAKES;
  readonly gives?: keyof typeof GIVES;
}

/** `shape` is operands and results: '2>1'. Each range is a first and a last opcode, or one opcode. */
function define(shape: string, ranges: readonly (number | readonly [number, number])[], definition: Definition = {}) {
  for (const range of ranges) {
    const [first, last] = typeof range === 'number' ? [range, range] : range;
    for (let opcode = first; opcode <= last; opcode++) {
      table.immediates[opcode] = IMMEDIATE[definition.immediate ?? 'none'];
      table.pops[opcode] = Number(shape[0]);
      table.pushes[opcode] = Number(shape[2]);
      table.takes[opcode] = TAKES[definition.takes ?? 'observe'];
      table.gives[opcode] = GIVES[definition.gives ?? 'exact'];
    }
  }
}

function defineControlAndVariables(): void {
  define('0>0', [0x00, [0x02, 0x05], [0x0b, 0x11]], { immediate: 'special' });
  define('0>0', [0x01]);
  define('1>0', [0x1a], { takes: 'scalar' });
  define('3>1', [0x1b], { takes: 'pass' });
  define('3>1', [0x1c], { immediate: 'special', takes: 'pass' });
  define('0>1', [0x20, 0x23, 0xd2], { immediate: 'index' });
  define('1>0', [0x21, 0x24], { immediate: 'index' });
  define('1>1', [0x22, 0x25], { immediate: 'index' });
  define('2>0', [0x26], { immediate: 'index' });
  define('0>1', [0xd0], { immediate: 'referenceType' });
  define('1>1', [0xd1]);
}

function defineMemory(): void {
  define('1>1', [[0x28, 0x35]], { immediate: 'memory' });
  define('2>0', [[0x36, 0x3e]], { immediate: 'memory' });
  define('0>1', [0x3f], { immediate: 'zeroByte' });
  define('1>1', [0x40], { immediate: 'zeroByte' });
}

function defineScalars(): void {
  define('0>1', [0x41], { immediate: 'i32' });
  define('0>1', [0x42], { immediate: 'i64' });
  define('0>1', [0x43], { immediate: 'f32' });
  define('0>1', [0x44], { immediate: 'f64' });
  define('1>1', [0x45, 0x50, [0x67, 0x69], [0x79, 0x7b], [0xac, 0xad], [0xb2, 0xb5], [0xb7, 0xba]]);
  define('1>1', [0xa7, [0xbc, 0xbf], [0xc0, 0xc4]]);
  define('2>1', [
    [0x46, 0x4f],
    [0x51, 0x5a],
    [0x6a, 0x78],
    [0x7c, 0x8a],
  ]);
  define('2>1', [[0x5b, 0x66]], { takes: 'scalar' });
  define('1>1', [0x8b, 0x8c, 0x99, 0x9a], { takes: 'pass' });
  define('1>1', [[0x8d, 0x91]], { takes: 'scalar', gives: 'f32' });
  define('2>1', [[0x92, 0x97]], { takes: 'scalar', gives: 'f32' });
  define('1>1', [[0x9b, 0x9f]], { takes: 'scalar', gives: 'f64' });
  define('2>1', [[0xa0, 0xa5]], { takes: 'scalar', gives: 'f64' });
  define('2>1', [0x98, 0xa6]);
  define('1>1', [
    [0xa8, 0xab],
    [0xae, 0xb1],
  ], { takes: 'scalar' });
  define('1>1', [0xb6], { takes: 'scalar', gives: 'f32' });
  define('1>1', [0xbb], { takes: 'scalar', gives: 'f64' });
}

function defineMisc(): void {
  const at = PREFIX_MISC;
  define('1>1', [[at, at + 7]], { takes: 'scalar' });
  define('3>0', [at + 8], { immediate: 'indexAndZeroByte' });
  define('0>0', [at + 9, at + 13], { immediate: 'index' });
  define('3>0', [at + 10], { immediate: 'twoZeroBytes' });
  define('3>0', [at + 11], { immediate: 'zeroByte' });
  define('3>0', [at + 12, at + 14], { immediate: 'twoIndices' });
  define('2>1', [at + 15], { immediate: 'index' });
  define('0>1', [at + 16], { immediate: 'index' });
  define('3>0', [at + 17], { immediate: 'index' });
}

function simd(...numbers: readonly (number | readonly [number, number])[]): (number | readonly [number, number])[] {
  return numbers.map((item) =>
    typeof item === 'number' ? item + PREFIX_SIMD : ([item[0] + PREFIX_SIMD, item[1] + PREFIX_SIMD] as const),
  );
}

function defineSimdMemoryAndLanes(): void {
  define('1>1', simd([0, 10], 92, 93), { immediate: 'memory' });
  define('2>0', simd(11), { immediate: 'memory' });
  define('0>1', simd(12), { immediate: 'bytes16' });
  define('2>1', simd(13), { immediate: 'bytes16' });
  define('2>1', simd(14));
  define('1>1', simd([15, 20]));
  define('1>1', simd(21, 22, 24, 25, 27, 29, 31, 33), { immediate: 'lane' });
  define('2>1', simd(23, 26, 28, 30, 32, 34), { immediate: 'lane' });
  define('2>1', simd([84, 87]), { immediate: 'memoryAndLane' });
  define('2>0', simd([88, 91]), { immediate: 'memoryAndLane' });
}

function defineSimdIntegers(): void {
  define('2>1', simd([35, 64], [78, 81], 101, 102, [107, 115], [118, 121], 123, 130, 133, 134, [139, 147]));
  define('1>1', simd(77, 83, [96, 100], [124, 129], 131, 132, [135, 138]));
  define('3>1', simd(82));
  define('2>1', simd([149, 153], 155, [156, 159], [171, 174], 177, [181, 186], [188, 191]));
  define('1>1', simd(160, 161, 163, 164, [167, 170], 192, 193, 195, 196, [199, 202]));
  define('2>1', simd([203, 206], 209, 213, [214, 223]));
}

function defineSimdFloats(): void {
  define('2>1', simd([65, 70]), { takes: 'f32x4' });
  define('2>1', simd([71, 76]), { takes: 'f64x2' });
  define('1>1', simd(94), { takes: 'f64x2', gives: 'f32x4' });
  define('1>1', simd(95), { takes: 'f32x4', gives: 'f64x2' });
  define('1>1', simd([103, 106], 227), { takes: 'f32x4', gives: 'f32x4' });
  define('1>1', simd(116, 117, 122, 148, 239), { takes: 'f64x2', gives: 'f64x2' });
  define('2>1', simd([228, 233]), { takes: 'f32x4', gives: 'f32x4' });
  define('2>1', simd([240, 245]), { takes: 'f64x2', gives: 'f64x2' });
  define('1>1', simd(224, 225, 236, 237), { takes: 'pass' });
  define('2>1', simd(234, 235, 246, 247));
  define('1>1', simd(248, 249), { takes: 'f32x4' });
  define('1>1', simd(250, 251, 254, 255));
  define('1>1', simd(252, 253), { takes: 'f64x2' });
}

defineControlAndVariables();
defineMemory();
defineScalars();
defineMisc();
defineSimdMemoryAndLanes();
defineSimdIntegers();
defineSimdFloats();

export const OPCODES: OpcodeTable = table;

/** Opcodes with a meaning of their own for the instrumenter. */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableGet: 0x25,
  tableSet: 0x26,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  refFunc: 0xd2,
  memoryInit: PREFIX_MISC + 8,
  dataDrop: PREFIX_MISC + 9,
  memoryCopy: PREFIX_MISC + 10,
  memoryFill: PREFIX_MISC + 11,
  tableInit: PREFIX_MISC + 12,
  elemDrop: PREFIX_MISC + 13,
  tableCopy: PREFIX_MISC + 14,
  tableGrow: PREFIX_MISC + 15,
  tableSize: PREFIX_MISC + 16,
  tableFill: PREFIX_MISC + 17,
} as const;

/** The name of the proposal that an opcode outside the table belongs to. */
export function describeUnsupportedOpcode(prefix: number, number: number): string | null {
  if (prefix === 0xfe) return 'threads and atomic instructions';
  if (prefix === 0xfb) return 'garbage-collected types';
  if (prefix === 0xfd) return number >= 256 ? 'relaxed SIMD' : null;
  if (prefix === 0xfc) return null;
  if (number === 0x12 || number === 0x13) return 'tail calls';
  if (number === 0x14 || number === 0x15 || (number >= 0xd3 && number <= 0xd6)) return 'typed function references';
  if ((number >= 0x06 && number <= 0x0a) || number === 0x18 || number === 0x19 || number === 0x1f) {
    return 'exception handling';
  }
  return null;
}
