import { PublicKey } from '@solana/web3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BlockHash,
  computeLocalProgramAddress,
  decodeBase58,
  encodeBase58,
  identifyCluster,
  isPredictable,
  Lamports,
  rpcUrlSchema,
  SolanaAddress,
  solanaAddressSchema,
  TransactionSignature,
} from '../../../src/domain/chain.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe('addresses, signatures and hashes', () => {
  it('are the base58 of web3.js', () => {
    fc.assert(
      fc.property(bytesOf(32), (bytes) => {
        const text = new PublicKey(bytes).toBase58();
        expect(encodeBase58(bytes)).toBe(text);
        expect(decodeBase58(SolanaAddress(text))).toEqual(bytes);
      }),
    );
  });

  it('are refused at any other length', () => {
    const lengths = fc.integer({ min: 0, max: 70 }).filter((length) => length !== 32 && length !== 64);
    fc.assert(
      fc.property(lengths.chain(bytesOf), (bytes) => {
        const text = encodeBase58(bytes);
        expect(() => SolanaAddress(text)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_ID' }));
        expect(() => TransactionSignature(text)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_ID' }));
        expect(solanaAddressSchema.safeParse(text).success).toBe(false);
      }),
    );
  });

  it('are refused if they are no base58, and quickly if they are long', () => {
    for (const text of ['', '0OIl', 'ä', '1'.repeat(31), '1'.repeat(33), 'z'.repeat(1_000_000)]) {
      expect(() => SolanaAddress(text)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_ID' }));
    }
    fc.assert(fc.property(fc.anything(), (value) => typeof solanaAddressSchema.safeParse(value).success === 'boolean'));
  });
});

describe('lamports', () => {
  it('are whole numbers of 64 bits', () => {
    expect(Lamports(2n ** 64n - 1n)).toBe(18_446_744_073_709_551_615n);
    for (const value of [-1n, 2n ** 64n]) {
      expect(() => Lamports(value)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_LAMPORTS' }));
    }
  });
});

describe('clusters', () => {
  it('are known by their genesis, and any other chain is predictable', () => {
    const mainnet = identifyCluster(BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d'));
    expect(mainnet.name).toBe('mainnet-beta');
    expect(isPredictable(mainnet)).toBe(false);
    const other = identifyCluster(BlockHash(encodeBase58(new Uint8Array(32).fill(7))));
    expect(other.name).toBeNull();
    expect(isPredictable(other)).toBe(true);
  });

  it('are reached by HTTP', () => {
    expect(rpcUrlSchema.safeParse('http://127.0.0.1:8899').success).toBe(true);
    for (const url of ['127.0.0.1:8899', 'ws://127.0.0.1', 'file:///etc/passwd', '', `http://${'a'.repeat(600)}`]) {
      expect(rpcUrlSchema.safeParse(url).success).toBe(false);
    }
  });
});

describe('programs on a local chain', () => {
  it('are at addresses that everybody can compute', () => {
    expect(computeLocalProgramAddress('proof-anchor')).toBe(computeLocalProgramAddress('proof-anchor'));
    expect(computeLocalProgramAddress('proof-anchor')).not.toBe(computeLocalProgramAddress('job-escrow'));
  });
});
