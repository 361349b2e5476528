import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import {
  type Candidate,
  chooseNeighbours,
  compareRanks,
  computeRank,
  type DiversityGroup,
  encodeSelectionInput,
  isEligible,
  isGenesis,
  isRankWithinBound,
  type Rank,
  type RankedCandidate,
  rankCandidates,
  rankLowest,
} from '../../../src/vrf/selection.ts';
import { NO_CAPS } from '../../support/vrf-fixtures.ts';

const digest = (...parts: readonly (string | Uint8Array)[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

function makeCandidate(index: number, groups: readonly DiversityGroup[] = []): Candidate {
  const head = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
  return { peer: `peer-${index}` as PeerKey, peerBytes: Buffer.concat([head, digest(`key ${index}`)]), groups };
}

/** The output of a node's VRF, as far as a choice can tell. */
const makeOutput = (seed: number): Uint8Array =>
  Buffer.concat([digest(`output ${seed}`), digest(`output ${seed} more`)]);

const toNumber = (rank: Rank): bigint => BigInt(`0x${encodeHex(rank)}`);

function toRank(value: bigint): Rank {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
}

const groups = fc.uniqueArray(
  fc.record({
    kind: fc.constantFrom<DiversityGroup['kind'][]>('address', 'asn', 'operator'),
    key: fc.constantFrom('a', 'b', 'c'),
  }),
  { maxLength: 4, selector: ({ kind, key }) => `${kind}${key}` },
);
const tables = fc.array(groups, { maxLength: 24 }).map((lists) => lists.map((list, at) => makeCandidate(at, list)));
const capsOf = fc.record({
  address: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
  asn: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
  operator: fc.constantFrom(0, 1, Number.POSITIVE_INFINITY),
});

describe("the VRF's input", () => {
  it('is the tag, the network, the epoch and the beacon', () => {
    const beacon = digest('beacon');
    const expected = Buffer.concat([
      Buffer.from('fogproof/neighbours@1\0\u0003lab'),
      Buffer.from('0000000000000201', 'hex'),
      beacon,
    ]);
    expect(Buffer.from(encodeSelectionInput({ network: 'lab', epoch: 513, beacon }))).toEqual(expected);
  });

  it('differs wherever the point does, also where one name goes on in another', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.string({ maxLength: 20 }), fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 })),
        fc.tuple(fc.string({ maxLength: 20 }), fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 })),
        ([network, epoch, beacon], [otherNetwork, otherEpoch, otherBeacon]) => {
          const isSame = network === otherNetwork && epoch === otherEpoch && Buffer.compare(beacon, otherBeacon) === 0;
          const one = encodeHex(encodeSelectionInput({ network, epoch, beacon }));
          const other = encodeHex(
            encodeSelectionInput({ network: otherNetwork, epoch: otherEpoch, beacon: otherBeacon }),
          );
          expect(one === other).toBe(isSame);
        },
      ),
    );
  });

  it('is made of a proper point only', () => {
    const point = { network: 'lab', epoch: 1, beacon: new Uint8Array(32) };
    expect(() => encodeSelectionInput({ ...point, network: 'é'.repeat(128) })).toThrow(RangeError);
    expect(() => encodeSelectionInput({ ...point, beacon: new Uint8Array(31) })).toThrow(RangeError);
    for (const epoch of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => encodeSelectionInput({ ...point, epoch })).toThrow(RangeError);
    }
  });
});

describe('ranks', () => {
  it('are SHA-256 of the output and the PeerId, whatever its length', () => {
    const lengths = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.array(lengths), (output, peers) => {
        const ranked = rankCandidates(
          output,
          peers.map((peerBytes, at) => ({ peer: `peer-${at}` as PeerKey, peerBytes, groups: [] })),
        );
        expect(ranked).toHaveLength(peers.length);
        for (const { rank, peerBytes } of ranked) {
          expect(Buffer.from(rank)).toEqual(Buffer.from(digest(output, peerBytes)));
          expect(compareRanks(rank, computeRank(output, peerBytes))).toBe(0);
        }
      }),
    );
    expect(() => computeRank(new Uint8Array(63), new Uint8Array(38))).toThrow(RangeError);
  });

  it('compare as big-endian numbers', () => {
    const ranks = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
    fc.assert(
      fc.property(ranks, ranks, (a, b) => {
        const expected = a === b ? 0 : a < b ? -1 : 1;
        expect(Math.sign(compareRanks(toRank(a), toRank(b)))).toBe(expected);
      }),
    );
    expect(compareRanks(toRank(2n ** 248n - 1n), toRank(2n ** 248n))).toBeLessThan(0);
    expect(compareRanks(toRank(5n), toRank(6n))).toBeLessThan(0);
  });

  it('put the lowest first, and the lowest few are the first of them all', () => {
    const candidates = Array.from({ length: 500 }, (_, index) => makeCandidate(index));
    const all = rankCandidates(makeOutput(1), candidates);
    const numbers = all.map(({ rank }) => toNumber(rank));
    expect(numbers).toEqual(numbers.toSorted((a, b) => (a < b ? -1 : 1)));
    for (const count of [1, 2, 64, 499, 500, 501]) {
      expect(rankLowest(makeOutput(1), candidates, count)).toEqual(all.slice(0, count));
    }
    expect(rankLowest(makeOutput(1), candidates, 0)).toEqual([]);
    expect(rankLowest(makeOutput(1), [], 5)).toEqual([]);
  });
});

