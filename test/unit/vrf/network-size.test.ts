import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineEstimates, estimateFromDistances } from '../../../src/vrf/network-size.ts';
import { compareRanks } from '../../../src/vrf/selection.ts';

const CLOSEST = 20;

const hash = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest());

/** XOR distances of the K closest of the keys to a target. */
function findClosest(keys: readonly Uint8Array[], target: Uint8Array): Uint8Array[] {
  const distances = keys.map((key) => key.map((byte, index) => byte ^ (target[index] ?? 0)));
  return distances.sort(compareRanks).slice(0, CLOSEST);
}

describe('the size from density', () => {
  it('is unbiased within its standard error, over seeded keys', () => {
    const size = 500;
    const keys = Array.from({ length: size }, (_, index) => hash(`key ${index}`));
    const targets = 60;
    let sum = 0;
    for (let target = 0; target < targets; target += 1) {
      sum += estimateFromDistances({ distances: findClosest(keys, hash(`target ${target}`)) });
    }
    // One estimate is off by N / √(K − 2); the targets share their keys, so a little is added for that.
    const standardError = size / Math.sqrt(CLOSEST - 2) / Math.sqrt(targets);
    expect(Math.abs(sum / targets - size)).toBeLessThan(4 * standardError);
  });

  it('is (K − 1) · 2^256 / d_K, in whatever order the distances come', () => {
    const distance = (first: number): Uint8Array => Uint8Array.of(first, ...new Uint8Array(31));
    expect(estimateFromDistances({ distances: [distance(64), distance(1), distance(2)] })).toBe(8);
    expect(estimateFromDistances({ distances: [distance(1), distance(2)] })).toBe(128);
  });

  it('of too few keys is their number', () => {
    expect(estimateFromDistances({ distances: [] })).toBe(0);
    expect(estimateFromDistances({ distances: [new Uint8Array(32)] })).toBe(1);
  });

  it('is a finite number whatever the distances', () => {
    const distances = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 25 });
    fc.assert(
      fc.property(distances, (each) => {
        const size = estimateFromDistances({ distances: each });
        expect(Number.isFinite(size) && size >= 0).toBe(true);
      }),
    );
    expect(estimateFromDistances({ distances: [new Uint8Array(32), new Uint8Array(32)] })).toBe(2 ** 256);
    expect(() => estimateFromDistances({ distances: [new Uint8Array(31), new Uint8Array(31)] })).toThrow(RangeError);
  });
});

describe('the size that is gone by', () => {
  it('is the median of own and reported', () => {
    expect(combineEstimates({ own: 100, reported: [90, 1_000_000], previous: null })).toBe(100);
    expect(combineEstimates({ own: 500, reported: [90, 100, 110, 120], previous: null })).toBe(110);
    expect(combineEstimates({ own: 100, reported: [], previous: null })).toBe(100);
  });

  it('of an even number is the one nearest to own', () => {
    expect(combineEstimates({ own: 100, reported: [1e70], previous: null })).toBe(100);
    expect(combineEstimates({ own: 100, reported: [1e70, 1e70, 1e70], previous: null })).toBe(1e70);
    expect(combineEstimates({ own: 100, reported: [110, 120, 130], previous: null })).toBe(110);
  });

  it('moves at most by a factor of two, whoever says what', () => {
    const anything = fc.array(fc.oneof(fc.double(), fc.constantFrom(0, -1, 1e300)), { maxLength: 40 });
    fc.assert(
      fc.property(anything, fc.double({ min: 1, max: 1e9, noNaN: true }), (reported, previous) => {
        const size = combineEstimates({ own: previous, reported, previous });
        expect(size).toBeGreaterThanOrEqual(previous / 2);
        expect(size).toBeLessThanOrEqual(previous * 2);
      }),
    );
    expect(combineEstimates({ own: 1e12, reported: [1e12, 1e12], previous: 1_000 })).toBe(2_000);
    expect(combineEstimates({ own: 1, reported: [1, 1], previous: 1_000 })).toBe(500);
  });

  it('stays among the honest values while fewer than half lie', () => {
    const honest = fc.array(fc.integer({ min: 900, max: 1_100 }), { minLength: 1, maxLength: 10 });
    const sizes = fc.oneof(fc.constant(1), fc.constant(1e12));
    fc.assert(
      fc.property(honest, fc.array(sizes, { maxLength: 10 }), (told, lies) => {
        const reported = [...told, ...lies.slice(0, told.length)];
        const size = combineEstimates({ own: 1_000, reported, previous: null });
        expect(size).toBeGreaterThanOrEqual(900);
        expect(size).toBeLessThanOrEqual(1_100);
      }),
    );
  });

  it('is not moved by reports that are no sizes', () => {
    const reported = [Number.NaN, Number.POSITIVE_INFINITY, 0, -5];
    expect(combineEstimates({ own: 100, reported, previous: 100 })).toBe(100);
  });
});
