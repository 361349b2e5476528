import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computeCrc32c } from '../../../src/lib/crc32c.ts';
import { readLogFile } from '../../../src/storage/files/log-file.ts';
import { readManifestFile } from '../../../src/storage/files/manifest-file.ts';
import { unpackSnappy } from '../../../src/storage/files/snappy.ts';
import { readTableFile } from '../../../src/storage/files/table-file.ts';
import { decodeWriteBatch } from '../../../src/storage/files/write-batch.ts';
import { openSealedValue, sealValue } from '../../../src/storage/sealed-value.ts';

const RUNS = { numRuns: 200 };

describe('CRC-32C', () => {
  it('gives the values of RFC 3720 appendix B.4', () => {
    expect(computeCrc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
    expect(computeCrc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(computeCrc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(computeCrc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
  });

  it('can be computed in parts', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (first, second) => {
        const whole = Uint8Array.from([...first, ...second]);
        expect(computeCrc32c(second, computeCrc32c(first))).toBe(computeCrc32c(whole));
      }),
      RUNS,
    );
  });
});

describe('a sealed value', () => {
  it('opens under its own key alone, and not once a bit was changed', () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), fc.nat(), (key, value, place) => {
        const sealed = sealValue(key, value);
        expect(openSealedValue(key, sealed)).toEqual(value);
        expect(openSealedValue(`${key}x`, sealed)).toBeUndefined();
        const bit = place % (sealed.length * 8);
        sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(openSealedValue(key, sealed)).toBeUndefined();
      }),
      RUNS,
    );
  });
});

describe('Snappy', () => {
  it('unpacks literals and copies, those over themselves included', () => {
    // 'abcd', then 8 bytes from 4 before, then 6 from 1 before.
    const packed = Uint8Array.of(18, 3 << 2, 97, 98, 99, 100, 1 | (4 << 2), 4, 2 | (5 << 2), 1, 0);
    expect(Buffer.from(unpackSnappy(packed) ?? []).toString()).toBe('abcdabcdabcddddddd');
  });

  it('refuses copies from before the beginning, and lengths that are others', () => {
    for (const packed of [
      [4, 2 | (3 << 2), 1, 0],
      [4, 0, 97],
      [2, 4, 97, 98, 99],
      [4, 3 << 2, 97],
    ]) {
      expect(unpackSnappy(Uint8Array.from(packed))).toBeUndefined();
    }
  });
});

describe('garbage', () => {
  it('is never taken for what it is not, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
        const log = readLogFile(bytes);
        expect(log.records).toEqual([]);
        if (bytes.some((byte) => byte !== 0)) expect(log.damaged.length).toBeGreaterThan(0);
        expect(readManifestFile(bytes)).toBeUndefined();
        expect(readTableFile(bytes).unreadable).not.toBeNull();
        unpackSnappy(bytes);
        decodeWriteBatch(bytes);
      }),
      RUNS,
    );
  });
});