/** The rule in words, one candidate after the other, counted anew each time. */
function chooseNaively(of: Parameters<typeof chooseNeighbours>[0]): string[] {
  const occupied: Candidate[] = [...of.held];
  const chosen: string[] = [];
  const countOf = (wanted: DiversityGroup): number =>
    occupied.filter((each) => each.groups.some(({ kind, key }) => kind === wanted.kind && key === wanted.key)).length;
  for (const candidate of of.ranked) {
    const isFree = occupied.every(({ peer }) => peer !== candidate.peer);
    const isWithinCaps = candidate.groups.every((group) => countOf(group) + 1 <= of.caps[group.kind]);
    if (chosen.length < of.slots && isFree && isWithinCaps && (of.isUsable?.(candidate) ?? true)) {
      occupied.push(candidate);
      chosen.push(candidate.peer);
    }
  }
  return chosen;
}

describe('a choice of neighbours', () => {
  it('is what the rule says', () => {
    fc.assert(
      fc.property(
        tables,
        capsOf,
        fc.tuple(fc.nat(9), fc.nat(5), fc.nat(3)),
        (table, caps, [slots, heldCount, part]) => {
          const held = table.slice(0, heldCount);
          const isUsable = ({ peer }: RankedCandidate): boolean => part === 0 || Number(peer.slice(5)) % (part + 1) > 0;
          const choice = { ranked: rankCandidates(makeOutput(slots), table), slots, held, caps, isUsable };
          expect(chooseNeighbours(choice).map(({ peer }) => peer)).toEqual(chooseNaively(choice));
        },
      ),
    );
  });

  it('never exceeds a cap, never takes whom it holds, never more than the slots', () => {
    fc.assert(
      fc.property(tables, fc.nat(9), (table, slots) => {
        const caps = { address: 1, asn: 2, operator: 1 };
        const chosen = chooseNeighbours({ ranked: rankCandidates(makeOutput(3), table), slots, held: [], caps });
        expect(chosen.length).toBeLessThanOrEqual(slots);
        for (const kind of ['address', 'asn', 'operator'] as const) {
          for (const key of ['a', 'b', 'c']) {
            const members = chosen.filter((each) =>
              each.groups.some((group) => group.kind === kind && group.key === key),
            );
            expect(members.length).toBeLessThanOrEqual(caps[kind]);
          }
        }
        const more = chooseNeighbours({ ranked: rankCandidates(makeOutput(3), table), slots: 99, held: chosen, caps });
        expect(more.filter(({ peer }) => chosen.some((each) => each.peer === peer))).toEqual([]);
      }),
    );
  });

  it('counts a candidate once in a group that it names twice', () => {
    const twice: DiversityGroup = { kind: 'address', key: '192.0.2.0/24' };
    const table = [makeCandidate(1, [twice, twice]), makeCandidate(2, [twice])];
    const caps = { ...NO_CAPS, address: 2 };
    const ranked = rankCandidates(makeOutput(1), table);
    expect(chooseNeighbours({ ranked, slots: 2, held: [], caps })).toHaveLength(2);
  });

  it('does not take a key of one kind for that of another', () => {
    const table = [makeCandidate(1, [{ kind: 'asn', key: '1' }]), makeCandidate(2, [{ kind: 'operator', key: '1' }])];
    const caps = { address: 1, asn: 1, operator: 1 };
    expect(chooseNeighbours({ ranked: rankCandidates(makeOutput(1), table), slots: 2, held: [], caps })).toHaveLength(
      2,
    );
  });

  it('without caps takes adversaries as the hypergeometric says', () => {
    const total = 200;
    const adversarial = 60;
    const slots = 8;
    const trials = 600;
    const table = Array.from({ length: total }, (_, index) => makeCandidate(index));
    const counts = new Array<number>(slots + 1).fill(0);
    for (let trial = 0; trial < trials; trial += 1) {
      const ranked = rankLowest(makeOutput(trial), table, slots);
      const chosen = chooseNeighbours({ ranked, slots, held: [], caps: NO_CAPS });
      const bad = chosen.filter(({ peer }) => Number(peer.slice(5)) < adversarial).length;
      counts[bad] = (counts[bad] ?? 0) + 1;
    }
    // Pearson's statistic; the rare tail in one bin. 99 % of chi-square with 5 degrees of freedom lie below 15.09.
    const observed = [...counts.slice(0, 5), counts.slice(5).reduce((sum, count) => sum + count, 0)];
    const shares = counts.map((_, bad) => computeHypergeometric({ total, adversarial, slots, bad }));
    const expected = [...shares.slice(0, 5), shares.slice(5).reduce((sum, share) => sum + share, 0)];
    const statistic = observed.reduce((sum, count, bin) => {
      const mean = (expected[bin] ?? 0) * trials;
      return sum + (count - mean) ** 2 / mean;
    }, 0);
    expect(statistic).toBeLessThan(15.09);
  });
});

