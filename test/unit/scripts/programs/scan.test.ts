import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProgramBuildError } from '../../../../scripts/programs/errors.ts';
import { OPCODES } from '../../../../scripts/programs/instructions.ts';
import { scanProgram } from '../../../../scripts/programs/scan.ts';
import { computeSyscallHash, findSyscallHash, findSyscallName } from '../../../../scripts/programs/syscalls.ts';
import { assemble, EXIT, type InstructionSpec, lddw } from '../../../support/object-builder.ts';

type Instructions = readonly InstructionSpec[];

const scan = (...instructions: readonly InstructionSpec[]): ReturnType<typeof scanProgram> =>
  scanProgram({ readOnly: new Uint8Array(0), code: assemble(...instructions), entryOffset: 0 });

describe('scanProgram', () => {
  it.each<[string, Instructions]>([
    ['a jump back', [{ opcode: 0xb7 }, { opcode: 0x05, offset: -2 }, EXIT]],
    [
      'both ends of the stack frame',
      [{ opcode: 0x7b, dst: 10, src: 1, offset: -4096 }, { opcode: 0x79, src: 10, offset: -8 }, EXIT],
    ],
    [
      'an address of the whole frame',
      [{ opcode: 0xbf, dst: 1, src: 10 }, { opcode: 0x07, dst: 1, immediate: -4096 }, EXIT],
    ],
    ['a call through a register', [{ opcode: 0x8d, dst: 9 }, EXIT]],
    ['a swap of bytes', [{ opcode: 0xdc, dst: 1, immediate: 64 }, EXIT]],
    ['a shift by 63', [{ opcode: 0x67, dst: 1, immediate: 63 }, EXIT]],
    ['a division by a register', [{ opcode: 0x3f, dst: 1, src: 2 }, EXIT]],
    ['a constant of 64 bits', [...lddw(1, -1, -1), EXIT]],
  ])('takes %s', (_, instructions) => {
    expect(scan(...instructions).instructions).toBe(instructions.length);
  });

  it.each<[string, Instructions]>([
    ['no code', []],
    ['an unknown opcode', [{ opcode: 0x00 }]],
    ['32-bit addition', [{ opcode: 0x0c, dst: 1, src: 2 }, EXIT]],
    ['a 32-bit move', [{ opcode: 0xbc, dst: 1, src: 2 }, EXIT]],
    ['a 32-bit jump', [{ opcode: 0x16, dst: 1, offset: 0 }, EXIT]],
    ['a swap of no width', [{ opcode: 0xdc, dst: 1, immediate: 8 }, EXIT]],
    ['a swap of the fourth processor version', [{ opcode: 0xd7, dst: 1, immediate: 64 }, EXIT]],
    ['signed division', [{ opcode: 0x3f, dst: 1, src: 2, offset: 1 }, EXIT]],
    ['a move that extends a sign', [{ opcode: 0xbf, dst: 1, src: 2, offset: 8 }, EXIT]],
    ['a load that extends a sign', [{ opcode: 0x91, dst: 1, src: 2 }, EXIT]],
    ['an atomic addition', [{ opcode: 0xdb, dst: 1, src: 2 }, EXIT]],
    ['a negation of a register by another', [{ opcode: 0x8f, dst: 1, src: 2 }, EXIT]],
    ['division by zero', [{ opcode: 0x37, dst: 1, immediate: 0 }, EXIT]],
    ['a remainder of zero', [{ opcode: 0x97, dst: 1, immediate: 0 }, EXIT]],
    ['a shift by 64', [{ opcode: 0x67, dst: 1, immediate: 64 }, EXIT]],
    ['a shift by less than nothing', [{ opcode: 0xc7, dst: 1, immediate: -1 }, EXIT]],
    ['register 11 as source', [{ opcode: 0xbf, dst: 1, src: 11 }, EXIT]],
    ['register 11 as destination', [{ opcode: 0xbf, dst: 11, src: 1 }, EXIT]],
    ['a write to the frame pointer', [{ opcode: 0xb7, dst: 10 }, EXIT]],
    ['a load into the frame pointer', [{ opcode: 0x79, dst: 10, src: 1 }, EXIT]],
    ['a store above the frame', [{ opcode: 0x7b, dst: 10, src: 1, offset: 0 }, EXIT]],
    ['a store below the frame', [{ opcode: 0x7a, dst: 10, offset: -4104 }, EXIT]],
    ['a load above the frame', [{ opcode: 0x79, src: 10, offset: 8 }, EXIT]],
    [
      'an address below the frame',
      [{ opcode: 0xbf, dst: 1, src: 10 }, { opcode: 0x07, dst: 1, immediate: -4097 }, EXIT],
    ],
    ['a jump out of the code', [{ opcode: 0x05, offset: 1 }, EXIT]],
    ['a jump before the code', [{ opcode: 0x05, offset: -2 }, EXIT]],
    ['a jump into a lddw', [{ opcode: 0x05, offset: 1 }, ...lddw(1, 0), EXIT]],
    ['a call out of the code', [{ opcode: OPCODES.call, src: 1, immediate: 1 }, EXIT]],
    ['a call into a lddw', [{ opcode: OPCODES.call, src: 1, immediate: 1 }, ...lddw(1, 0), EXIT]],
    ['a call of a third kind', [{ opcode: OPCODES.call, src: 2, immediate: 0 }, EXIT]],
    ['a call that was not relocated', [{ opcode: OPCODES.call, src: 0, immediate: -1 }, EXIT]],
    [
      'a syscall that is not on the list',
      [{ opcode: OPCODES.call, immediate: computeSyscallHash('sol_alloc_free_') | 0 }, EXIT],
    ],
    ['a call through the frame pointer', [{ opcode: 0x8d, dst: 10 }, EXIT]],
    ['half a lddw', [{ opcode: 0x18, dst: 1 }]],
    ['a lddw whose second half is an instruction', [{ opcode: 0x18, dst: 1 }, EXIT]],
    ['an exit with a register', [{ opcode: 0x9d }, EXIT]],
  ])('refuses %s', (_, instructions) => {
    expect(() => scan(...instructions)).toThrow(ProgramBuildError);
    expect(() => scan(...instructions)).toThrow(expect.objectContaining({ code: 'PROGRAMS_INSTRUCTION' }));
  });

  it('refuses an entry point within a lddw, or outside', () => {
    const code = assemble(...lddw(1, 0), EXIT);
    for (const entryOffset of [8, 24, 4]) {
      expect(() => scanProgram({ readOnly: new Uint8Array(0), code, entryOffset })).toThrow(ProgramBuildError);
    }
  });

  it('takes or refuses any code, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (code) => {
        try {
          scanProgram({ readOnly: new Uint8Array(0), code, entryOffset: 0 });
        } catch (error) {
          expect(error).toBeInstanceOf(ProgramBuildError);
        }
      }),
    );
  });
});

describe('syscalls', () => {
  it.each([
    ['abort', 0xb6fc1a11],
    ['sol_log_', 0x207559bd],
    ['sol_memcpy_', 0x717cc4a3],
    ['sol_memmove_', 0x434371f8],
    ['sol_memset_', 0x3770fb22],
    ['sol_memcmp_', 0x5fdcde31],
    ['sol_panic_', 0x686093bb],
  ])('%s has the number that other toolchains give it', (name, hash) => {
    expect(computeSyscallHash(name)).toBe(hash);
    expect(findSyscallHash(name)).toBe(hash);
    expect(findSyscallName(hash)).toBe(name);
  });
});
