import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blobResponseSchema, MAX_BLOB_CHUNK_BYTES } from '../../../src/domain/messages.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import { decodeLeafPart, encodeLeafPartHead } from '../../../src/network/reqresp/leaf-part-codec.ts';
import { decodeMessage, encodeMessage } from '../../../src/network/reqresp/message-codec.ts';

const KIND = { protocol: 'blob', schema: blobResponseSchema, maxBytes: MAX_BLOB_CHUNK_BYTES + 4096 };
const parts = fc.record({
  kind: fc.constant('leaf-part' as const),
  leaf: fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat()),
  bytes: fc.uint8Array({ maxLength: 300 }),
});

/** What the general decoder gives, or that it refuses. */
function decodeGeneral(bytes: Uint8Array): unknown {
  try {
    return decodeMessage(KIND, bytes);
  } catch {
    return 'refused';
  }
}

describe('a part of a leaf', () => {
  it('is written as the general encoder writes it', () => {
    fc.assert(
      fc.property(parts, (part) => {
        const whole = concatBytes(encodeLeafPartHead(part), part.bytes);
        expect(whole).toEqual(encodeMessage(KIND, part));
        expect(decodeLeafPart(whole)).toEqual(part);
      }),
    );
  });

  it.each([23, 24, 255, 256, 65_535, 65_536, MAX_BLOB_CHUNK_BYTES])('may have %d bytes', (length) => {
    const part = { kind: 'leaf-part', leaf: length, bytes: new Uint8Array(length) } as const;
    const whole = concatBytes(encodeLeafPartHead(part), part.bytes);
    expect(Buffer.compare(whole, encodeMessage(KIND, part))).toBe(0);
    expect(decodeLeafPart(whole)?.bytes.length).toBe(length);
  });

  it('may not have more bytes than a chunk', () => {
    const bytes = new Uint8Array(MAX_BLOB_CHUNK_BYTES + 1);
    const whole = concatBytes(encodeLeafPartHead({ kind: 'leaf-part', leaf: 0, bytes }), bytes);
    expect(decodeLeafPart(whole)).toBeNull();
  });

  it('is never read from what the general decoder refuses, whatever was changed', () => {
    fc.assert(
      fc.property(parts, fc.nat(), fc.nat(255), fc.integer({ min: -3, max: 3 }), (part, place, value, cut) => {
        const whole = new Uint8Array([...encodeLeafPartHead(part), ...part.bytes, 0, 0, 0]);
        whole[place % (whole.length - 3)] = value;
        const bytes = whole.subarray(0, whole.length - 3 + cut);
        const read = decodeLeafPart(bytes);
        if (read !== null) expect(decodeGeneral(bytes)).toEqual(read);
      }),
      { numRuns: 500 },
    );
  });

  it('is not read from garbage', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => decodeLeafPart(bytes) === null));
  });
});
