import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CborError, decodeCanonical, encodeCanonical } from '../../src/lib/canonical-cbor.ts';
import { computeObjectCid } from '../../src/lib/cid.ts';

interface Fixture {
  readonly name: string;
  readonly hex: string;
  readonly cid: string;
}
interface Negative {
  readonly name: string;
  readonly hex: string;
}

const read = (file: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'ipld-dag-cbor', file), 'utf8'));
const fixtures = (read('fixtures.json') as { cases: Fixture[] }).cases;
const negatives = [
  ...(read('negative-decode.json') as Negative[]),
  ...(read('negative-derived.json') as { cases: Negative[] }).cases,
];

const LARGEST = { maxBytes: 2 ** 20, floats: 'allow' } as const;
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

describe('ipld/codec-fixtures, dag-cbor', () => {
  it('has all of its cases', () => {
    expect(fixtures).toHaveLength(128);
    expect(negatives).toHaveLength(27);
  });

  // Integers beyond 2^53 - 1 decode to bigint, so that 64 bits survive.
  it.each(fixtures)('$name decodes, encodes to the same bytes and has its CID', ({ hex, cid }) => {
    const bytes = bytesOf(hex);
    const value = decodeCanonical(bytes, LARGEST);
    expect(Buffer.from(encodeCanonical(value)).toString('hex')).toBe(hex);
    expect(computeObjectCid(bytes).toString()).toBe(cid);
  });

  it.each(fixtures.filter(({ name }) => /^float-+[01]/.test(name)))(
    '$name is refused in a signed object',
    ({ hex }) => {
      expect(() => decodeCanonical(bytesOf(hex), { maxBytes: 2 ** 20 })).toThrow(
        expect.objectContaining({ code: 'CBOR_FLOAT' }),
      );
    },
  );

  it.each(negatives)('$name is refused, also where floats are allowed', ({ hex }) => {
    expect(() => decodeCanonical(bytesOf(hex), LARGEST)).toThrow(CborError);
  });

  it('is refused above its size limit', () => {
    const [first] = fixtures;
    expect(() => decodeCanonical(bytesOf(first?.hex ?? ''), { ...LARGEST, maxBytes: 1 })).toThrow(
      expect.objectContaining({ code: 'CBOR_TOO_LARGE' }),
    );
  });
});
