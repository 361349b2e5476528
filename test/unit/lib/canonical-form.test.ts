import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { areBytesEqual, concatBytes, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { findFormFault } from '../../../src/lib/canonical-form.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';

/** The definition that the walk must agree with: what decodes encodes again to the same bytes. */
function survivesRoundTrip(bytes: Uint8Array): boolean {
  try {
    return areBytesEqual(dagCbor.encode(dagCbor.decode(bytes)), bytes);
  } catch {
    return false;
  }
}

function decodes(bytes: Uint8Array): boolean {
  try {
    dagCbor.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The walk stands beside the decoder: both must pass. */
function isAccepted(bytes: Uint8Array): boolean {
  return decodes(bytes) && findFormFault(bytes) === null;
}

const links = fc
  .uint8Array({ maxLength: 8 })
  .chain((seed) => fc.constantFrom(computeRawCid(seed), computeObjectCid(seed)));
const leaf = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'binary', maxLength: 100 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
  links,
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 30 }), tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

describe('the canonical form', () => {
  it('is what the encoder writes', () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeCanonical(value);
        expect(isAccepted(bytes)).toBe(survivesRoundTrip(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('is left by every change that the round trip notices', () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.nat({ max: 3 }) });
    fc.assert(
      fc.property(values, fc.array(change, { minLength: 1, maxLength: 3 }), (value, changes) => {
        let bytes = encodeCanonical(value).slice();
        for (const { at, to, cut } of changes) {
          if (bytes.length === 0) break;
          bytes[at % bytes.length] = to;
          if (cut === 0) bytes = bytes.subarray(0, at % bytes.length);
        }
        expect(isAccepted(bytes)).toBe(survivesRoundTrip(bytes));
      }),
      { numRuns: 20_000 },
    );
  });

  it('is found or not found in garbage as by the round trip', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        expect(isAccepted(bytes)).toBe(survivesRoundTrip(bytes));
      }),
      { numRuns: 20_000 },
    );
  });

  const float = (value: number): Uint8Array => {
    const bytes = new Uint8Array(9);
    bytes[0] = 0xfb;
    new DataView(bytes.buffer).setFloat64(1, value);
    return bytes;
  };
  const text = (content: Uint8Array): Uint8Array =>
    concatBytes(
      content.length < 24 ? Uint8Array.of(0x60 + content.length) : Uint8Array.of(0x78, content.length),
      content,
    );
  const link = (content: readonly number[]): Uint8Array =>
    concatBytes(Uint8Array.of(0xd8, 0x2a, 0x58, content.length + 1, 0), Uint8Array.from(content));
  const raw = [...computeRawCid(new Uint8Array()).bytes];

  it.each<[string, Uint8Array]>([
    ['a whole number as a float', float(1)],
    ['minus zero', float(-0)],
    ['a large whole float', float(2 ** 60)],
    ['the smallest float', float(5e-324)],
    ['a byte order mark', text(encodeUtf8('\ufeffabc'))],
    ['a byte order mark in a long text', text(encodeUtf8(`\ufeff${'a'.repeat(100)}`))],
    ['the key __proto__', concatBytes(Uint8Array.of(0xa1), text(encodeUtf8('__proto__')), Uint8Array.of(1))],
    [
      'the key __proto__ with a map',
      concatBytes(Uint8Array.of(0xa1), text(encodeUtf8('__proto__')), Uint8Array.of(0xa0)),
    ],
    ['the key constructor', concatBytes(Uint8Array.of(0xa1), text(encodeUtf8('constructor')), Uint8Array.of(1))],
    ['a surrogate in UTF-8', text(Uint8Array.of(0xed, 0xa0, 0x80))],
    ['an overlong UTF-8 form', text(Uint8Array.of(0xc0, 0x80))],
    ['a link', link(raw)],
    ['a link with a codec that is not shortest', link([1, 0xd5, 0x00, ...raw.slice(2)])],
    ['a link with a byte too many', link([...raw, 0])],
    ['a link of version 0', link([0x12, 32, ...raw.slice(4)])],
    ['a link that says version 0', link([0, 0x70, 0x12, 32, ...raw.slice(4)])],
    ['a link of version 2', link([2, ...raw.slice(1)])],
    ['a link with an identity hash', link([...CID.parse('bafkqabiaaebagba').bytes])],
  ])('agrees with the round trip on %s', (_name, bytes) => {
    expect(isAccepted(bytes)).toBe(survivesRoundTrip(bytes));
  });

  it('does not go deeper than a decoder should', () => {
    const deep = concatBytes(new Uint8Array(100_000).fill(0x81), Uint8Array.of(1));
    expect(findFormFault(deep)).toBe('it is nested too deeply');
    expect(findFormFault(concatBytes(new Uint8Array(100).fill(0x81), Uint8Array.of(1)))).toBeNull();
  });

  it('names the fault', () => {
    expect(findFormFault(Uint8Array.of(0x18, 1))).toBe('a number is not in its shortest form');
    expect(findFormFault(Uint8Array.of(1, 1))).toBe('bytes follow the item');
  });
});
