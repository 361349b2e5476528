import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findComplaint } from '../../../../scripts/programs/compile.ts';
import { ProgramBuildError } from '../../../../scripts/programs/errors.ts';
import { formatManifest, type Manifest, parseManifest } from '../../../../scripts/programs/manifest.ts';
import { findToolchain } from '../../../../scripts/programs/toolchain.ts';

describe('findToolchain', () => {
  it('says what to install where there is no compiler', () => {
    const find = (): unknown => findToolchain('/nonexistent');
    expect(find).toThrow(
      expect.objectContaining({
        code: 'PROGRAMS_TOOLCHAIN_MISSING',
        info: { code: 'PROGRAMS_TOOLCHAIN_MISSING', missing: ['/nonexistent/rustc', '/nonexistent/cargo'] },
        hint: expect.stringContaining(
          'apt-get install --no-install-recommends rustc-web cargo-web rust-web-src llvm-22',
        ),
      }),
    );
  });
});

describe('findComplaint', () => {
  const memory =
    "error: <unknown>:0:0: in function entrypoint i64 (ptr, i64): A call to built-in function 'memcpy' is not supported.\n\n";

  it('takes calls of memory functions for granted', () => {
    expect(findComplaint('')).toBeUndefined();
    expect(findComplaint(memory.repeat(3))).toBeUndefined();
  });

  it.each([
    [
      "error: <unknown>:0:0: in function _RN3foo void (ptr, i128, i128): A call to built-in function '__multi3' is not supported.\n",
      { where: 'the function _RN3foo', reason: "A call to built-in function '__multi3' is not supported." },
    ],
    [
      'error: <unknown>:0:0: in function f i64 (ptr, i64): only small returns supported\n',
      { where: 'the function f', reason: 'only small returns supported' },
    ],
    ['LLVM ERROR: Cannot select: t5\n', { where: 'it', reason: 'LLVM ERROR: Cannot select: t5' }],
  ])('finds any other behind them', (line, complaint) => {
    expect(findComplaint(memory + line)).toEqual(complaint);
  });
});

describe('manifest', () => {
  const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
  const program = fc.record({
    file: fc.stringMatching(/^[a-z0-9_]{1,12}$/).map((name) => `${name}.so`),
    sha256: hex,
    sizeBytes: fc.integer({ min: 1 }),
    instructions: fc.integer({ min: 1 }),
    syscalls: fc.array(fc.string()),
    sourcesSha256: hex,
    toolchain: fc.record({
      rustc: fc.string(),
      cargo: fc.string(),
      llvm: fc.string(),
      relinker: fc.integer({ min: 1 }),
    }),
  });
  const manifest: fc.Arbitrary<Manifest> = fc.record({
    target: fc.constant('sbpf-v3' as const),
    programs: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), program, { noNullPrototype: true }),
  });

  it('reads what it wrote, and writes the same in whatever order', () => {
    fc.assert(
      fc.property(manifest, (value) => {
        const text = formatManifest(value);
        expect(parseManifest(text, 'm')).toEqual(value);
        const programs = Object.fromEntries(Object.entries(value.programs).reverse());
        expect(formatManifest({ ...value, programs })).toBe(text);
      }),
    );
  });

  it('refuses anything else with a code', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      manifest.map((value) => JSON.stringify({ ...value, extra: 1 })),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(() => parseManifest(text, 'm')).toThrow(ProgramBuildError);
      }),
    );
  });
});
