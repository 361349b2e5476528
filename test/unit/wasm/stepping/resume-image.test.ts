import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WasmError } from '../../../../src/wasm/errors.ts';
import type { ResumeImage } from '../../../../src/wasm/stepping/interface.ts';
import { steppingWat } from '../../../support/program.ts';
import { type MemoryState, prepareStepping, runStepping, type SteppingOptions } from '../../../support/stepping-run.ts';
import { assembleWat } from '../../../support/wat.ts';

const MODULE = assembleWat(
  steppingWat({
    rest: '(global $n (mut i32) (i32.const 0)) (global $x (mut f64) (f64.const 1))',
    init: '(call $metric (i32.const 0) (i32.const 5) (f64.const 1)) (i32.const 0)',
    step: `(global.set $n (i32.add (global.get $n) (i32.const 1)))
      (i32.store (i32.const 70000) (global.get $n))
      (call $output_write (i32.const 0) (i32.const 40000)) (i32.ge_u (global.get $n) (i32.const 4))`,
  }).replace('(memory (export "memory") 1)', '(memory (export "memory") 2 4)'),
);
const LIMITS = { fuel: 1e6, logBytes: 1000, outputBytes: 200_000 };
const PREPARED = prepareStepping(MODULE);

function takeImage(
  step: number,
): ResumeImage & { readonly state: MemoryState; readonly pieces: readonly Uint8Array[] } {
  const taken = runStepping(PREPARED, { task: LIMITS, takesPieces: true }).states[step];
  if (taken === undefined) throw new TypeError(`no step ${step}`);
  return { step, state: taken.state, pieces: taken.pieces };
}

const IMAGE = takeImage(2);

function resume(image: ResumeImage, options: SteppingOptions = {}): () => ReturnType<typeof runStepping> {
  return () => runStepping(PREPARED, { task: LIMITS, ...options, resume: image });
}

/** The image with other bytes in its host state. */
function withHost(offset: number, value: bigint, bytes: 1 | 4 | 8 = 8): ResumeImage {
  const host = Buffer.from(IMAGE.state.host);
  if (bytes === 8) host.writeBigUInt64BE(value, offset);
  else host.writeUIntBE(Number(value), offset, bytes);
  return { ...IMAGE, state: { ...IMAGE.state, host } };
}

const withState = (state: Partial<MemoryState>): ResumeImage => ({ ...IMAGE, state: { ...IMAGE.state, ...state } });

