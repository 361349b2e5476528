import { sha256 as sha256InJavaScript } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, encodeHex, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectCid, computeRawCid, sha256 } from '../../../src/lib/cid.ts';

describe('sha256', () => {
  it('gives the digest of FIPS 180-4 for "abc"', () => {
    expect(encodeHex(sha256(encodeUtf8('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('is the same of parts as of their concatenation, and the same as in a browser', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (parts) => {
        const whole = concatBytes(...parts);
        expect(sha256(...parts)).toEqual(sha256(whole));
        expect(sha256(whole)).toEqual(sha256InJavaScript(whole));
      }),
    );
  });

  it('is named by CIDs that differ by codec', () => {
    const bytes = Uint8Array.of(0xa0);
    expect(computeRawCid(bytes).multihash.digest).toEqual(computeObjectCid(bytes).multihash.digest);
    expect(computeRawCid(bytes).toString()).not.toBe(computeObjectCid(bytes).toString());
  });
});
