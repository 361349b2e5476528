import { PublicKey } from '@solana/web3.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { findProgramAddress, isOnCurve } from '../../../src/proofs/program-address.ts';

const addresses = fc.uint8Array({ minLength: 32, maxLength: 32 });
const seeds = fc.array(fc.uint8Array({ maxLength: 32 }), { maxLength: 15 });

describe('findProgramAddress', () => {
  it('gives the address and the bump that @solana/web3.js gives', () => {
    fc.assert(
      fc.property(seeds, addresses, (parts, program) => {
        const [expected, expectedBump] = PublicKey.findProgramAddressSync(
          parts.map((part) => Buffer.from(part)),
          new PublicKey(program),
        );
        const { address, bump } = findProgramAddress(parts, program);
        expect(bump).toBe(expectedBump);
        expect(address).toEqual(expected.toBytes());
      }),
      { numRuns: 300 },
    );
  });

  it('refuses seeds and programs of another form', () => {
    const program = new Uint8Array(32);
    expect(() => findProgramAddress(new Array<Uint8Array>(16).fill(encodeUtf8('x')), program)).toThrow(RangeError);
    expect(() => findProgramAddress([new Uint8Array(33)], program)).toThrow(RangeError);
    expect(() => findProgramAddress([], new Uint8Array(31))).toThrow(RangeError);
  });
});

describe('isOnCurve', () => {
  it('agrees with @solana/web3.js on any 32 bytes', () => {
    fc.assert(
      fc.property(addresses, (bytes) => isOnCurve(bytes) === PublicKey.isOnCurve(bytes)),
      { numRuns: 300 },
    );
  });

  /** curve25519-dalek reduces y and takes x = 0 with either sign; so must who predicts the chain. */
  it.each([
    ['y = p + 1, not reduced', `ee${'ff'.repeat(30)}7f`],
    ['x = 0 with the sign bit', `01${'00'.repeat(30)}80`],
  ])('takes %s for a point, as the chain does', (_, hex) => {
    expect(isOnCurve(new Uint8Array(Buffer.from(hex, 'hex')))).toBe(true);
  });
});
