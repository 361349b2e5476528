import { ProgramBuildError } from './errors.ts';
import {
  CALL_KINDS,
  decodeInstruction,
  FRAME_POINTER,
  INSTRUCTION_BYTES,
  type Instruction,
  OPCODES,
} from './instructions.ts';
import type { LinkedProgram } from './relink.ts';
import { findSyscallName } from './syscalls.ts';

/**
 * Refuses, on the finished code, what the runtime's verifier refuses (`RequisiteVerifier` of solana-sbpf, SBPF v3), what
 * it only finds when it runs, and two things that run but not as compiled:
 *
 * - 32-bit arithmetic: SBPF v3 extends the sign of the results of add, subtract and multiply, LLVM expects zeros;
 * - the stack outside of a function's own 4,096 bytes: frames lie side by side without gaps.
 */
export interface ScanReport {
  readonly instructions: number;
  /** Names, sorted. */
  readonly syscalls: readonly string[];
}

/** One frame of the virtual machine (`stack_frame_size`). */
const FRAME_BYTES = 4096;
const LAST_REGISTER = 10;

const CLASSES = { load: 1, store: 2, storeRegister: 3, alu32: 4, jump: 5, alu64: 7 } as const;
/** Upper four bits of an opcode of class alu64, and which of them take neither shift nor zero as immediate. */
const ALU = { divide: 0x3, shiftLeft: 0x6, shiftRight: 0x7, negate: 0x8, modulo: 0x9, shiftRightSigned: 0xc } as const;
const LAST_ALU = 0xc;
const LAST_JUMP = 0xd;
/** `le` and `be`, the two of class alu32 that LLVM means as SBPF has them. */
const ENDIAN_OPCODES: ReadonlySet<number> = new Set([0xd4, 0xdc]);
/** Forms with a register of instructions that have none: `ja`, `exit`. */
const NO_JUMPS: ReadonlySet<number> = new Set([0x0d, 0x9d]);
const MEMORY_MODE = 0x60;
const REGISTER_FORM = 0x08;

interface Place {
  readonly index: number;
  readonly instruction: Instruction;
  /** Which of the eight bytes begin an instruction. */
  readonly isStart: readonly boolean[];
}

export function scanProgram({ code, entryOffset }: LinkedProgram): ScanReport {
  const isStart = findStarts(code);
  const syscalls = new Set<string>();
  if (isStart[entryOffset / INSTRUCTION_BYTES] !== true) {
    throw refuse({ index: entryOffset / INSTRUCTION_BYTES, opcode: 0 }, 'the entry point is no instruction');
  }
  let previous: Instruction | undefined;
  for (let index = 0; index < isStart.length; index += 1) {
    if (isStart[index] !== true) continue;
    const instruction = decodeInstruction(code, index);
    const place = { index, instruction, isStart };
    checkRegisters(place);
    checkOperation(place, syscalls);
    checkStack(place, previous);
    previous = instruction;
  }
  return { instructions: isStart.length, syscalls: [...syscalls].sort() };
}

function findStarts(code: Uint8Array): readonly boolean[] {
  const count = code.length / INSTRUCTION_BYTES;
  if (count === 0 || !Number.isInteger(count)) throw refuse({ index: 0, opcode: 0 }, `${code.length} bytes of code`);
  const isStart = Array.from({ length: count }, () => true);
  for (let index = 0; index < count; index += 1) {
    const { opcode } = decodeInstruction(code, index);
    if (opcode !== OPCODES.lddw) continue;
    if (index + 1 >= count) throw refuse({ index, opcode }, 'its second half is missing');
    const second = decodeInstruction(code, index + 1);
    if (second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.offset !== 0) {
      throw refuse({ index, opcode }, 'its second half is malformed');
    }
    isStart[index + 1] = false;
    index += 1;
  }
  return isStart;
}

function checkRegisters({ index, instruction }: Place): void {
  const { opcode, dst, src } = instruction;
  const isStore = [CLASSES.store, CLASSES.storeRegister].some((kind) => kind === (opcode & 7));
  if (src > LAST_REGISTER || dst > LAST_REGISTER) throw refuse({ index, opcode }, 'there is no such register');
  // The verifier knows only stores as not writing: it refuses a comparison with r10 on the left as well.
  if (dst === FRAME_POINTER && !isStore) throw refuse({ index, opcode }, 'it writes the frame pointer');
}

