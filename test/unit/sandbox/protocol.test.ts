import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SandboxError } from '../../../src/sandbox/errors.ts';
import * as answers from '../../../src/sandbox/protocol/answers.ts';
import { FieldReader, FrameWriter } from '../../../src/sandbox/protocol/fields.ts';
import { type Answer, FrameSplitter, parseAnswer } from '../../../src/sandbox/protocol/parse-answer.ts';
import { type RunRequest, readRun, writeRun } from '../../../src/sandbox/protocol/requests.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const number = fc.maxSafeNat();

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
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, 1024 * 1024 + 1);
    expect(() => new FrameSplitter().push(head, () => {})).toThrow('too long');
    expect(() => new FrameSplitter().push(new Uint8Array(4), () => {})).toThrow(SandboxError);
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
    });
    fc.assert(
      fc.property(request, (value) => {
        const reader = new FieldReader(written((writer) => writeRun(writer, value)).subarray(5));
        expect(readRun(reader)).toEqual(value);
      }),
    );
  });
});
