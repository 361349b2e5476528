import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChainError } from '../../../../src/chain/errors.ts';
import {
  instructionAccount,
  ProgramDataReader,
  ProgramDataWriter,
} from '../../../../src/chain/programs/program-data.ts';
import { encodeBase58, SolanaAddress } from '../../../../src/domain/chain.ts';

const TAG = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const open = (bytes: Uint8Array): ProgramDataReader => new ProgramDataReader('thing', bytes, TAG);

describe('program data', () => {
  it('gives back what was written', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        fc.record({
          byte: fc.integer({ min: 0, max: 255 }),
          word: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
          unsigned: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          signed: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
          key: hash,
          hashes: fc.array(hash, { maxLength: 5 }),
        }),
        ({ byte, word, unsigned, signed, key, hashes }) => {
          const writer = new ProgramDataWriter('thing', TAG);
          const address = SolanaAddress(encodeBase58(key));
          writer.unsigned(8, byte);
          writer.unsigned(32, word);
          writer.unsigned(64, unsigned);
          writer.signed(64, signed);
          writer.address(address);
          writer.vector(hashes, (item) => writer.bytes(32, item));
          writer.array(2, [1, 2], (item) => writer.unsigned(16, item));
          const reader = open(writer.finish());
          expect(reader.unsigned(8)).toBe(byte);
          expect(reader.unsigned(32)).toBe(word);
          expect(reader.unsignedBig()).toBe(unsigned);
          expect(reader.signedBig()).toBe(signed);
          expect(reader.address()).toBe(address);
          expect(reader.vector(32, () => reader.bytes(32))).toEqual(hashes);
          expect(reader.array(2, () => reader.unsigned(16))).toEqual([1, 2]);
          reader.finish();
        },
      ),
    );
  });

  it('refuses another discriminator, an early end and bytes that are left over', () => {
    expect(() => open(TAG.with(7, 0))).toThrow(ChainError);
    expect(() => open(TAG.subarray(0, 7))).toThrow(ChainError);
    expect(() => open(TAG).unsigned(8)).toThrow(ChainError);
    expect(() => open(Uint8Array.of(...TAG, 1)).finish()).toThrow(ChainError);
  });

  it('refuses a count that the data cannot hold before it reads an item', () => {
    const reader = open(Uint8Array.of(...TAG, 255, 255, 255, 255));
    let reads = 0;
    expect(() => reader.vector(32, () => (reads += 1))).toThrow(ChainError);
    expect(reads).toBe(0);
  });

  it('refuses to write what does not fit', () => {
    const writer = new ProgramDataWriter('thing', TAG);
    for (const value of [-1, 256, 1.5, Number.NaN, 2 ** 53])
      expect(() => writer.unsigned(8, value)).toThrow(ChainError);
    for (const value of [-1n, 2n ** 64n]) expect(() => writer.unsigned(64, value)).toThrow(ChainError);
    expect(() => writer.signed(64, 2n ** 63n)).toThrow(ChainError);
    expect(() => writer.bytes(32, new Uint8Array(31))).toThrow(ChainError);
    expect(() => writer.array(2, [1], () => undefined)).toThrow(ChainError);
  });

  it('copies what it reads', () => {
    const bytes = Buffer.from([...TAG, 9, 9]);
    const read = open(bytes).bytes(2);
    bytes.fill(0);
    expect(read).toEqual(Uint8Array.of(9, 9));
  });

  it('names a missing account', () => {
    expect(() => instructionAccount('thing', [], 0)).toThrow(/thing .* it names 0 accounts/);
  });
});
