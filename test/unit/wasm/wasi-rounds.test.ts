import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotState } from '../../../src/domain/snapshot.ts';
import { listPieces } from '../../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../../src/proofs/state-root.ts';
import { WasmError } from '../../../src/wasm/errors.ts';
import type { ProgramTask } from '../../../src/wasm/runtime/program-context.ts';
import { ProgramHalt } from '../../../src/wasm/runtime/program-halt.ts';
import { parseRound } from '../../../src/wasm/runtime/wasi/parse-round.ts';
import type { ResumeImage } from '../../../src/wasm/stepping/interface.ts';
import { runWat } from '../../support/program.ts';
import { type TakenFiles, WasiHarness } from '../../support/wasi-harness.ts';

type FilesState = Extract<SnapshotState, { kind: 'files' }>;

const CREATE = 1;
const PIECE = 65_536;
const SCRATCH = 64 * 1024 * 1024;

function createRounds(every = 1, task: Partial<ProgramTask> = {}): WasiHarness {
  return new WasiHarness({ checkpoints: { kind: 'rounds', every }, ...task });
}

function report(wasi: WasiHarness, round: number | string): void {
  wasi.save('checkpoint/ROUND', String(round));
}

function findHalt(run: () => void): ProgramHalt['outcome'] | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof ProgramHalt) return error.outcome;
    throw error;
  }
}

function last(wasi: WasiHarness): TakenFiles {
  const taken = wasi.checkpoints.at(-1);
  if (taken === undefined) throw new TypeError('there was no checkpoint');
  return taken;
}

const listSteps = (wasi: WasiHarness): string[] => wasi.checkpoints.map(({ place, step }) => `${place} ${step}`);
const listPaths = ({ state }: TakenFiles): string[] => filesOf(state).map(({ path }) => path);

function filesOf(state: SnapshotState): FilesState['files'] {
  if (state.kind !== 'files') throw new TypeError('not a state of files');
  return state.files;
}

