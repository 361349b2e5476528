import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotState } from '../../../src/domain/snapshot.ts';
import { MAX_CHECKPOINT_FRAME_BYTES, MAX_CHILD_FRAME_BYTES } from '../../../src/sandbox/constants.ts';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import * as answers from '../../../src/sandbox/protocol/answers.ts';
import { FieldReader, FrameWriter } from '../../../src/sandbox/protocol/fields.ts';
import { FrameSplitter } from '../../../src/sandbox/protocol/frame-splitter.ts';
import { type Answer, parseAnswer } from '../../../src/sandbox/protocol/parse-answer.ts';
import { type RunRequest, readOrder, readRun, writeOrder, writeRun } from '../../../src/sandbox/protocol/requests.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const number = fc.maxSafeNat();

const digests = (maxCount: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ maxLength: maxCount * 32 }).map((bytes) => bytes.subarray(0, bytes.length - (bytes.length % 32)));
const path = fc.stringMatching(/^\/[a-z]{1,8}$/);
const state: fc.Arbitrary<SnapshotState> = fc.oneof(
  fc.record({
    kind: fc.constant('memory' as const),
    host: fc.uint8Array({ minLength: 108, maxLength: 108 }),
    globals: fc.uint8Array({ maxLength: 27 }),
    pages: digests(4),
    output: digests(3),
  }),
  fc.record({
    kind: fc.constant('files' as const),
    files: fc.array(fc.record({ path, sizeBytes: number, pieces: digests(3) }), { maxLength: 3 }),
  }),
);

function written(write: (writer: FrameWriter) => void): Uint8Array {
  const writer = new FrameWriter(16);
  write(writer);
  return writer.view().slice();
}

function framesOf(chunks: readonly Uint8Array[]): Answer[] {
  const splitter = new FrameSplitter();
  const found: Answer[] = [];
  for (const chunk of chunks) splitter.push(chunk, (frame) => found.push(structuredClone(parseAnswer(frame))));
  return found;
}

