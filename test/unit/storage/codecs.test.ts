import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { COMMITMENT } from '../../../src/domain/commitment.ts';
import { createCborCodec, createJsonCodec, createObjectCodec, STRING_CODEC } from '../../../src/storage/codecs.ts';
import { commitments } from '../../support/domain-arbitraries.ts';

const json = createJsonCodec(z.strictObject({ name: z.string(), count: z.int().optional() }));
const cbor = createCborCodec(z.strictObject({ bytes: z.instanceof(Uint8Array), at: z.int() }));
const object = createObjectCodec(COMMITMENT);

describe('codecs', () => {
  it('give back what they were given', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.nat(),
        fc.uint8Array(),
        commitments,
        (name, count, bytes, value) => {
          fc.pre(name.isWellFormed());
          expect(STRING_CODEC.decode(STRING_CODEC.encode(name))).toBe(name);
          expect(json.decode(json.encode({ name, count }))).toEqual({ name, count });
          expect(cbor.decode(cbor.encode({ bytes, at: count }))).toEqual({ bytes, at: count });
          expect(object.decode(object.encode(value))).toEqual(value);
        },
      ),
    );
  });

  it('refuse garbage, and values that are not of their schema, both ways', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        for (const codec of [json, cbor, object]) expect(() => codec.decode(bytes)).toThrow();
      }),
    );
    const wrong = { name: 'a', count: 0.5 };
    expect(() => json.encode(wrong)).toThrow();
    expect(() => json.decode(new TextEncoder().encode(JSON.stringify(wrong)))).toThrow();
    const extra = { bytes: new Uint8Array(), at: 1, extra: 1 };
    expect(() => cbor.encode(extra)).toThrow();
  });
});
