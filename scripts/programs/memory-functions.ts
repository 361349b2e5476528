import { FRAME_POINTER, type Instruction, OPCODES } from './instructions.ts';

/**
 * The functions that LLVM calls for copies and comparisons of more than a few bytes, over the runtime's syscalls (10
 * compute units and one for each 250 bytes, where a loop over bytes costs six for each).
 *
 * A callee's r6 to r9 are its own in SBPF: the runtime restores the caller's.
 */
interface MemoryFunction {
  readonly before: readonly MemoryInstruction[];
  readonly syscall: string;
  readonly after: readonly MemoryInstruction[];
}

type MemoryInstruction = Partial<Instruction> & { readonly opcode: number };

/** What the four have in common with C: the first argument is the result. */
const KEEP_DESTINATION: MemoryInstruction = { opcode: OPCODES.move, dst: 6, src: 1 };
const RETURN_DESTINATION: MemoryInstruction = { opcode: OPCODES.move, dst: 0, src: 6 };

/** memcmp: the fourth argument of `sol_memcmp_` is where the result goes, an i32. */
const COMPARE: MemoryFunction = {
  before: [
    { opcode: OPCODES.move, dst: 4, src: FRAME_POINTER },
    { opcode: OPCODES.addImmediate, dst: 4, immediate: -8 },
  ],
  syscall: 'sol_memcmp_',
  after: [
    { opcode: OPCODES.loadWord, dst: 0, src: FRAME_POINTER, offset: -8 },
    { opcode: OPCODES.shiftLeftImmediate, dst: 0, immediate: 32 },
    { opcode: OPCODES.shiftRightSignedImmediate, dst: 0, immediate: 32 },
  ],
};

function keepDestination(syscall: string): MemoryFunction {
  return { before: [KEEP_DESTINATION], syscall, after: [RETURN_DESTINATION] };
}

export const MEMORY_FUNCTIONS: ReadonlyMap<string, MemoryFunction> = new Map([
  ['memcpy', keepDestination('sol_memcpy_')],
  ['memmove', keepDestination('sol_memmove_')],
  ['memset', keepDestination('sol_memset_')],
  ['memcmp', COMPARE],
  ['bcmp', COMPARE],
]);
