import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProgramBuildError } from '../../../../scripts/programs/errors.ts';
import { encodeImage } from '../../../../scripts/programs/image.ts';
import { CALL_KINDS, decodeInstruction, OPCODES } from '../../../../scripts/programs/instructions.ts';
import { parseObjectFile, RELOCATION_KINDS } from '../../../../scripts/programs/object-file.ts';
import { type LinkedProgram, relink } from '../../../../scripts/programs/relink.ts';
import { scanProgram } from '../../../../scripts/programs/scan.ts';
import { computeSyscallHash } from '../../../../scripts/programs/syscalls.ts';
import {
  assemble,
  buildObject,
  CALL,
  EXIT,
  lddw,
  type ObjectSpec,
  type SectionSpec,
} from '../../../support/object-builder.ts';

const { address, call, pointer } = RELOCATION_KINDS;
const CODE = 0x1_0000_0000n;

const link = (spec: ObjectSpec): LinkedProgram => {
  const program = relink(parseObjectFile(buildObject(spec)));
  scanProgram(program);
  return program;
};

const entrypoint = (bytes: Uint8Array, relocations: SectionSpec['relocations'] = []): SectionSpec => ({
  name: '.text.entrypoint',
  kind: 'code',
  bytes,
  relocations,
});

const ENTRY = { name: 'entrypoint', section: '.text.entrypoint' };

const codeOf = (error: () => unknown): string => {
  try {
    error();
  } catch (thrown) {
    if (thrown instanceof ProgramBuildError) return thrown.code;
    throw thrown;
  }
  return 'nothing thrown';
};

const readAddress = (program: LinkedProgram, index: number): bigint =>
  (BigInt(decodeInstruction(program.code, index + 1).immediate >>> 0) << 32n) |
  BigInt(decodeInstruction(program.code, index).immediate >>> 0);