describe('answers of a child', () => {
  it('come back as they were written, however the pipe cuts them', () => {
    const bytes = written((writer) => {
      answers.writeReady(writer);
      answers.writeLog(writer, 'stderr', new TextEncoder().encode('oops'));
      answers.writeMetric(writer, { step: 3, name: new TextEncoder().encode('loss'), value: -0.5 });
      answers.writeProgress(writer, { fuel: 2 ** 52, step: 4, cpuMicros: 5 });
      answers.writeOutput(writer, '/output', 2);
      answers.writeChunk(writer, Uint8Array.of(1, 2));
    });
    const expected = [
      { kind: 'ready' },
      { kind: 'log', stream: 'stderr', text: new TextEncoder().encode('oops') },
      { kind: 'metric', step: 3, name: 'loss', value: -0.5 },
      { kind: 'progress', fuel: 2 ** 52, step: 4, cpuMicros: 5 },
      { kind: 'output', path: '/output', sizeBytes: 2 },
      { kind: 'chunk', bytes: Uint8Array.of(1, 2) },
    ];
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        expect(framesOf(places.slice(1).map((end, index) => bytes.slice(places[index], end)))).toEqual(expected);
      }),
    );
  });

  it('round-trip results', () => {
    const result = fc.record({
      kind: fc.constantFrom('completed' as const, 'program-failed' as const),
      code: fc.constant('TRAP'),
      detail: fc.string({ maxLength: 100, unit: 'grapheme-ascii' }),
      fuel: number,
      steps: number,
      memoryBytes: number,
      cpuMicros: number,
      metricsHash: digest,
      moduleDigest: fc.option(digest),
    });
    fc.assert(
      fc.property(result, (value) => {
        const [answer] = framesOf([written((writer) => answers.writeResult(writer, value))]);
        const { kind, code, detail, ...figures } = value;
        const outcome = kind === 'completed' ? { kind } : { kind, code, detail };
        expect(answer).toEqual({ kind: 'result', outcome, ...figures });
      }),
    );
  });

  it('round-trip checkpoints', () => {
    const checkpoint: fc.Arbitrary<answers.CheckpointAnswer> = fc.record({
      place: fc.constantFrom(...answers.CHECKPOINT_PLACES),
      step: number,
      fuel: number,
      ordinal: number,
      stateRoot: digest,
      metricsHash: digest,
      state,
    });
    fc.assert(
      fc.property(checkpoint, (value) => {
        const [answer] = framesOf([written((writer) => answers.writeCheckpoint(writer, value))]);
        expect(answer).toEqual({ kind: 'checkpoint', ...value });
      }),
    );
  });

  it('carry pieces of up to 64 KiB behind their head', () => {
    const piece = (place: number, size: number): Uint8Array[] => [
      written((writer) => answers.writePieceHead(writer, place, size)),
      new Uint8Array(size).fill(7),
    ];
    const [answer] = framesOf(piece(5, 65_536));
    expect(answer).toEqual({ kind: 'piece', place: 5, bytes: new Uint8Array(65_536).fill(7) });
    expect(() => framesOf(piece(5, 65_537))).toThrow('a piece has a wrong size');
    expect(() => framesOf(piece(5, 0))).toThrow('a piece has a wrong size');
  });

  it('are refused when a state is none', () => {
    const good = { host: new Uint8Array(108), globals: new Uint8Array(0), pages: new Uint8Array(0) };
    const refused: SnapshotState[] = [
      { kind: 'memory', ...good, globals: new Uint8Array(9 * 65_536 + 9), output: new Uint8Array(0) },
      { kind: 'files', files: [{ path: '/../x', sizeBytes: 0, pieces: new Uint8Array(0) }] },
      {
        kind: 'files',
        files: Array.from({ length: 257 }, (_, index) => ({
          ...{ path: `/${index}`, sizeBytes: 0, pieces: new Uint8Array(0) },
        })),
      },
    ];
    for (const value of refused) {
      const frame = written((writer) =>
        answers.writeCheckpoint(writer, {
          ...{ place: 'start', step: 0, fuel: 0, ordinal: 0, state: value },
          ...{ stateRoot: new Uint8Array(32), metricsHash: new Uint8Array(32) },
        }),
      );
      expect(() => parseAnswer(frame.subarray(4))).toThrow('a state is malformed');
    }
  });

  it('are refused with a coded error when they are garbage, each type in turn', () => {
    const types = Object.values(answers.ANSWER);
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 300 }), (type, rest) => {
        try {
          parseAnswer(Uint8Array.of(type, ...rest));
        } catch (error) {
          expect(error).toBeInstanceOf(SandboxError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused with a coded error when they are garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (frame) => {
        try {
          parseAnswer(frame);
        } catch (error) {
          expect(error).toBeInstanceOf(SandboxError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['an unknown type', Uint8Array.of(99)],
    ['an unknown stream', Uint8Array.of(2, 9, 65)],
    ['a short result', Uint8Array.of(7, 0, 0)],
    [
      'an unknown failure',
      written((writer) =>
        answers.writeResult(writer, {
          kind: 'program-failed',
          code: 'MADE_UP',
          detail: '',
          fuel: 0,
          steps: 0,
          memoryBytes: 0,
          cpuMicros: 0,
          metricsHash: new Uint8Array(32),
          moduleDigest: null,
        }),
      ).subarray(4),
    ],
    ['bytes behind the end', Uint8Array.of(1, 0)],
    [
      'an integer beyond 2^53',
      Uint8Array.of(4, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    ],
  ])('refuse %s', (_what, frame) => {
    expect(() => parseAnswer(frame)).toThrow(SandboxError);
  });

  it('refuse a frame longer than the limit before its bytes have come', () => {
    const head = (length: number, type?: number): Uint8Array => {
      const bytes = new Uint8Array(type === undefined ? 4 : 5);
      new DataView(bytes.buffer).setUint32(0, length);
      if (type !== undefined) bytes[4] = type;
      return bytes;
    };
    const push = (bytes: Uint8Array): void => new FrameSplitter().push(bytes, () => {});
    expect(() => push(head(MAX_CHILD_FRAME_BYTES + 1, answers.ANSWER.chunk))).toThrow('too long');
    expect(() => push(head(MAX_CHILD_FRAME_BYTES + 1, answers.ANSWER.checkpoint))).not.toThrow();
    expect(() => push(head(MAX_CHECKPOINT_FRAME_BYTES + 1, answers.ANSWER.checkpoint))).toThrow('too long');
    expect(() => push(head(MAX_CHECKPOINT_FRAME_BYTES + 1))).toThrow('too long');
    expect(() => push(new Uint8Array(4))).toThrow(SandboxError);
    expect(() => push(new Uint8Array(5))).toThrow(SandboxError);
  });

  it('take the largest state there is', () => {
    const value: answers.CheckpointAnswer = {
      ...{ place: 'end', step: 1, fuel: 1, ordinal: 1, stateRoot: new Uint8Array(32), metricsHash: new Uint8Array(32) },
      state: {
        ...{ kind: 'memory', host: new Uint8Array(108), globals: new Uint8Array(9 * 65_536) },
        ...{ pages: new Uint8Array(65_536 * 32), output: new Uint8Array(65_536 * 32) },
      },
    };
    const frame = written((writer) => answers.writeCheckpoint(writer, value));
    const parts = Array.from({ length: Math.ceil(frame.length / 65_536) }, (_, index) =>
      frame.subarray(index * 65_536, (index + 1) * 65_536),
    );
    const found: Answer[] = [];
    const splitter = new FrameSplitter();
    for (const part of parts) splitter.push(part, (whole) => found.push(parseAnswer(whole)));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ kind: 'checkpoint', place: 'end' });
  });
});

describe('requests to a child', () => {
  it('round-trip', () => {
    const request: fc.Arbitrary<RunRequest> = fc.record({
      digest,
      abi: fc.constantFrom('wasi' as const, 'fogproof' as const),
      maxPages: fc.nat(65_536),
      fuel: number,
      outputBytes: number,
      logBytes: number,
      seed: digest,
      arguments: fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 3 }),
      environment: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 3 }),
      inputs: fc.array(fc.record({ path: fc.string(), sizeBytes: fc.nat() }), { maxLength: 3 }),
      checkpoints: fc.option(
        fc.record({ kind: fc.constantFrom('fuel' as const, 'steps' as const, 'rounds' as const), every: number }),
      ),
      resume: fc.option(
        fc.record({ step: number, state, pieceSizes: fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 3 }) }),
      ),
    });
    fc.assert(
      fc.property(request, (value) => {
        const reader = new FieldReader(written((writer) => writeRun(writer, value)).subarray(5));
        expect(readRun(reader)).toEqual(value);
      }),
    );
  });

  it('round-trip orders', () => {
    const order = fc.record({
      next: fc.constantFrom('continue' as const, 'halt' as const),
      wanted: fc.array(fc.nat(131_071), { maxLength: 20 }),
    });
    fc.assert(
      fc.property(order, (value) => {
        const frame = written((writer) => writeOrder(writer, value));
        expect(readOrder(new FieldReader(frame.subarray(5)))).toEqual(value);
      }),
    );
  });
});
