import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProgramBuildError } from '../../../../scripts/programs/errors.ts';
import { decodeImage, encodeImage } from '../../../../scripts/programs/image.ts';
import type { LinkedProgram } from '../../../../scripts/programs/relink.ts';

const words = (minimum: number): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { minLength: minimum, maxLength: 12 })
    .map((parts) => Uint8Array.from(Buffer.concat(parts)));

const PROGRAM: fc.Arbitrary<LinkedProgram> = fc
  .record({ readOnly: words(0), code: words(1), entry: fc.nat(1000) })
  .map(({ readOnly, code, entry }) => ({ readOnly, code, entryOffset: (entry % (code.length / 8)) * 8 }));

describe('image', () => {
  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(PROGRAM, (program) => {
        const { readOnly, code, entryOffset } = decodeImage(encodeImage(program));
        expect({ readOnly: [...readOnly], code: [...code], entryOffset }).toEqual({
          readOnly: [...program.readOnly],
          code: [...program.code],
          entryOffset: program.entryOffset,
        });
      }),
    );
  });

  it('refuses every change of its headers but another entry point, and every other length', () => {
    fc.assert(
      fc.property(PROGRAM, fc.nat(), fc.integer({ min: 1, max: 255 }), (program, position, difference) => {
        const image = Uint8Array.from(encodeImage(program));
        const headerSize = image.length - program.readOnly.length - program.code.length;
        const at = position % headerSize;
        image[at] = (image[at] ?? 0) ^ difference;
        const isEntry = at >= 24 && at < 32;
        if (!isEntry) expect(() => decodeImage(image)).toThrow(ProgramBuildError);
        expect(() => decodeImage(encodeImage(program).subarray(0, -8))).toThrow(ProgramBuildError);
        expect(() => decodeImage(Buffer.concat([encodeImage(program), new Uint8Array(8)]))).toThrow(ProgramBuildError);
      }),
    );
  });

  it('refuses garbage with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(() => decodeImage(bytes)).toThrow(ProgramBuildError);
      }),
    );
  });
});
