import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeInvite, encodeInvite, isInvite } from '../../../src/config/invite.ts';
import { LOCAL_NETWORK } from '../../../src/config/network-store.ts';
import { BlockHash, encodeBase58, SolanaAddress } from '../../../src/domain/chain.ts';
import type { NetworkDefinition } from '../../../src/domain/network-definition.ts';

const NETWORK: NetworkDefinition = {
  ...LOCAL_NETWORK,
  id: 'lab',
  bootstrap: ['/ip4/192.0.2.1/tcp/4717/p2p/12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7'],
  preSharedKey: 'ab'.repeat(32),
};

function pack(content: Uint8Array): string {
  const packed = deflateRawSync(content);
  const checksum = createHash('sha256').update(packed).digest().subarray(0, 4);
  return `fogproof1${Buffer.concat([checksum, packed]).toString('base64url')}`;
}

describe('an invite', () => {
  it('is one word that gives the network back', () => {
    const invite = encodeInvite(NETWORK);
    expect(invite).toMatch(/^fogproof1[\w-]+$/);
    expect(isInvite(invite)).toBe(true);
    expect(decodeInvite(invite)).toEqual(NETWORK);
  });

  it('round-trips for any network', () => {
    const base58 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(encodeBase58);
    const chain = fc.record({
      kind: fc.constant('solana' as const),
      genesis: base58.map(BlockHash),
      rpcUrls: fc.array(fc.webUrl({ withQueryParameters: true }), { maxLength: 8 }),
      programs: fc.record({ proofAnchor: base58.map(SolanaAddress) }),
    });
    const network = fc.record({
      chain: fc.oneof(fc.constant({ kind: 'none' as const }), chain),
      id: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/),
      preset: fc.constantFrom('local' as const, 'development' as const, 'production' as const),
      bootstrap: fc.array(fc.string({ maxLength: 60 }), { maxLength: 64 }),
      preSharedKey: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/)),
    });
    fc.assert(
      fc.property(network, (fields) => {
        const whole: NetworkDefinition = { ...NETWORK, ...fields };
        expect(decodeInvite(encodeInvite(whole))).toEqual(whole);
      }),
    );
  });

  it('that was mistyped or cut is refused, wherever it is', () => {
    const invite = encodeInvite(NETWORK);
    for (let at = 0; at < invite.length; at += 1) {
      const other = invite[at] === 'A' ? 'B' : 'A';
      expect(() => decodeInvite(invite.slice(0, at) + other + invite.slice(at + 1))).toThrow(
        expect.objectContaining({ code: 'CONFIG_BAD_INVITE' }),
      );
      expect(() => decodeInvite(invite.slice(0, at))).toThrow(expect.objectContaining({ code: 'CONFIG_BAD_INVITE' }));
    }
  });

  it('that unpacks to something huge, or to no network, is refused', () => {
    expect(() => decodeInvite(pack(new Uint8Array(50_000_000)))).toThrow(
      expect.objectContaining({ code: 'CONFIG_BAD_INVITE' }),
    );
    expect(() => decodeInvite(`fogproof1${'A'.repeat(40_000)}`)).toThrow(
      expect.objectContaining({ code: 'CONFIG_BAD_INVITE' }),
    );
    for (const content of ['{}', '[]', 'null', 'x', JSON.stringify({ ...NETWORK, extra: 1 })]) {
      expect(() => decodeInvite(pack(Buffer.from(content)))).toThrow(
        expect.objectContaining({ code: 'CONFIG_NETWORK_MALFORMED' }),
      );
    }
  });

  it('of a network from before there was a chain is still read', () => {
    const made =
      'fogproof18sqdRU3PsU7EMBAE0H-Z2hI-EBSuKOgQzUGHKJx4QqLz7Vprh9PplH9HSSho3-5od25o10IEDPpdTHW4E7aL2un5AIcpISDHDg7FWNkQkPjDrOVMaXDoVFttFgvC55dDiRbPbLSKcENmrHyZLbZJ5a0iHO69997tgyOFl5hXf9hZh4H20TZ63MTYq6U_evL7WsfYqxx1lvQvzKL9uOF-aHHoxzjJ-shpkrWJqBDL1uV9jMb0yiuCzDkvvw';
    expect(decodeInvite(made)).toMatchObject({ id: 'lab', chain: { kind: 'none' } });
  });

  it('of garbage gives a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeInvite(`fogproof1${text}`)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^CONFIG_/) }),
        );
      }),
    );
  });
});