/** Share of draws of `slots` out of `total` without putting back that hold `bad` of the `adversarial`. */
function computeHypergeometric(of: { total: number; adversarial: number; slots: number; bad: number }): number {
  const choose = (n: number, k: number): number => {
    let value = 1;
    for (let index = 0; index < k; index += 1) value = (value * (n - index)) / (index + 1);
    return value;
  };
  const { total, adversarial, slots, bad } = of;
  return (choose(adversarial, bad) * choose(total - adversarial, slots - bad)) / choose(total, slots);
}

describe('the bound of ranks', () => {
  const WHOLE = 2n ** 256n;

  it('is exact at its border', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 2 ** 30 }),
        (slots, slack, networkSize) => {
          const bound = { slots, slack, networkSize };
          const expected = BigInt(slots * slack);
          const size = BigInt(networkSize);
          // The lowest rank that is not below 2^256 · c·k / N: the quotient, rounded up.
          const first = (WHOLE * expected + size - 1n) / size;
          if (first < WHOLE) expect(isRankWithinBound(toRank(first), bound)).toBe(false);
          const last = first < WHOLE ? first - 1n : WHOLE - 1n;
          expect(isRankWithinBound(toRank(last), bound)).toBe(true);
        },
      ),
    );
  });

  it('of a network no larger than c·k is none', () => {
    const highest = toRank(WHOLE - 1n);
    expect(isRankWithinBound(highest, { slots: 8, slack: 4, networkSize: 32 })).toBe(true);
    expect(isRankWithinBound(highest, { slots: 8, slack: 4, networkSize: 33 })).toBe(false);
    expect(isRankWithinBound(toRank(0n), { slots: 8, slack: 4, networkSize: Number.MAX_VALUE })).toBe(true);
  });

  it('takes an estimate that is no whole number', () => {
    const half = toRank(WHOLE / 2n);
    expect(isRankWithinBound(half, { slots: 8, slack: 1, networkSize: 15.99 })).toBe(true);
    expect(isRankWithinBound(half, { slots: 8, slack: 1, networkSize: 16.01 })).toBe(false);
    expect(isRankWithinBound(half, { slots: 8, slack: 1.5, networkSize: 23.99 })).toBe(true);
  });

  it('needs sizes', () => {
    for (const networkSize of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => isRankWithinBound(toRank(0n), { slots: 8, slack: 4, networkSize })).toThrow(RangeError);
    }
    expect(() => isRankWithinBound(toRank(0n), { slots: 0, slack: 4, networkSize: 9 })).toThrow(RangeError);
  });

  it('of c = 4 is kept by the lowest k of a network in all but few cases', () => {
    const table = Array.from({ length: 600 }, (_, index) => makeCandidate(index));
    let outside = 0;
    for (let seed = 0; seed < 200; seed += 1) {
      for (const { rank } of rankLowest(makeOutput(seed), table, 8)) {
        if (!isRankWithinBound(rank, { slots: 8, slack: 4, networkSize: 600 })) outside += 1;
      }
    }
    expect(outside).toBe(0);
  });
});

describe('the age of a key', () => {
  it('is two epochs at least', () => {
    expect([8, 9, 10, 11].map((firstSeenEpoch) => isEligible({ firstSeenEpoch, epoch: 10 }))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('makes a node that is up for less than that a genesis one', () => {
    expect([8, 9, 10].map((upSinceEpoch) => isGenesis({ upSinceEpoch, epoch: 10 }))).toEqual([false, true, true]);
  });
});
