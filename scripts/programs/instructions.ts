/** Instructions of SBPF: eight bytes, `opcode, src << 4 | dst, i16 offset, i32 immediate`; `lddw` takes two of them. */

export const INSTRUCTION_BYTES = 8;

export interface Instruction {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly immediate: number;
}

/** Names as in the Linux BPF instruction set, section by class and mode. */
export const OPCODES = {
  lddw: 0x18,
  loadWord: 0x61,
  storeWordImmediate: 0x62,
  storeWord: 0x63,
  call: 0x85,
  callRegister: 0x8d,
  exit: 0x95,
  addImmediate: 0x07,
  shiftLeftImmediate: 0x67,
  moveImmediate: 0xb7,
  move: 0xbf,
  shiftRightSignedImmediate: 0xc7,
} as const;

/** `src` of a call: whose function it is. */
export const CALL_KINDS = { syscall: 0, local: 1 } as const;

export const FRAME_POINTER = 10;

export function decodeInstruction(code: Uint8Array, index: number): Instruction {
  const view = new DataView(code.buffer, code.byteOffset + index * INSTRUCTION_BYTES, INSTRUCTION_BYTES);
  const registers = view.getUint8(1);
  return {
    opcode: view.getUint8(0),
    dst: registers & 0x0f,
    src: registers >> 4,
    offset: view.getInt16(2, true),
    immediate: view.getInt32(4, true),
  };
}

export function encodeInstruction(instruction: Partial<Instruction> & { readonly opcode: number }): Uint8Array {
  const bytes = new Uint8Array(INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, instruction.opcode);
  view.setUint8(1, ((instruction.src ?? 0) << 4) | (instruction.dst ?? 0));
  view.setInt16(2, instruction.offset ?? 0, true);
  view.setInt32(4, instruction.immediate ?? 0, true);
  return bytes;
}