describe('an image that does not fit', () => {
  it('is told from one that does', () => {
    expect(resume(IMAGE)().result).toMatchObject({ outcome: { kind: 'completed' }, steps: 4 });
  });

  it.each<[string, ResumeImage, RegExp]>([
    ['is of files', { ...IMAGE, state: { kind: 'files', files: [] } }, /does not step/],
    ['has a short host state', withState({ host: IMAGE.state.host.subarray(1) }), /host state is malformed/],
    ['has another version', withHost(0, 2n, 1), /host state is malformed/],
    ['is of another step', { ...IMAGE, step: 3 }, /of step 2, not 3/],
    ['is done without a step', { ...takeImage(0), state: doneAtStart() }, /done without a step/],
    ['has used too much fuel', withHost(12, 1_000_001n), /more fuel/],
    ['has fuel above 2^53', withHost(12, 2n ** 60n), /host state is malformed/],
    ['has more output than allowed', withHost(28, 200_001n), /more output/],
    ['has logged more than allowed', withHost(36, 1001n), /more logs than the job/],
    ['has more logs than bytes of them', withHost(44, 1n), /more logs and metrics/],
    ['has a metrics hash without metrics', withHost(52, 0n), /a metrics hash and no metrics/],
    ['has fewer pages than the module begins with', withHost(60, 1n, 4), /has 1 pages/],
    ['has more pages than the module may have', withHost(60, 5n, 4), /has 5 pages/],
    ['has more pages than any memory', withHost(60, 65_537n, 4), /host state is malformed/],
    ['lists other pages', withState({ pages: IMAGE.state.pages.subarray(32) }), /pages are not as many/],
    ['lists pages by halves', withState({ pages: IMAGE.state.pages.subarray(1) }), /pages are not as many/],
    ['lists other output', withState({ output: new Uint8Array(0) }), /output is not as long/],
    ['has output that was not written', withHost(64, 0n, 4), /host state is malformed/],
    ['is of a schedule by fuel', withHost(68, 1000n), /schedule by fuel/],
    ['has no globals', withState({ globals: new Uint8Array(0) }), /0 bytes of globals/],
    ['has one more global', withState({ globals: new Uint8Array(27) }), /27 bytes of globals/],
    ['has globals of other types', withState({ globals: retype(0x7e) }), /type of global 0/],
    ['has an i32 of more than 32 bits', withState({ globals: widen() }), /more than 32 bits/],
    ['has a piece too few', { ...IMAGE, pieces: IMAGE.pieces.slice(1) }, /piece 2 has 14464 bytes/],
    ['has a piece too few at the end', { ...IMAGE, pieces: IMAGE.pieces.slice(0, -1) }, /3 pieces in place of 4/],
    ['has a piece too many', { ...IMAGE, pieces: [...IMAGE.pieces, new Uint8Array(65_536)] }, /more than 4 pieces/],
    ['has a short page', { ...IMAGE, pieces: IMAGE.pieces.map((piece) => piece.subarray(1)) }, /piece 0 has 65535/],
    [
      'has a long last piece',
      { ...IMAGE, pieces: IMAGE.pieces.map(() => new Uint8Array(65_536)) },
      /piece 3 has 65536/,
    ],
  ])('which %s', (_name, image, reason) => {
    expect(resume(image)).toThrow(expect.objectContaining({ code: 'WASM_RESUME_REFUSED' }));
    expect(resume(image)).toThrow(reason);
  });

  it('which is of another schedule', () => {
    const checkpoints = { kind: 'fuel', every: 1000 } as const;
    expect(resume(IMAGE, { checkpoints })).toThrow(/another schedule/);
  });

  it('never lets anything of the module run', () => {
    const image = { ...IMAGE, pieces: IMAGE.pieces.slice(0, -1) };
    const calls: string[] = [];
    const events = (): unknown =>
      runStepping(PREPARED, {
        task: { ...LIMITS, inputs: [] },
        resume: image,
        onCheckpoint: () => calls.push('checkpoint'),
      });
    expect(events).toThrow(WasmError);
    expect(calls).toEqual([]);
  });

  it('is refused or run to an end, whatever its bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const garbled = (original: Uint8Array): fc.Arbitrary<Uint8Array> =>
      fc.oneof(
        { arbitrary: bytes, weight: 1 },
        { arbitrary: fc.constant(original), weight: 6 },
        {
          weight: 2,
          arbitrary: fc
            .array(fc.tuple(fc.nat({ max: Math.max(0, original.length - 1) }), fc.nat({ max: 255 })), { maxLength: 3 })
            .map((changes) => {
              const copy = original.slice();
              for (const [at, value] of changes) copy[at] = value;
              return copy;
            }),
        },
      );
    const image = fc.record({
      step: fc.constantFrom(2, 2, 2, 0, 3),
      state: fc.record({
        kind: fc.constant('memory' as const),
        host: garbled(IMAGE.state.host),
        globals: garbled(IMAGE.state.globals),
        pages: garbled(IMAGE.state.pages),
        output: garbled(IMAGE.state.output),
      }),
      pieces: fc.oneof(fc.constant(IMAGE.pieces), fc.array(bytes, { maxLength: 5 })),
    });
    let refused = 0;
    let ran = 0;
    fc.assert(
      fc.property(image, (candidate) => {
        try {
          const { result } = resume(candidate, { checkpoints: null })();
          expect(['completed', 'program-failed']).toContain(result.outcome.kind);
          ran++;
        } catch (error) {
          expect(error).toBeInstanceOf(WasmError);
          expect((error as WasmError).code).toBe('WASM_RESUME_REFUSED');
          refused++;
        }
      }),
      { numRuns: 300 },
    );
    expect(Math.min(refused, ran)).toBeGreaterThan(5);
  });

  it('shows in the state root of the first checkpoint where its pieces are not what it says', () => {
    const pieces = IMAGE.pieces.map((piece, place) =>
      place === 0 ? piece.map((byte, at) => (at === 9 ? byte ^ 1 : byte)) : piece,
    );
    const [honest] = resume(IMAGE)().states;
    const [changed] = resume({ ...IMAGE, pieces })().states;
    expect(changed?.stateRoot).not.toBe(honest?.stateRoot);
  });

  it('takes pieces from a source that gives each once, in one buffer', () => {
    function* once(): Generator<Uint8Array> {
      const buffer = new Uint8Array(65_536);
      for (const piece of IMAGE.pieces) {
        buffer.set(piece);
        yield buffer.subarray(0, piece.length);
      }
    }
    expect(resume({ ...IMAGE, pieces: once() })().result).toEqual(resume(IMAGE)().result);
  });
});

function doneAtStart(): MemoryState {
  const { state } = takeImage(0);
  const host = state.host.slice();
  host[1] = 1;
  return { ...state, host };
}

function retype(type: number): Uint8Array {
  const globals = IMAGE.state.globals.slice();
  globals[0] = type;
  return globals;
}

function widen(): Uint8Array {
  const globals = IMAGE.state.globals.slice();
  globals[2] = 1;
  return globals;
}
