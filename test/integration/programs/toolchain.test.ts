import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findToolchain } from '../../../scripts/programs/toolchain.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import { loadProgram } from '../../support/virtual-machine.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAMS = join(ROOT, 'programs');
/** The core library that `npm run programs:build` compiled is used again. */
const TARGET = join(PROGRAMS, 'target');
const FIXTURES = join(ROOT, 'test/fixtures/programs');
/** Compiling the core library alone takes half a minute on a quick machine. */
const COLD_BUILD_MS = 300_000;

const TOOLCHAIN: Need = { isMet: hasToolchain(), kind: 'toolchain', reason: 'run scripts/setup-programs' };

function hasToolchain(): boolean {
  try {
    findToolchain();
    return true;
  } catch {
    return false;
  }
}

interface BuildResult {
  readonly status: number | null;
  readonly output: string;
}

function build(...args: readonly string[]): BuildResult {
  const script = [join(ROOT, 'scripts/build-programs.ts'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, script, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describeIf(TOOLCHAIN, 'npm run programs:build', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fogproof-programs-'));
  const out = join(folder, 'out');
  const buildFixture = (name: string): BuildResult =>
    build('--programs-dir', FIXTURES, '--target-dir', TARGET, '--out', out, '--program', name);
  let probe: ReturnType<typeof loadProgram>;

  beforeAll(() => {
    const { status, output } = buildFixture('probe');
    expect(output).toContain('probe.so');
    expect(status).toBe(0);
    probe = loadProgram(readFileSync(join(out, 'probe.so')));
  }, COLD_BUILD_MS);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('compiles what then computes the same as here', () => {
    const word = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(0x7fff_ffffn, 0xffff_ffffn, 1n));
    const input = fc.record({ a: word, b: word, c: word, rest: fc.uint8Array({ maxLength: 300 }) });
    fc.assert(
      fc.property(input, ({ a, b, c, rest }) => {
        const head = Buffer.alloc(24);
        for (const [index, value] of [a, b, c].entries()) head.writeBigUInt64LE(value, 8 * index);
        const data = Buffer.concat([head, rest]);
        const { failure, returnData, logs } = probe(data);
        expect(failure).toBeUndefined();
        expect(logs).toContain(`Program log: ${NAMES[Number(a % 4n)]}`);
        expect(Buffer.from(returnData).toString('hex')).toBe(computeProbe({ a, b, c }, data).toString('hex'));
      }),
      { examples: [[{ a: 0x7fff_ffffn, b: 1n, c: 0n, rest: new Uint8Array(0) }]], numRuns: 200 },
    );
  }, 60_000);

  it('compiles what stops where a number overflows, and tells in which file', () => {
    expect(probe(Uint8Array.of(253))).toMatchObject({ failure: expect.stringContaining('Custom(255)') });
    const { failure, logs } = probe(Uint8Array.of(254));
    expect(failure).toContain('ProgramFailedToComplete');
    expect(logs).toContain('Program log: probe/src/lib.rs');
  });

  it(
    'keeps a reference to the first constant apart from none',
    () => {
      expect(buildFixture('first-constant')).toMatchObject({ status: 0 });
      const run = loadProgram(readFileSync(join(out, 'first_constant.so')));
      expect(Buffer.from(run(Uint8Array.of(1)).returnData).toString()).toBe(CONSTANTS[0]);
      expect(run(Uint8Array.of(0)).failure).toContain('Custom(77)');
    },
    COLD_BUILD_MS,
  );

  it('tells the file of a panic without anything of this machine in it', () => {
    const image = readFileSync(join(out, 'probe.so')).toString('latin1');
    expect(image).toContain('probe/src/lib.rs');
    expect(image).not.toContain(ROOT);
    expect(image).not.toContain(process.env['HOME'] ?? ROOT);
  });

  it.each([
    ['big-frame', 'PROGRAMS_UNSUPPORTED', 'A frame is 4,096 bytes'],
    ['division-128', 'PROGRAMS_UNSUPPORTED', 'Divide and shift 64-bit integers only'],
    ['unknown-syscall', 'PROGRAMS_UNKNOWN_SYMBOL', 'sol_no_such_syscall'],
    ['writable-static', 'PROGRAMS_WRITABLE_DATA', 'remove `static mut`'],
    ['no-entrypoint', 'PROGRAMS_NO_ENTRYPOINT', 'program_entrypoint!'],
    ['no-such-program', 'PROGRAMS_UNKNOWN', 'Name one of: big-frame, division-128'],
  ])(
    'refuses %s, and says what to do',
    (name, code, hint) => {
      const { status, output } = buildFixture(name);
      expect(status).toBe(1);
      expect(output).toContain(`${code}: `);
      expect(output).toContain(hint);
    },
    COLD_BUILD_MS,
  );

  it(
    // CI compiles everything anew, core library included, and compares it with what is committed (--check).
    'gives the same bytes in another folder',
    () => {
      const copy = join(folder, 'elsewhere/deeper/programs');
      cpSync(PROGRAMS, copy, { recursive: true, filter: (path) => path !== TARGET });
      expect(build('--out', join(folder, 'here'))).toMatchObject({ status: 0 });
      expect(build('--programs-dir', copy, '--target-dir', TARGET, '--out', join(folder, 'there'))).toMatchObject({
        status: 0,
      });
      expect(readHashes(join(folder, 'there'))).toEqual(readHashes(join(folder, 'here')));
    },
    COLD_BUILD_MS,
  );

  it(
    '--check compares the committed artefacts where the toolchain is theirs, and says so where it is not',
    () => {
      const { status, output } = build('--check', '--out', join(folder, 'checked'));
      expect(output).toMatch(/byte-identical to the committed artefact|NOT COMPARED/);
      expect(status).toBe(0);
    },
    COLD_BUILD_MS,
  );

  const checkCopy = (change: (copy: string) => void): BuildResult => {
    const copy = mkdtempSync(join(folder, 'copy-'));
    cpSync(PROGRAMS, copy, { recursive: true, filter: (path) => path !== TARGET });
    build('--programs-dir', copy, '--target-dir', TARGET);
    change(copy);
    return build('--check', '--programs-dir', copy, '--target-dir', TARGET, '--out', join(copy, 'rebuilt'));
  };
  const editManifest = (copy: string, edit: (text: string) => string): void => {
    const path = join(copy, 'artifacts/manifest.json');
    writeFileSync(path, edit(readFileSync(path, 'utf8')));
  };

  it(
    '--check is content with what was just built',
    () => {
      expect(checkCopy(() => {})).toMatchObject({ status: 0, output: expect.stringContaining('byte-identical') });
    },
    COLD_BUILD_MS,
  );

  it(
    '--check fails if the source was changed and not built',
    () => {
      const change = (copy: string): void => writeFileSync(join(copy, 'proof-anchor/src/extra.rs'), '');
      expect(checkCopy(change)).toMatchObject({ status: 1, output: expect.stringContaining('PROGRAMS_STALE') });
    },
    COLD_BUILD_MS,
  );

  it(
    '--check fails if the artefact was changed',
    () => {
      const change = (copy: string): void => {
        const path = join(copy, 'artifacts/proof_anchor.so');
        const image = readFileSync(path);
        image[image.length - 1] = 1;
        writeFileSync(path, image);
      };
      expect(checkCopy(change)).toMatchObject({ status: 1, output: expect.stringContaining('PROGRAMS_STALE') });
    },
    COLD_BUILD_MS,
  );

  it(
    '--check fails if artefact and manifest agree on other bytes than the source gives',
    () => {
      const change = (copy: string): void => {
        const path = join(copy, 'artifacts/proof_anchor.so');
        const image = readFileSync(path);
        const sha256 = (): string => createHash('sha256').update(image).digest('hex');
        const before = sha256();
        image.writeBigUInt64LE(image.readBigUInt64LE(24) + 8n, 24);
        writeFileSync(path, image);
        editManifest(copy, (text) => text.replace(before, sha256()));
      };
      expect(checkCopy(change)).toMatchObject({ status: 1, output: expect.stringContaining('PROGRAMS_MISMATCH') });
    },
    COLD_BUILD_MS,
  );

  it(
    '--check compares nothing where the toolchain is another, and names the folder to test',
    () => {
      const change = (copy: string): void =>
        editManifest(copy, (text) => text.replaceAll(/"llvm": "[^"]+"/g, '"llvm": "21.0.0"'));
      const { status, output } = checkCopy(change);
      expect(status).toBe(0);
      expect(output).toMatch(/NOT COMPARED.*LLVM 21\.0\.0[^]*FOGPROOF_PROGRAMS_DIR=\S+rebuilt/);
    },
    COLD_BUILD_MS,
  );
});

const NAMES = ['zero', 'one', 'two', 'three'] as const;
const CONSTANTS = ['the first constant of all of it.', 'and the second one, of the same.'] as const;
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const i64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** What test/fixtures/programs/probe is to return. */
function computeProbe({ a, b, c }: Record<'a' | 'b' | 'c', bigint>, data: Buffer): Buffer {
  const parts: Buffer[] = [];
  const put = (value: bigint): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(u64(value));
    parts.push(bytes);
  };
  const constant = CONSTANTS[Number(c & 3n)];
  put(constant === undefined ? 0n : 1n);
  parts.push(constant === undefined ? Buffer.alloc(32) : Buffer.from(constant));
  parts.push(Buffer.from(NAMES[Number(a % 4n)] ?? ''));
  const operations = [
    (value: bigint) => value * 3n,
    (value: bigint) => value / 7n,
    (value: bigint) => value ^ 0x1122_3344_5566_7788n,
  ];
  for (const index of [0n, 1n, 2n]) put(operations[Number(u64(index + a) % 3n)]?.(b) ?? 0n);
  put(BigInt.asUintN(32, a + b));
  put(sumFive(a, b, c, 1n, c & 7n));
  put(i64(a) >> (b & 63n));
  put(a % (b | 1n));
  put(swapBytes(a));
  put(i64(a) < i64(b) ? 1n : 0n);
  const sum = ((a << 64n) | b) + ((c << 64n) | a);
  put(sum);
  put(sum >> 64n);
  const length = Math.min(data.length, 200);
  const buffer = Buffer.alloc(512);
  data.copy(buffer, 0, 0, length);
  buffer.copy(buffer, 3, 0, length);
  buffer.fill(data[0] ?? 0, length, length + 7);
  for (let index = 0; index < 3; index += 1) put(1n);
  const compared = Buffer.compare(buffer.subarray(0, length), data.subarray(0, length));
  put(BigInt(compared));
  put(compared === 0 ? 1n : 0n);
  parts.push(createHash('sha256').update(buffer).digest());
  return Buffer.concat(parts);
}

function sumFive(...[a, b, c, d, e]: [bigint, bigint, bigint, bigint, bigint]): bigint {
  if (e === 0n) return u64(a + b + c + d);
  return u64(sumFive(b, c, d, u64(a + e), e - 1n) + 1n);
}

function swapBytes(value: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.readBigUInt64BE();
}

function readHashes(folder: string): Readonly<Record<string, string>> {
  const { programs } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
    programs: Record<string, { sha256: string }>;
  };
  return Object.fromEntries(Object.entries(programs).map(([name, { sha256 }]) => [name, sha256]));
}