describe('training rounds of a WASI program', () => {
  it('has no folder and tells nothing without their schedule', () => {
    const wasi = new WasiHarness();
    expect(wasi.open('checkpoint/ROUND', CREATE)).toBe(-44);
    wasi.start(() => {});
    expect(wasi.checkpoints).toEqual([]);
  });

  it('tells its start, the rounds that are due, and its end', () => {
    const wasi = createRounds(3);
    wasi.start(() => {
      // 4 is the first at or above 3; then 6, and 12 after 9 was left out.
      for (const round of [1, 2, 4, 5, 6, 8, 12, 13]) report(wasi, `${round}\n`);
    });
    expect(listSteps(wasi)).toEqual(['start 0', 'middle 4', 'middle 6', 'middle 12', 'end 13']);
  });

  it('hashes the files under the folder as the specification says', () => {
    const wasi = createRounds();
    const big = 'x'.repeat(PIECE) + 'x'.repeat(PIECE) + '\0'.repeat(PIECE) + 'tail';
    wasi.call('path_create_directory', 3, ...wasi.path('checkpoint/deep'));
    const fd = wasi.open('checkpoint/deep/weights', CREATE);
    for (let at = 0; at < big.length; at += 50_000) wasi.write(fd, big.slice(at, at + 50_000));
    wasi.call('fd_close', fd);
    // In UTF-8 U+FFFD comes before U+10000, in UTF-16 behind it.
    for (const name of ['\u{10000}', '\u{fffd}', 'A']) wasi.save(`checkpoint/${name}`, name);
    wasi.save('elsewhere', 'no part of it');
    report(wasi, 1);
    const taken = last(wasi);
    expect(listPaths(taken)).toEqual([
      '/checkpoint/A',
      '/checkpoint/ROUND',
      '/checkpoint/deep/weights',
      '/checkpoint/\u{fffd}',
      '/checkpoint/\u{10000}',
    ]);
    expect(taken.stateRoot).toEqual(computeStateRoot(taken.state));
    const digests = Buffer.concat(taken.pieces.map((piece) => createHash('sha256').update(piece).digest()));
    expect(digests.equals(listPieces(taken.state))).toBe(true);
    // Twice the same piece is one, and the page of zeros is none.
    expect(taken.pieces.map((piece) => piece.length)).toEqual([1, 1, PIECE, 4, 3, 4]);
  });

  it('has the root of no bytes where there is no file', () => {
    const wasi = createRounds();
    expect(Buffer.from(last(wasi).stateRoot).toString('hex')).toBe(createHash('sha256').digest('hex'));
  });

  it('sees every change of a file', () => {
    const wasi = createRounds();
    wasi.save('checkpoint/w', 'one two');
    report(wasi, 1);
    report(wasi, 2);
    const fd = wasi.open('checkpoint/w');
    wasi.write(fd, 'ONE');
    report(wasi, 3);
    wasi.call('fd_filestat_set_size', fd, 3n);
    report(wasi, 4);
    wasi.call('path_rename', 3, ...wasi.path('checkpoint/w'), 3, 900, 0);
    wasi.call('path_unlink_file', 3, ...wasi.path('checkpoint/w'));
    report(wasi, 5);
    for (const taken of wasi.checkpoints) expect(taken.stateRoot).toEqual(computeStateRoot(taken.state));
    const weights = wasi.checkpoints.map(({ state }) => filesOf(state).find(({ path }) => path === '/checkpoint/w'));
    expect(weights.map((file) => file?.sizeBytes)).toEqual([undefined, 7, 7, 7, 3, undefined]);
    expect(weights[1]?.pieces).toEqual(weights[2]?.pieces);
    expect(weights[2]?.pieces).not.toEqual(weights[3]?.pieces);
  });

  it('takes a rename onto the file for a report, once', () => {
    const wasi = createRounds();
    const fd = wasi.open('checkpoint/next', CREATE);
    wasi.write(fd, '7');
    const from = wasi.path('checkpoint/next');
    wasi.data.setUint8(2000, 0);
    const target = new TextEncoder().encode('checkpoint/ROUND');
    for (const [index, byte] of target.entries()) wasi.data.setUint8(2048 + index, byte);
    expect(wasi.call('path_rename', 3, ...from, 3, 2048, target.length)).toBe(0);
    wasi.call('fd_close', fd);
    expect(listSteps(wasi)).toEqual(['start 0', 'middle 7']);
  });

  it('takes no other close for one', () => {
    const wasi = createRounds();
    report(wasi, 1);
    const reader = wasi.open('checkpoint/ROUND');
    wasi.read(reader, 9);
    wasi.call('fd_close', reader);
    wasi.save('output/ROUND', '0');
    wasi.save('checkpoint/ROUND.old', 'none');
    expect(listSteps(wasi)).toEqual(['start 0', 'middle 1']);
  });

  it('takes a descriptor that another is renumbered onto for closed', () => {
    const wasi = createRounds();
    const other = wasi.open('checkpoint/w', CREATE);
    const fd = wasi.open('checkpoint/ROUND', CREATE);
    wasi.write(fd, '3');
    expect(wasi.call('fd_renumber', other, fd)).toBe(0);
    expect(listSteps(wasi)).toEqual(['start 0', 'middle 3']);
  });

  it.each([
    ['text', 'one', /not a number/],
    ['a sign', '+1', /not a number/],
    ['a fraction', '1.5', /not a number/],
    ['an empty line', '\n', /not a number/],
    ['two numbers', '1 2', /not a number/],
    ['more than can be counted', '1000000000000000', /not a number/],
    ['a long text', ' '.repeat(100), /not a number/],
    ['the round before', '5', /round 5 was reported after round 5/],
    ['an earlier round', '4', /round 4 was reported after round 5/],
  ])('ends as TRAP at %s', (_what, text, detail) => {
    const wasi = createRounds();
    report(wasi, 5);
    expect(findHalt(() => report(wasi, text))).toMatchObject({
      kind: 'program-failed',
      code: 'TRAP',
      detail: expect.stringMatching(detail),
    });
  });

  it('ends as TRAP at round 0', () => {
    expect(findHalt(() => report(createRounds(), 0))).toMatchObject({ code: 'TRAP' });
  });

  it('ends as OUTPUT_LIMIT at more files than a snapshot may have', () => {
    const wasi = createRounds();
    for (let index = 0; index < 256; index++) wasi.save(`checkpoint/${index}`, 'x');
    expect(findHalt(() => report(wasi, 1))).toMatchObject({
      code: 'OUTPUT_LIMIT',
      detail: expect.stringMatching(/256/),
    });
  });

  it('ends as OUTPUT_LIMIT at a path that a snapshot may not have', () => {
    const wasi = createRounds();
    const name = 'n'.repeat(250);
    wasi.call('path_create_directory', 3, ...wasi.path(`checkpoint/${name}`));
    wasi.save(`checkpoint/${name}/${name}x`, 'x');
    expect(findHalt(() => report(wasi, 1))).toMatchObject({ code: 'OUTPUT_LIMIT' });
  });

  it('counts inputs under the folder at its start', () => {
    const bytes = new Uint8Array(SCRATCH + 2);
    const inputs = [{ path: '/checkpoint/w', bytes }];
    expect(findHalt(() => createRounds(1, { inputs, outputBytes: 1 }))).toMatchObject({ code: 'OUTPUT_LIMIT' });
    const small = createRounds(1, { inputs: [{ path: '/checkpoint/w', bytes: bytes.subarray(0, 3) }] });
    expect(listPaths(last(small))).toEqual(['/checkpoint/w']);
  });

  it('is halted by its host', () => {
    const wasi = createRounds();
    wasi.haltAt = 2;
    report(wasi, 1);
    expect(findHalt(() => report(wasi, 2))).toEqual({ kind: 'paused' });
  });

  it('has no end where the program failed', () => {
    const wasi = createRounds();
    const end = findHalt(() =>
      wasi.start(() => {
        report(wasi, 1);
        wasi.call('proc_exit', 1);
      }),
    );
    expect(end).toMatchObject({ code: 'EXIT_CODE' });
    expect(listSteps(wasi)).toEqual(['start 0', 'middle 1']);
  });

  it('has its end behind what is left of its log', () => {
    const wasi = createRounds();
    wasi.start(() => void wasi.write(1, 'no newline'));
    expect(wasi.checkpoints.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
  });
});

describe('going on from checkpoint files', () => {
  function takeImage(): { step: number; state: TakenFiles['state']; pieces: readonly Uint8Array[]; root: Uint8Array } {
    const wasi = createRounds();
    const fd = wasi.open('checkpoint/weights', CREATE);
    for (const part of ['a'.repeat(40_000), 'b'.repeat(30_000)]) wasi.write(fd, part);
    wasi.call('fd_close', fd);
    wasi.save('checkpoint/copy', '4\n');
    report(wasi, '4\n');
    const { step, state, pieces, stateRoot: root } = last(wasi);
    return { step, state, pieces, root };
  }

  const image = takeImage();
  const listed = filesOf(image.state);
  const withFiles = (change: (files: typeof listed) => typeof listed): ResumeImage => ({
    ...image,
    state: { kind: 'files', files: change(structuredClone(listed)) },
  });
  const renamed = (from: string, to: string): ResumeImage =>
    withFiles((files) => files.map((file) => (file.path === from ? { ...file, path: to } : file)));

  it('puts them in place and starts with the same root', () => {
    const inputs = [{ path: '/checkpoint/old', bytes: new Uint8Array(3) }];
    const wasi = createRounds(3, { resume: image, inputs });
    expect(last(wasi)).toMatchObject({ place: 'start', step: 4, fuel: 0, ordinal: 0, stateRoot: image.root });
    expect(wasi.read(wasi.open('checkpoint/weights'), 50_000)).toBe('a'.repeat(40_000) + 'b'.repeat(10_000));
    expect(wasi.open('checkpoint/old')).toBe(-44);
    wasi.start(() => {
      for (const round of [5, 6]) report(wasi, round);
    });
    expect(listSteps(wasi)).toEqual(['start 4', 'middle 6', 'end 6']);
  });

  it('does not take files that were put in place for a report', () => {
    const wasi = createRounds(1, { resume: image });
    const fd = wasi.open('checkpoint/ROUND', 0);
    wasi.call('fd_close', fd);
    expect(findHalt(() => report(wasi, 4))).toMatchObject({ detail: 'round 4 was reported after round 4' });
  });

  it('runs the start function of a program that starts anew', () => {
    const wat = `(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 8) "\\10\\00\\00\\00\\02\\00\\00\\00hi")
      (func $begin (drop (call $w (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))))
      (start $begin) (func (export "_start")))`;
    const run = runWat('wasi', wat, { checkpoints: { kind: 'rounds', every: 1 }, resume: image });
    expect(run).toMatchObject({ outcome: { kind: 'completed' }, logs: ['stdout: hi'], steps: 4 });
  });

  it.each<[string, ResumeImage, RegExp]>([
    ['is of memory', { ...image, state: { kind: 'memory' } as never }, /stepping module/],
    ['has too many files', withFiles(([file]) => Array.from({ length: 257 }, () => file as never)), /257 files/],
    ['has a file elsewhere', renamed('/checkpoint/ROUND', '/output/ROUND'), /no path of a checkpoint/],
    ['has the folder for a file', renamed('/checkpoint/ROUND', '/checkpoint/'), /no path of a checkpoint/],
    ['goes up', renamed('/checkpoint/ROUND', '/checkpoint/../ROUND'), /no path of a checkpoint/],
    ['has a long path', renamed('/checkpoint/weights', `/checkpoint/${'w'.repeat(512)}`), /no path of a checkpoint/],
    ['is out of order', withFiles((files) => files.toReversed()), /not in order/],
    ['has a file twice', withFiles((files) => files.flatMap((file) => [file, file])), /not in order/],
    ['has a file in a file', renamed('/checkpoint/weights', '/checkpoint/copy/w'), /no place for/],
    [
      'has other lengths',
      withFiles((files) => files.map((file) => ({ ...file, sizeBytes: PIECE * 9 }))),
      /not as long/,
    ],
    [
      'has halves of digests',
      withFiles((files) => files.map((file) => ({ ...file, pieces: file.pieces.subarray(1) }))),
      /not as long/,
    ],
    ['has a piece too few', { ...image, pieces: image.pieces.slice(0, -1) }, /2 pieces in place of 3/],
    ['has a piece too many', { ...image, pieces: [...image.pieces, new Uint8Array(1)] }, /more than 3 pieces/],
    ['has a short piece', { ...image, pieces: image.pieces.map((piece) => piece.subarray(1)) }, /piece 0 has 1 bytes/],
    ['is of another round', { ...image, step: 5 }, /files are of round 4, not 5/],
    ['has no round', renamed('/checkpoint/ROUND', '/checkpoint/Round'), /files are of round unknown, not 4/],
  ])('refuses one that %s', (_what, broken, reason) => {
    const refused = (): WasiHarness => createRounds(1, { resume: broken });
    expect(refused).toThrow(WasmError);
    expect(refused).toThrow(reason);
  });

  it('refuses files that are larger than the job allows', () => {
    const sizeBytes = SCRATCH + 2;
    const pieces = new Uint8Array(Math.ceil(sizeBytes / PIECE) * 32);
    const large: ResumeImage = {
      ...image,
      state: { kind: 'files', files: [{ path: '/checkpoint/w', sizeBytes, pieces }] },
    };
    expect(() => createRounds(1, { resume: large, outputBytes: 1 })).toThrow(/the job allows/);
  });

  it('refuses them where the job has no rounds', () => {
    expect(() => new WasiHarness({ resume: image })).toThrow(/no training rounds/);
  });

  it('refuses or starts with whatever else a state lists', () => {
    const file = fc.record({
      path: fc.oneof(fc.constantFrom('/checkpoint/ROUND', '/checkpoint/a', '/checkpoint/a/b'), fc.string()),
      sizeBytes: fc.nat(200_000),
      pieces: fc.uint8Array({ maxLength: 128 }),
    });
    const images = fc.record({
      step: fc.nat(3),
      state: fc.record({ kind: fc.constant('files' as const), files: fc.array(file, { maxLength: 4 }) }),
      pieces: fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(images, (any) => {
        try {
          expect(last(createRounds(1, { resume: any }))).toMatchObject({ place: 'start', step: any.step });
        } catch (error) {
          expect(error).toMatchObject({ code: 'WASM_RESUME_REFUSED' });
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('the number of a round', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('', '\n', ' \r\n'), (round, end) => {
        expect(parseRound(new TextEncoder().encode(`${round}${end}`))).toBe(round);
      }),
    );
  });
});
