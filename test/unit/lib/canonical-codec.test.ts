import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CborError, decodeCanonical, encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { findFormFault } from '../../../src/lib/canonical-form.ts';
import { NOT_READ, readCanonical } from '../../../src/lib/canonical-read.ts';
import { writeCanonical } from '../../../src/lib/canonical-write.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';

const links = fc
  .uint8Array({ maxLength: 8 })
  .chain((seed) => fc.constantFrom(computeRawCid(seed), computeObjectCid(seed)));
const edges = [0, -0, -1, 23, 24, -24, -25, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), -(2 ** 32) - 1];
const common = fc.oneof(
  fc.constantFrom(...edges, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.maxSafeInteger(),
  fc.string({ unit: 'grapheme-ascii', maxLength: 100 }),
  fc.uint8Array({ maxLength: 100 }),
  fc.boolean(),
  fc.constant(null),
  links,
);
const rare = fc.oneof(
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.integer({ min: 15_000, max: 17_000 }).map((size) => new Uint8Array(size)),
);

function nest(leaf: fc.Arbitrary<unknown>, key: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  return fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(key, tie('value'), { maxKeys: 8, noNullPrototype: true }),
    ),
  })).value;
}
const asciiKeys = fc.string({ unit: 'grapheme-ascii', maxLength: 40 }).filter((key) => key !== '/' && key !== 'asCID');
const commonValues = nest(common, asciiKeys);
const anyValues = nest(
  fc.oneof(common, rare),
  fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.constantFrom('/', 'asCID', '__proto__', '0')),
);

type Outcome = { readonly value: unknown } | { readonly code: string };

function attempt(decode: () => unknown): Outcome {
  try {
    return { value: decode() };
  } catch (error) {
    if (error instanceof CborError) return { code: error.code };
    throw error;
  }
}

/** The definition: the general decoder, then the walk. */
function decodeSlowly(bytes: Uint8Array): Outcome {
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch {
    return { code: 'CBOR_MALFORMED' };
  }
  return findFormFault(bytes) === null ? { value } : { code: 'CBOR_NOT_CANONICAL' };
}

describe('the canonical codec', () => {
  it('writes what the general encoder writes', () => {
    fc.assert(
      fc.property(commonValues, (value) => {
        const written = writeCanonical(value);
        const expected = dagCbor.encode(value);
        if (written === null) expect(expected.length).toBeGreaterThan(16_000);
        else expect(Buffer.compare(written, expected)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('writes rare values as the general encoder does, or leaves them to it', () => {
    fc.assert(
      fc.property(anyValues, (value) => {
        expect(Buffer.compare(encodeCanonical(value), dagCbor.encode(value))).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads what the general decoder reads', () => {
    fc.assert(
      fc.property(fc.oneof(commonValues, anyValues), (value) => {
        const bytes = dagCbor.encode(value);
        if (findFormFault(bytes) !== null) return;
        const read = readCanonical(bytes);
        if (read !== NOT_READ) expect(read).toStrictEqual(dagCbor.decode(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses with the same code what the general decoder and the walk refuse', () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.nat({ max: 3 }) });
    fc.assert(
      fc.property(anyValues, fc.array(change, { maxLength: 3 }), (value, changes) => {
        let bytes = encodeCanonical(value).slice();
        for (const { at, to, cut } of changes) {
          if (bytes.length === 0) break;
          bytes[at % bytes.length] = to;
          if (cut === 0) bytes = bytes.subarray(0, at % bytes.length);
        }
        const outcome = attempt(() => decodeCanonical(bytes, { maxBytes: 1_000_000, floats: 'allow' }));
        expect(outcome).toStrictEqual(decodeSlowly(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, unknown]>([
    ['undefined', { a: undefined }],
    ['not a number', [Number.NaN]],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['a function', { a: () => 1 }],
    ['a hole in an array', new Array(2)],
  ])('refuses to write %s', (_name, value) => {
    expect(writeCanonical(value)).toBeNull();
    expect(() => encodeCanonical(value)).toThrow();
  });

  it('refuses to write a circle', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(() => encodeCanonical(circle)).toThrow(/circular/);
  });

  it('keeps apart what is written while something is written', () => {
    const value = {
      a: 1,
      get b() {
        return encodeCanonical(['inner']);
      },
      c: 'outer',
    };
    expect(decodeCanonical(encodeCanonical(value), { maxBytes: 100 })).toEqual({
      a: 1,
      b: encodeCanonical(['inner']),
      c: 'outer',
    });
  });

  it('copies bytes out of the buffer that they came in', () => {
    const bytes = encodeCanonical({ bytes: Uint8Array.of(1, 2, 3) });
    const read = decodeCanonical(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), { maxBytes: 100 });
    bytes.fill(0);
    expect(read).toStrictEqual({ bytes: Uint8Array.of(1, 2, 3) });
  });
});