function checkOperation(place: Place, syscalls: Set<string>): void {
  const { index, instruction } = place;
  const { opcode } = instruction;
  if (opcode === OPCODES.lddw) return;
  switch (opcode & 7) {
    case CLASSES.load:
    case CLASSES.storeRegister:
    case CLASSES.store:
      if ((opcode & 0xe0) !== MEMORY_MODE) throw refuse({ index, opcode }, 'it is atomic or extends a sign');
      return;
    case CLASSES.alu64:
      return checkArithmetic(place);
    case CLASSES.alu32:
      if (!ENDIAN_OPCODES.has(opcode)) throw refuse({ index, opcode }, '32-bit arithmetic has another meaning here');
      if (![16, 32, 64].includes(instruction.immediate)) throw refuse({ index, opcode }, 'it swaps no such width');
      return;
    case CLASSES.jump:
      return checkJump(place, syscalls);
    default:
      throw refuse({ index, opcode }, 'the virtual machine has no such instruction');
  }
}

function checkArithmetic({ index, instruction }: Place): void {
  const { opcode, immediate, offset } = instruction;
  const operation = opcode >> 4;
  const isImmediate = (opcode & REGISTER_FORM) === 0;
  if (operation > LAST_ALU || offset !== 0) throw refuse({ index, opcode }, 'signed division or a wider move');
  if (operation === ALU.negate && !isImmediate) throw refuse({ index, opcode }, 'there is no such instruction');
  if (!isImmediate) return;
  const isDivision = operation === ALU.divide || operation === ALU.modulo;
  if (isDivision && immediate === 0) throw refuse({ index, opcode }, 'it divides by zero');
  const isShift = operation === ALU.shiftLeft || operation === ALU.shiftRight || operation === ALU.shiftRightSigned;
  if (isShift && (immediate < 0 || immediate > 63)) throw refuse({ index, opcode }, 'it shifts by more than the width');
}

function checkJump({ index, instruction, isStart }: Place, syscalls: Set<string>): void {
  const { opcode, src, immediate, offset } = instruction;
  if (opcode === OPCODES.exit || opcode === OPCODES.callRegister) return;
  if (opcode === OPCODES.call) {
    if (src === CALL_KINDS.syscall) {
      const name = findSyscallName(immediate >>> 0);
      if (name === undefined)
        throw refuse({ index, opcode }, `0x${(immediate >>> 0).toString(16)} is no known syscall`);
      syscalls.add(name);
      return;
    }
    if (src !== CALL_KINDS.local) throw refuse({ index, opcode }, `there is no call of kind ${src}`);
    if (isStart[index + 1 + immediate] !== true) throw refuse({ index, opcode }, 'it calls what is no instruction');
    return;
  }
  const isKnown = opcode >> 4 <= LAST_JUMP && !NO_JUMPS.has(opcode);
  if (!isKnown) throw refuse({ index, opcode }, 'the virtual machine has no such instruction');
  if (isStart[index + 1 + offset] !== true) throw refuse({ index, opcode }, 'it jumps to what is no instruction');
}

/** Loads and stores relative to r10, and addresses made with `r = r10; r += n`. */
function checkStack({ index, instruction }: Place, previous: Instruction | undefined): void {
  const { opcode, dst, src, offset, immediate } = instruction;
  const kind = opcode & 7;
  const isLoad = kind === CLASSES.load && src === FRAME_POINTER;
  const isStore = (kind === CLASSES.store || kind === CLASSES.storeRegister) && dst === FRAME_POINTER;
  if ((isLoad || isStore) && (offset >= 0 || offset < -FRAME_BYTES)) {
    throw refuse({ index, opcode }, `r10${offset < 0 ? '' : '+'}${offset} is outside of the stack frame`);
  }
  const isAddress =
    opcode === OPCODES.addImmediate &&
    previous?.opcode === OPCODES.move &&
    previous.src === FRAME_POINTER &&
    previous.dst === dst;
  if (isAddress && (immediate > 0 || immediate < -FRAME_BYTES)) {
    throw refuse({ index, opcode }, `r10 plus ${immediate} is outside of the stack frame`);
  }
}

function refuse(at: { readonly index: number; readonly opcode: number }, reason: string): ProgramBuildError {
  return new ProgramBuildError({ code: 'PROGRAMS_INSTRUCTION', ...at, reason });
}
