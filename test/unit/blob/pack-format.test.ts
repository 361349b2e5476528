import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packName, parsePackName } from '../../../src/blob/snapshots/pack-file.ts';
import {
  decodePackEnd,
  encodePackEnd,
  measurePayload,
  type PackContent,
  readFooterLength,
  TRAILER_BYTES,
} from '../../../src/blob/snapshots/pack-format.ts';
import { formatSnapshotKey, parseSnapshotKey } from '../../../src/blob/snapshots/registration-codec.ts';
import { leaseOf } from '../../support/snapshots.ts';

const digestArbitrary = fc.uint8Array({ minLength: 32, maxLength: 32 });
const contentArbitrary: fc.Arbitrary<PackContent> = fc
  .record({
    lengths: fc.array(fc.nat(65_552), { maxLength: 20 }),
    fill: fc.nat(255),
    snapshot: fc.option(fc.record({ digest: digestArbitrary, sizeBytes: fc.integer({ min: 1, max: 100_000 }) })),
  })
  .map(({ lengths, fill, snapshot }) => ({
    digests: new Uint8Array(lengths.length * 32).fill(fill),
    lengths,
    snapshot,
  }));

describe('the end of a pack', () => {
  it('says what the pack holds', () => {
    fc.assert(
      fc.property(contentArbitrary, (content) => {
        const end = encodePackEnd(content);
        expect(readFooterLength(end.subarray(-TRAILER_BYTES))).toBe(end.length - TRAILER_BYTES);
        expect(decodePackEnd(end, measurePayload(content) + end.length)).toEqual(content);
        expect(decodePackEnd(end, measurePayload(content) + end.length + 1)).toBeUndefined();
      }),
    );
  });

  it('is not read once a byte of it is another, or one is missing', () => {
    fc.assert(
      fc.property(contentArbitrary, fc.nat(), fc.integer({ min: 1, max: 255 }), (content, at, change) => {
        const end = encodePackEnd(content);
        const size = measurePayload(content) + end.length;
        const place = at % end.length;
        expect(decodePackEnd(end.with(place, (end[place] ?? 0) ^ change), size)).toBeUndefined();
        expect(decodePackEnd(end.subarray(0, place), size)).toBeUndefined();
        expect(decodePackEnd(end.subarray(place + 1), size)).toBeUndefined();
      }),
    );
  });

  it('may be any garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (garbage, size) => {
        expect(decodePackEnd(garbage, size)).toBeUndefined();
        expect(readFooterLength(garbage)).toBeUndefined();
      }),
    );
  });
});

describe('names', () => {
  it('of packs go there and back, in order', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 30), fc.nat(2 ** 30), (a, b) => {
        expect(parsePackName(packName(a))).toBe(a);
        expect(packName(a) < packName(b)).toBe(a < b);
      }),
    );
    for (const name of ['', 'x.pack', '00000000000g.pack', `${packName(1)}.tmp`]) {
      expect(parsePackName(name)).toBeUndefined();
    }
  });

  it('of duties go there and back, in order of step', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.maxSafeNat(),
        fc.constantFrom('provider' as const, 'holder' as const),
        (a, b, role) => {
          const key = { role, lease: leaseOf(1), step: a };
          expect(parseSnapshotKey(formatSnapshotKey(key))).toEqual(key);
          expect(formatSnapshotKey(key) < formatSnapshotKey({ ...key, step: b })).toBe(a < b);
        },
      ),
    );
    fc.assert(fc.property(fc.string(), (text) => parseSnapshotKey(text) === undefined));
    expect(parseSnapshotKey(`other/${leaseOf(1)}/0000000000000001`)).toBeUndefined();
    expect(parseSnapshotKey(`holder/${leaseOf(1)}/1`)).toBeUndefined();
  });
});