describe('relink', () => {
  it('makes a call between functions relative, whether the symbol or its section is named', () => {
    const program = link({
      sections: [
        { name: '.text.other', kind: 'code', bytes: assemble(EXIT, EXIT) },
        entrypoint(assemble(CALL, { ...CALL, immediate: 0 }, EXIT), [
          { offset: 0, kind: call, symbol: 'other' },
          { offset: 8, kind: call, symbol: '.text.other' },
        ]),
      ],
      symbols: [
        ENTRY,
        { name: 'other', section: '.text.other', value: 8 },
        { name: '.text.other', section: '.text.other' },
      ],
    });
    expect(program.entryOffset).toBe(16);
    expect(decodeInstruction(program.code, 2)).toMatchObject({ src: CALL_KINDS.local, immediate: -2 });
    expect(decodeInstruction(program.code, 3)).toMatchObject({ src: CALL_KINDS.local, immediate: -3 });
  });

  it('makes a syscall the hash of its name', () => {
    const program = link({
      sections: [entrypoint(assemble(CALL, EXIT), [{ offset: 0, kind: call, symbol: 'sol_sha256' }])],
      symbols: [ENTRY, { name: 'sol_sha256' }],
    });
    const { src, immediate } = decodeInstruction(program.code, 0);
    expect({ src, immediate: immediate >>> 0 }).toEqual({ src: 0, immediate: computeSyscallHash('sol_sha256') });
  });

  it('puts no constant at address 0, and adds what stands in the instruction', () => {
    const program = link({
      sections: [
        entrypoint(assemble(...lddw(1, 0), ...lddw(2, 5), EXIT), [
          { offset: 0, kind: address, symbol: 'first' },
          { offset: 16, kind: address, symbol: '.rodata' },
        ]),
        { name: '.rodata', kind: 'constant', bytes: Buffer.from('constants'), alignment: 1 },
      ],
      symbols: [ENTRY, { name: 'first', section: '.rodata' }, { name: '.rodata', section: '.rodata' }],
    });
    expect(readAddress(program, 0)).toBe(16n);
    expect(readAddress(program, 2)).toBe(21n);
    expect(Buffer.from(program.readOnly.subarray(16, 25)).toString()).toBe('constants');
    expect(program.readOnly.length % 8).toBe(0);
  });

  it('writes addresses of code and of constants into tables', () => {
    const program = link({
      sections: [
        entrypoint(assemble(...lddw(1, 0), EXIT), [{ offset: 0, kind: address, symbol: 'table' }]),
        {
          name: '.data.rel.ro.table',
          kind: 'writable',
          bytes: new Uint8Array(16),
          relocations: [
            { offset: 0, kind: pointer, symbol: 'entrypoint' },
            { offset: 8, kind: pointer, symbol: 'text' },
          ],
        },
        { name: '.rodata.str', kind: 'constant', bytes: Buffer.from('xyz'), alignment: 1 },
      ],
      symbols: [
        ENTRY,
        { name: 'table', section: '.data.rel.ro.table' },
        { name: 'text', section: '.rodata.str', value: 1 },
      ],
    });
    const view = new DataView(program.readOnly.buffer);
    expect(view.getBigUint64(16, true)).toBe(CODE);
    expect(view.getBigUint64(24, true)).toBe(33n);
  });

  it('leaves out what the entry point cannot reach, writable data and unknown symbols with it', () => {
    const program = link({
      sections: [
        { name: '.data.counter', kind: 'writable', bytes: new Uint8Array(8) },
        {
          name: '.text.unused',
          kind: 'code',
          bytes: assemble(CALL, EXIT),
          relocations: [{ offset: 0, kind: call, symbol: 'nowhere' }],
        },
        entrypoint(assemble(EXIT)),
      ],
      symbols: [ENTRY, { name: 'nowhere' }],
    });
    expect(program).toEqual({ readOnly: new Uint8Array(0), code: assemble(EXIT), entryOffset: 0 });
  });

  it('brings along the memory functions that are called, once each', () => {
    const program = link({
      sections: [
        entrypoint(assemble(CALL, CALL, CALL, EXIT), [
          { offset: 0, kind: call, symbol: 'memcpy' },
          { offset: 8, kind: call, symbol: 'memcmp' },
          { offset: 16, kind: call, symbol: 'memcpy' },
        ]),
      ],
      symbols: [ENTRY, { name: 'memcmp' }, { name: 'memcpy' }],
    });
    const targets = [0, 1, 2].map((index) => index + 1 + decodeInstruction(program.code, index).immediate);
    expect(targets).toEqual([4 + 7, 4, 4 + 7]);
    expect(program.code.length).toBe(8 * (4 + 7 + 4));
    expect(scanProgram(program).syscalls).toEqual(['sol_memcmp_', 'sol_memcpy_']);
  });

  describe('refuses', () => {
    it.each<[string, string, ObjectSpec]>([
      [
        'a function that nobody has',
        'PROGRAMS_UNKNOWN_SYMBOL',
        {
          sections: [entrypoint(assemble(CALL, EXIT), [{ offset: 0, kind: call, symbol: 'sol_alloc_free_' }])],
          symbols: [ENTRY, { name: 'sol_alloc_free_' }],
        },
      ],
      [
        'a memory function of its own, which LTO may have fitted to its callers',
        'PROGRAMS_MEMORY_FUNCTION',
        {
          sections: [
            { name: '.text.memset', kind: 'code', bytes: assemble(EXIT) },
            entrypoint(assemble(CALL, EXIT), [{ offset: 0, kind: call, symbol: '.text.memset' }]),
          ],
          symbols: [
            ENTRY,
            { name: 'memset', section: '.text.memset' },
            { name: '.text.memset', section: '.text.memset' },
          ],
        },
      ],
      [
        'a program without entry point',
        'PROGRAMS_NO_ENTRYPOINT',
        { sections: [entrypoint(assemble(EXIT))], symbols: [] },
      ],
      [
        'an entry point in data',
        'PROGRAMS_NO_ENTRYPOINT',
        {
          sections: [{ name: '.rodata', kind: 'constant', bytes: assemble(EXIT) }],
          symbols: [{ name: 'entrypoint', section: '.rodata' }],
        },
      ],
      ...(['writable', 'zeroed'] as const).map((kind): [string, string, ObjectSpec] => [
        `${kind} data`,
        'PROGRAMS_WRITABLE_DATA',
        {
          sections: [
            entrypoint(assemble(...lddw(1, 0), EXIT), [{ offset: 0, kind: address, symbol: 'counter' }]),
            { name: '.data.counter', kind, bytes: new Uint8Array(8) },
          ],
          symbols: [ENTRY, { name: 'counter', section: '.data.counter' }],
        },
      ]),
      ...(
        [
          ['a kind of relocation that it does not know', { offset: 0, kind: 3, symbol: 'entrypoint' }],
          ['a call where there is none', { offset: 16, kind: call, symbol: 'entrypoint' }],
          ['an address where there is no lddw', { offset: 16, kind: address, symbol: 'entrypoint' }],
          ['a lddw that ends behind its section', { offset: 24, kind: address, symbol: 'entrypoint' }],
          ['a relocation between two instructions', { offset: 4, kind: address, symbol: 'entrypoint' }],
          ['a pointer within code', { offset: 0, kind: pointer, symbol: 'entrypoint' }],
          ['the address of a syscall', { offset: 0, kind: address, symbol: 'sol_log_' }],
          ['the address of what is not loaded', { offset: 0, kind: address, symbol: 'comment' }],
        ] as const
      ).map(([title, relocation]): [string, string, ObjectSpec] => [
        title,
        'PROGRAMS_RELOCATION',
        {
          sections: [
            entrypoint(assemble(...lddw(1, 0), EXIT, { opcode: OPCODES.lddw }), [relocation]),
            { name: '.comment', kind: 'note', bytes: new Uint8Array(8) },
          ],
          symbols: [ENTRY, { name: 'sol_log_' }, { name: 'comment', section: '.comment' }],
        },
      ]),
    ])('%s', (_, code, spec) => {
      expect(codeOf(() => relink(parseObjectFile(buildObject(spec))))).toBe(code);
    });
  });
});

