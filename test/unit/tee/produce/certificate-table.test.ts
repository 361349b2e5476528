import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TeeError } from '../../../../src/tee/errors.ts';
import { readCertificateTable } from '../../../../src/tee/produce/hardware/certificate-table.ts';
import { buildCertificateTable } from '../../../support/fake-tsm-kernel.ts';

const VCEK = '63da758d-e664-4564-adc5-f4b93be8accd';
const VLEK = 'a8074bc2-a25a-483e-aae6-39c045a0b8a1';
const ASK = '4ab7b379-bbac-4fe4-a02f-05aef327c782';

describe('readCertificateTable', () => {
  it('gives the certificates of keys that sign, and passes over the rest', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (own, other) => {
        for (const guid of [VCEK, VLEK]) {
          expect(
            readCertificateTable(
              buildCertificateTable([
                [ASK, other],
                [guid, own],
              ]),
            ),
          ).toEqual([own]);
        }
        expect(readCertificateTable(buildCertificateTable([[ASK, other]]))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('takes an empty one for none, and pages of zeros', () => {
    expect(readCertificateTable(new Uint8Array())).toEqual([]);
    expect(readCertificateTable(new Uint8Array(4096))).toEqual([]);
  });

  it('refuses one that is cut off anywhere, or points outside of itself', () => {
    const table = buildCertificateTable([[VCEK, new Uint8Array(100).fill(1)]]);
    for (let length = 1; length < table.length; length++) {
      expect(() => readCertificateTable(table.subarray(0, length))).toThrow(TeeError);
    }
    expect(() => readCertificateTable(table.with(19, 0xff))).toThrow(/cut off/u);
    expect(() => readCertificateTable(new Uint8Array(24 * 17).fill(1))).toThrow(TeeError);
    expect(() =>
      readCertificateTable(buildCertificateTable(Array.from({ length: 20 }, () => [ASK, new Uint8Array()]))),
    ).toThrow(/more than 16/u);
  });

  it('gives certificates or a coded error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          readCertificateTable(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(TeeError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
