import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProgramBuildError } from '../../../scripts/programs/errors.ts';
import { decodeImage, encodeImage } from '../../../scripts/programs/image.ts';
import { encodeInstruction } from '../../../scripts/programs/instructions.ts';
import { readManifest } from '../../../scripts/programs/manifest.ts';
import { listPrograms } from '../../../scripts/programs/program-source.ts';
import { scanProgram } from '../../../scripts/programs/scan.ts';
import { loadProgram } from '../../support/virtual-machine.ts';

const PROGRAMS = join(import.meta.dirname, '../../../programs');
const ARTIFACTS = join(PROGRAMS, 'artifacts');
const programs = listPrograms(PROGRAMS);
const manifest = readManifest(ARTIFACTS);

it('there is an artefact of every program, and none of another', () => {
  const names = programs.map(({ crateName }) => crateName).sort();
  expect(Object.keys(manifest.programs)).toEqual(names);
  expect(readdirSync(ARTIFACTS).sort()).toEqual(['manifest.json', ...names.map((name) => `${name}.so`)]);
});

describe.each(programs)('the committed $packageName', ({ crateName, sourcesSha256 }) => {
  const record = manifest.programs[crateName];
  const image = readFileSync(join(ARTIFACTS, `${crateName}.so`));

  it('is what the manifest says, of the source that is here', () => {
    const report = scanProgram(decodeImage(image));
    expect(record).toMatchObject({
      sha256: createHash('sha256').update(image).digest('hex'),
      sizeBytes: image.length,
      sourcesSha256,
      instructions: report.instructions,
      syscalls: report.syscalls,
    });
  });

  it('runs in the virtual machine of Solana, and refuses an instruction that it does not know', () => {
    const { failure, logs } = loadProgram(image)(Buffer.from('no instruction'));
    expect(failure).toMatch(/Custom/);
    expect(logs.at(-1)).toMatch(/failed: custom program error: 0x1770$/);
  });
});

describe('the scan', () => {
  const instruction = fc
    .record({
      opcode: fc.oneof(fc.constantFrom(0x07, 0x18, 0x61, 0x7b, 0x85, 0x8d, 0x95, 0xb7, 0xbf, 0x05, 0x15), fc.nat(255)),
      dst: fc.nat(15),
      src: fc.constantFrom(0, 1, 2, 9, 10, 11),
      offset: fc.constantFrom(0, -8, 8, 1, -1, 2),
      immediate: fc.constantFrom(0, 1, -1, 16, 63, 64, 4096),
    })
    .map(encodeInstruction);

  it('takes nothing that the loader refuses', () => {
    let taken = 0;
    const codes = fc
      .array(instruction, { minLength: 1, maxLength: 4 })
      .map((all) => Uint8Array.from(Buffer.concat(all)));
    fc.assert(
      fc.property(codes, (code) => {
        const program = { readOnly: new Uint8Array(0), code, entryOffset: 0 };
        try {
          scanProgram(program);
        } catch (error) {
          expect(error).toBeInstanceOf(ProgramBuildError);
          return;
        }
        taken += 1;
        const { failure, logs } = loadProgram(encodeImage(program))(new Uint8Array(0));
        expect(`${failure} ${logs.join('\n')}`).not.toMatch(/InvalidAccountData|UnsupportedProgramId|not executable/i);
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});
