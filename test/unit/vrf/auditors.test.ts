import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { type AuditorCandidate, selectAuditors } from '../../../src/vrf/auditors.ts';

const hash = (...parts: readonly (string | Uint8Array)[]): Uint8Array => {
  const whole = createHash('sha256');
  for (const part of parts) whole.update(part);
  return new Uint8Array(whole.digest());
};

const candidates: readonly AuditorCandidate[] = Array.from({ length: 40 }, (_, index) => ({
  peer: `peer-${index}` as PeerKey,
  publicKeyBytes: hash(`key ${index}`),
}));
const beacon = hash('beacon');
const receipt = hash('receipt');
const choice = { beacon, receipt, candidates, excluded: [] as PeerKey[], count: 3 };
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('auditors', () => {
  it('are those of the lowest SHA-256(beacon ‖ receipt ‖ key), in whatever order the candidates come', () => {
    fc.assert(
      fc.property(bytes32, bytes32, fc.shuffledSubarray([...candidates]), fc.nat(6), (drawn, of, some, count) => {
        const expected = some
          .map(({ peer, publicKeyBytes }) => ({ peer, score: encodeHex(hash(drawn, of, publicKeyBytes)) }))
          .sort((a, b) => (a.score < b.score ? -1 : 1))
          .slice(0, count);
        const chosen = selectAuditors({ ...choice, beacon: drawn, receipt: of, candidates: some, count });
        expect(chosen.map(({ peer, rank }) => ({ peer, score: encodeHex(rank) }))).toEqual(expected);
      }),
    );
  });

  it('are never those excluded: the next step in', () => {
    const [first, second, third] = selectAuditors(choice);
    const without = selectAuditors({ ...choice, excluded: first === undefined ? [] : [first.peer] });
    expect(without.slice(0, 2)).toEqual([second, third]);
    expect(without).toHaveLength(3);
    const everybody = candidates.map(({ peer }) => peer);
    expect(selectAuditors({ ...choice, excluded: everybody })).toEqual([]);
  });

  it('count once, also when named twice', () => {
    expect(selectAuditors({ ...choice, candidates: [...candidates, ...candidates] })).toEqual(selectAuditors(choice));
  });

  it('differ by receipt and by beacon', () => {
    const name = (of: Partial<typeof choice>): string =>
      selectAuditors({ ...choice, ...of })
        .map(({ peer }) => peer)
        .join();
    expect(name({ receipt: hash('another') })).not.toBe(name({}));
    expect(name({ beacon: hash('another') })).not.toBe(name({}));
  });

  it('need a beacon and a receipt of 32 bytes, so that neither goes on in the other', () => {
    const select = (of: Partial<typeof choice>) => () => selectAuditors({ ...choice, ...of });
    expect(select({ beacon: new Uint8Array(31), receipt: new Uint8Array(33) })).toThrow('of the beacon has 32 bytes');
    expect(select({ receipt: new Uint8Array(33) })).toThrow('of a receipt has 32 bytes');
  });
});
