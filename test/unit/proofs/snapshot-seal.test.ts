import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../../src/lib/cid.ts';
import { openBody, openPiece, sealBody, sealPiece } from '../../../src/proofs/snapshot-seal.ts';

const keyArbitrary = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytesArbitrary = fc.uint8Array({ maxLength: 300 });

describe('a sealed piece', () => {
  it('opens with its key to what it was, and is the same each time', () => {
    fc.assert(
      fc.property(keyArbitrary, bytesArbitrary, (key, bytes) => {
        const digest = sha256(bytes);
        const sealed = sealPiece(key, digest, bytes);
        expect(sealed).toHaveLength(bytes.length + 16);
        expect(sealPiece(key, digest, bytes)).toEqual(sealed);
        expect(openPiece(key, digest, sealed)).toEqual({ kind: 'opened', bytes });
      }),
    );
  });

  it('does not open with another key, under another digest, or after one bit was changed', () => {
    fc.assert(
      fc.property(keyArbitrary, bytesArbitrary, fc.nat(), (key, bytes, place) => {
        const digest = sha256(bytes);
        const sealed = sealPiece(key, digest, bytes);
        const flip = (of: Uint8Array): Uint8Array => {
          const copy = of.slice();
          copy[place % copy.length] = (copy[place % copy.length] ?? 0) ^ (1 << (place % 8));
          return copy;
        };
        const failed = { kind: 'failed', reason: 'wrong-key' };
        expect(openPiece(flip(key), digest, sealed)).toEqual(failed);
        expect(openPiece(key, flip(digest), sealed)).toEqual(failed);
        expect(openPiece(key, digest, flip(sealed))).toEqual(failed);
      }),
    );
  });

  it('of other bytes than its digest says is refused although the key is right', () => {
    const key = new Uint8Array(32).fill(7);
    const digest = sha256(Uint8Array.of(1));
    const sealed = sealPiece(key, digest, Uint8Array.of(2));
    expect(openPiece(key, digest, sealed)).toEqual({ kind: 'failed', reason: 'wrong-digest' });
  });

  it('may be any garbage', () => {
    fc.assert(
      fc.property(keyArbitrary, keyArbitrary, bytesArbitrary, (key, digest, garbage) => {
        expect(openPiece(key, digest, garbage).kind).toBe('failed');
        expect(openBody(key, garbage).kind).toBe('failed');
      }),
    );
    expect(openPiece(new Uint8Array(32), new Uint8Array(32), new Uint8Array(15))).toEqual({
      kind: 'failed',
      reason: 'too-short',
    });
    expect(openBody(new Uint8Array(32), new Uint8Array(47))).toEqual({ kind: 'failed', reason: 'too-short' });
  });

  it('needs a key and a digest of 32 bytes', () => {
    expect(() => sealPiece(new Uint8Array(16), new Uint8Array(32), new Uint8Array(1))).toThrow(RangeError);
    expect(() => sealPiece(new Uint8Array(32), new Uint8Array(16), new Uint8Array(1))).toThrow(RangeError);
  });
});

describe('a sealed body', () => {
  it('opens with its key only, and not as a piece', () => {
    fc.assert(
      fc.property(keyArbitrary, bytesArbitrary, (key, body) => {
        const sealed = sealBody(key, body);
        expect(sealed).toHaveLength(body.length + 48);
        expect(openBody(key, sealed)).toEqual({ kind: 'opened', bytes: body });
        const other = key.map((byte) => byte ^ 1);
        expect(openBody(other, sealed)).toEqual({ kind: 'failed', reason: 'wrong-key' });
        expect(openPiece(key, sha256(body), sealed.subarray(32))).toEqual({ kind: 'failed', reason: 'wrong-key' });
      }),
    );
  });
});