const SAMPLE = buildObject({
  sections: [
    entrypoint(assemble(...lddw(1, 0), CALL, CALL, EXIT), [
      { offset: 0, kind: address, symbol: 'constant' },
      { offset: 16, kind: call, symbol: 'sol_log_' },
      { offset: 24, kind: call, symbol: 'memset' },
    ]),
    { name: '.rodata', kind: 'constant', bytes: Buffer.from('constant') },
  ],
  symbols: [ENTRY, { name: 'constant', section: '.rodata' }, { name: 'sol_log_' }, { name: 'memset' }],
});

/** Either a program that holds together, or an error with a code. */
const linkOrRefuse = (bytes: Uint8Array): void => {
  try {
    const program = relink(parseObjectFile(bytes));
    scanProgram(program);
    encodeImage(program);
  } catch (error) {
    expect(error).toBeInstanceOf(ProgramBuildError);
  }
};

describe('an object that is none', () => {
  it('gives a coded error: garbage', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), linkOrRefuse));
  });

  it('gives a coded error: garbage behind a good header', () => {
    const header = SAMPLE.subarray(0, 40);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), (tail) => linkOrRefuse(Buffer.concat([header, tail]))));
  });

  it('gives a coded error: a good one with bytes changed or missing', () => {
    const change = fc.record({ at: fc.nat(SAMPLE.length - 1), value: fc.nat(255) });
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(changes, fc.nat(SAMPLE.length), (edits, cut) => {
        const bytes = Uint8Array.from(SAMPLE);
        for (const { at, value } of edits) bytes[at] = value;
        linkOrRefuse(bytes);
        linkOrRefuse(bytes.subarray(0, cut));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['of another machine', { machine: 62 }],
    ['with an alignment that is no power of two', { alignment: 3 }],
  ])('is refused %s', (_, { machine, alignment }: { machine?: number; alignment?: number }) => {
    const section = { ...entrypoint(assemble(EXIT)), ...(alignment === undefined ? {} : { alignment }) };
    const spec = { sections: [section], symbols: [ENTRY], ...(machine === undefined ? {} : { machine }) };
    expect(codeOf(() => parseObjectFile(buildObject(spec)))).toBe('PROGRAMS_OBJECT');
  });
});
