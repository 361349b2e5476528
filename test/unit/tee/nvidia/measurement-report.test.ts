import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { MAX_REPORT_BYTES } from '../../../../src/tee/nvidia/constants.ts';
import { parseMeasurementReport } from '../../../../src/tee/nvidia/measurement-report.ts';
import { readNvidiaFile } from '../../../support/nvidia-vectors.ts';

const NONCE = new Uint8Array(32).fill(7);

function encodeNumber(value: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => Math.floor(value / 256 ** index) % 256);
}

function encodeBlock(index: number, digest: Uint8Array, type = 1): Uint8Array {
  const head = [new Uint8Array([index, 1]), encodeNumber(digest.length + 3, 2), new Uint8Array([type])];
  return concatBytes(...head, encodeNumber(digest.length, 2), digest);
}

function encodeOpaque(records: readonly (readonly [type: number, value: Uint8Array])[]): Uint8Array {
  return concatBytes(
    ...records.flatMap(([type, value]) => [encodeNumber(type, 2), encodeNumber(value.length, 2), value]),
  );
}

interface Parts {
  readonly blocks?: readonly Uint8Array[];
  readonly opaque?: Uint8Array;
  readonly tail?: Uint8Array;
}

const BLOCK = encodeBlock(1, new Uint8Array(48).fill(1));

function encodeReport({ blocks = [BLOCK], opaque = new Uint8Array(), tail = new Uint8Array() }: Parts): Uint8Array {
  const record = concatBytes(...blocks);
  return concatBytes(
    new Uint8Array([0x11, 0xe0, 0x01, 0xff]),
    NONCE,
    new Uint8Array([0, 0x11, 0x60, 0, 0, blocks.length]),
    encodeNumber(record.length, 3),
    record,
    NONCE,
    encodeNumber(opaque.length, 2),
    opaque,
    new Uint8Array(96).fill(9),
    tail,
  );
}

function expectRefused(bytes: Uint8Array, reason: RegExp): void {
  expect(() => parseMeasurementReport(bytes)).toThrow(reason);
  expect(() => parseMeasurementReport(bytes)).toThrow(TeeError);
}

describe('a report', () => {
  it('is read as it was written', () => {
    const digest = fc.uint8Array({ minLength: 48, maxLength: 48 });
    const blocks = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 255 }), digest), {
      minLength: 1,
      maxLength: 5,
      selector: ([index]) => index,
    });
    const record = fc.tuple(fc.integer({ min: 1, max: 36 }), fc.uint8Array({ maxLength: 40 }));
    const records = fc.uniqueArray(record, { maxLength: 5, selector: ([type]) => type });
    fc.assert(
      fc.property(blocks, records, (measured, opaque) => {
        const bytes = encodeReport({
          blocks: measured.map(([index, value]) => encodeBlock(index, value)),
          opaque: encodeOpaque(opaque),
        });
        const report = parseMeasurementReport(bytes);
        expect([...report.measurements]).toEqual(measured.map(([index, value]) => [index - 1, value]));
        expect([...report.opaque]).toEqual(opaque);
        expect(report.requesterNonce).toEqual(NONCE);
        expect(report.signed).toEqual(bytes.subarray(0, bytes.length - 96));
      }),
      { numRuns: 40 },
    );
  });

  it('that is cut off anywhere is refused', () => {
    const whole = readNvidiaFile('ls10-evidence-0.report.bin');
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseMeasurementReport(whole.subarray(0, length))).toThrow(TeeError);
    }
  });

  it('of any bytes is read or refused with a code', () => {
    const start = encodeReport({}).subarray(0, 42);
    fc.assert(
      fc.property(fc.boolean(), fc.uint8Array({ maxLength: 400 }), (isPlausible, garbage) => {
        const bytes = isPlausible ? concatBytes(start, garbage) : garbage;
        try {
          parseMeasurementReport(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(TeeError);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('that asks for less than all measurements, or unsigned, is refused', () => {
    const whole = encodeReport({});
    expectRefused(whole.with(2, 0), /signed/);
    expectRefused(whole.with(3, 1), /all measurements/);
    expectRefused(whole.with(36, 1), /slot 0/);
    expectRefused(whole.with(0, 0x12), /SPDM 1.1/);
    expectRefused(whole.with(38, 0x61), /MEASUREMENTS response/);
  });

  it('whose measurements are double, raw, of another size or of another number is refused', () => {
    const digest = new Uint8Array(48);
    expectRefused(encodeReport({ blocks: [BLOCK, BLOCK] }), /twice/);
    expectRefused(encodeReport({ blocks: [encodeBlock(0, digest)] }), /zero/);
    expectRefused(encodeReport({ blocks: [encodeBlock(1, digest, 0x81)] }), /SHA-384/);
    expectRefused(encodeReport({ blocks: [encodeBlock(1, digest.subarray(1))] }), /SHA-384/);
    expectRefused(encodeReport({ blocks: [] }), /no measurements/);
    expectRefused(encodeReport({}).with(41, 2), /DMTF|cut off|twice|end here/);
    expectRefused(encodeReport({}).with(42, 56), /end here/);
  });

  it('may end in one byte of zero and in nothing else', () => {
    expect(parseMeasurementReport(encodeReport({ tail: new Uint8Array(1) })).measurements.size).toBe(1);
    expectRefused(encodeReport({ tail: new Uint8Array(2) }), /follow the signature/);
    expectRefused(encodeReport({ tail: new Uint8Array([1]) }), /follow the signature/);
    expectRefused(new Uint8Array(MAX_REPORT_BYTES + 1), /at most/);
  });

  it('whose opaque records are unknown, double or cut off is refused', () => {
    const value = new Uint8Array(2);
    expectRefused(encodeReport({ opaque: encodeOpaque([[0, value]]) }), /type 0 is not known/);
    expectRefused(encodeReport({ opaque: encodeOpaque([[37, value]]) }), /type 37 is not known/);
    expectRefused(
      encodeReport({
        opaque: encodeOpaque([
          [3, value],
          [3, value],
        ]),
      }),
      /twice/,
    );
    expectRefused(encodeReport({ opaque: encodeOpaque([[3, value]]).subarray(0, 5) }), /cut off/);
    expectRefused(encodeReport({ opaque: new Uint8Array(3) }), /cut off/);
  });
});
