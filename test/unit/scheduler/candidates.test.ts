import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import type { PeerBook } from '../../../src/network/interface.ts';
import { findTier } from '../../../src/reputation/beta-model.ts';
import type { ReputationScore } from '../../../src/reputation/interface.ts';
import { NEWCOMER_SCORE } from '../../../src/reputation/standing-book.ts';
import { rankCandidates } from '../../../src/scheduler/requester/candidates.ts';
import { chooseBand, exploresNewcomers } from '../../../src/scheduler/requester/explore-newcomers.ts';
import { ProviderStandings } from '../../../src/scheduler/requester/provider-standings.ts';

const scored = (lowerBound: number, weight = 5): ReputationScore => ({
  lowerBound,
  mean: lowerBound,
  weight,
  view: Math.round(lowerBound * 1000),
  tier: findTier(lowerBound * 1000),
});

const SCORES: Readonly<Record<string, ReputationScore>> = {
  gold: scored(0.65),
  silver: scored(0.45),
  newcomer: NEWCOMER_SCORE,
  failing: scored(0.01),
};

const job = (nonce: number): Job =>
  ({
    nonce: Uint8Array.of(0, nonce, ...new Uint8Array(14)),
    capabilityClass: 'cpu',
    resources: {},
    workload: { kind: 'wasm' },
    isolation: 'process',
    replication: { replicas: 1 },
  }) as unknown as Job;

function rank(nonce: number, { isKnown = true, served = [] as readonly string[], active = 0 } = {}): readonly string[] {
  // In an order and at distances that would choose the worst if nothing were known.
  const names = ['failing', 'newcomer', 'silver', 'gold'];
  const providers = names.map((peer) => ({
    value: {
      peer,
      role: { provides: true },
      capabilities: ['cpu'],
      executors: [{ kind: 'wasm', isolation: ['process'], slots: 1, instrumenter: 'i' }],
      pricesPerHour: [],
    },
  }));
  const peers = {
    providers: () => providers,
    get: (peer: string) => ({ isConnected: true, latencyMs: names.indexOf(peer) }),
  } as unknown as Pick<PeerBook, 'providers' | 'get'>;
  const scoreOf = (peer: PeerKey): ReputationScore => SCORES[peer] ?? NEWCOMER_SCORE;
  const reputation = isKnown ? { reputation: { scoreOf } } : {};
  const standings = new ProviderStandings();
  for (const peer of served as readonly PeerKey[]) {
    standings.end(peer, 'served');
    for (let index = 0; index < active; index += 1) standings.begin(peer);
  }
  return rankCandidates({ peers, standings, ...reputation }, job(nonce));
}

describe('whom to ask first', () => {
  it('is who is known for good work; a newcomer before who is known for bad', () => {
    expect(rank(1)).toEqual(['gold', 'silver', 'newcomer', 'failing']);
  });

  it('is a newcomer for one job in ten, by the nonce that nobody chooses, and never who is known for bad work', () => {
    expect(rank(10)).toEqual(['newcomer', 'gold', 'silver', 'failing']);
    const exploring = Array.from({ length: 256 }, (_, nonce) => exploresNewcomers(job(nonce))).filter(Boolean);
    expect(exploring.length / 256).toBeCloseTo(0.1, 1);
  });

  it('is who served this node, whatever others say of it, while it has room', () => {
    expect(rank(1, { served: ['failing'] })).toEqual(['failing', 'gold', 'silver', 'newcomer']);
    expect(rank(1, { served: ['failing'], active: 1 })).toEqual(['gold', 'silver', 'newcomer', 'failing']);
    expect(rank(1, { served: ['silver'], active: 1 })).toEqual(['gold', 'silver', 'newcomer', 'failing']);
    expect(rank(10, { served: ['failing'] })[0]).toBe('newcomer');
  });

  it('is as it was where nothing is known', () => {
    expect(rank(1, { isKnown: false })).toEqual(['failing', 'newcomer', 'silver', 'gold']);
  });

  it('does not take a peer with much evidence for a newcomer', () => {
    const own = { isExploring: true, isTrusted: false, isFull: false };
    expect(chooseBand(scored(0.1, 40), own)).toBe(0);
    expect(chooseBand(scored(0.1, 0.5), own)).toBeGreaterThan(4);
    expect(chooseBand(NEWCOMER_SCORE, { ...own, isExploring: false })).toBe(0);
  });
});
