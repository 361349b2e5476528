import {
  createPeerScoreParams,
  PeerScore,
  validatePeerScoreParams,
  validatePeerScoreThresholds,
} from '@libp2p/gossipsub/score';
import { describe, expect, it } from 'vitest';
import { BAN_PENALTY } from '../../../../src/network/constants.ts';
import { BEHAVIOUR_THRESHOLD, MESH_TIME, SCORE_THRESHOLDS } from '../../../../src/network/gossip/router/constants.ts';
import {
  computeApplicationScore,
  createScoreParams,
  type ScoredPeers,
} from '../../../../src/network/gossip/scoring.ts';
import { TOPIC_NAMES, topicId } from '../../../../src/network/gossip/topics.ts';
import type { NetworkOptions } from '../../../../src/network/options.ts';

const STRANGERS: ScoredPeers = { penaltyOf: () => 0, isChosen: () => false };
const FRIENDS: ScoredPeers = { penaltyOf: () => 0, isChosen: () => true, reputationOf: () => 1 };
const TOPIC_IDS = TOPIC_NAMES.map((name) => topicId('test', name));
const TOPIC = TOPIC_IDS[0] ?? '';

const createParams = (preset: NetworkOptions['preset'], scored: ScoredPeers) =>
  createPeerScoreParams(createScoreParams({ networkId: 'test', preset } as NetworkOptions, scored));

/** gossipsub's own reckoning, with a peer in it. */
function createScore(scored: ScoredPeers, preset: NetworkOptions['preset'] = 'local'): PeerScore {
  const log = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined, enabled: false });
  const logger = { forComponent: () => log };
  const score = new PeerScore(createParams(preset, scored), null, logger as never, { scoreCacheValidityMs: 0 });
  score.addPeer('peer');
  return score;
}

/** In every mesh for a day, and first with thousands of messages. */
function earnAll(score: PeerScore): void {
  for (const topic of TOPIC_IDS) {
    score.graft('peer', topic);
    const stats = score.peerStats.get('peer')?.topics[topic];
    if (stats !== undefined) stats.meshTime = 86_400_000;
    for (let message = 0; message < 3_000; message += 1) score.deliverMessage('peer', `${topic} ${message}`, topic);
  }
}

/** A score is remembered within the millisecond. */
async function read(score: PeerScore): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 2));
  return score.score('peer');
}

describe('a gossip score', () => {
  it('has parameters and thresholds that gossipsub takes', () => {
    for (const preset of ['local', 'development', 'production'] as const) {
      expect(() => validatePeerScoreParams(createParams(preset, STRANGERS))).not.toThrow();
    }
    expect(() => validatePeerScoreThresholds(SCORE_THRESHOLDS)).not.toThrow();
  });

  it('is at most 20, below what makes us take peers from a PRUNE', async () => {
    const score = createScore(FRIENDS);
    earnAll(score);
    expect(await read(score)).toBe(20);
    expect(20).toBeLessThan(SCORE_THRESHOLDS.acceptPXThreshold);
  });

  it('falls below zero with one invalid message and to the graylist with two, whatever was earned', async () => {
    const score = createScore(FRIENDS);
    earnAll(score);
    score.rejectInvalidMessage('peer', TOPIC);
    const once = await read(score);
    expect(once).toBeLessThan(SCORE_THRESHOLDS.gossipThreshold);
    expect(once).toBeGreaterThan(SCORE_THRESHOLDS.graylistThreshold);
    score.rejectInvalidMessage('peer', TOPIC);
    expect(await read(score)).toBeLessThan(SCORE_THRESHOLDS.graylistThreshold);
  });

  it('of who only sits in every mesh does not keep others from being grafted', async () => {
    const score = createScore(STRANGERS);
    for (const topic of TOPIC_IDS) {
      score.graft('peer', topic);
      const stats = score.peerStats.get('peer')?.topics[topic];
      if (stats !== undefined) stats.meshTime = 86_400_000;
    }
    const earned = await read(score);
    expect(earned).toBeCloseTo(TOPIC_IDS.length * MESH_TIME.weight * MESH_TIME.cap);
    expect(earned).toBeGreaterThan(0);
    expect(earned).toBeLessThan(SCORE_THRESHOLDS.opportunisticGraftThreshold);
  });

  it('forgives a few broken promises and no more', async () => {
    const score = createScore(STRANGERS);
    score.addPenalty('peer', BEHAVIOUR_THRESHOLD, 'broken_promise' as never);
    expect(await read(score)).toBe(0);
    score.addPenalty('peer', 4, 'broken_promise' as never);
    expect(await read(score)).toBeLessThan(SCORE_THRESHOLDS.graylistThreshold);
  });

  it('suffers from a crowded address as the preset says', async () => {
    const scores = { local: 0, development: -16, production: -80 } as const;
    for (const [preset, expected] of Object.entries(scores) as [keyof typeof scores, number][]) {
      const score = createScore(STRANGERS, preset);
      score.addIP('peer', '192.0.2.1');
      for (let other = 1; other < 12; other += 1) {
        score.addPeer(`other ${other}`);
        score.addIP(`other ${other}`, '192.0.2.1');
      }
      expect((await read(score)) + 0).toBe(expected);
    }
  });
});

describe('what else is known of a peer', () => {
  it('is a little for who was chosen and who is known to be good, and all of its penalties', () => {
    expect(computeApplicationScore('peer', STRANGERS)).toBe(0);
    expect(computeApplicationScore('peer', { ...STRANGERS, isChosen: () => true })).toBe(5);
    expect(computeApplicationScore('peer', { ...STRANGERS, reputationOf: () => 0.5 })).toBe(2.5);
    expect(computeApplicationScore('peer', { ...FRIENDS, penaltyOf: () => 30 })).toBe(-20);
  });

  it('cannot be more than it may be', () => {
    expect(computeApplicationScore('peer', { ...STRANGERS, reputationOf: () => 99 })).toBe(5);
    expect(computeApplicationScore('peer', { ...STRANGERS, reputationOf: () => -99 })).toBe(0);
  });

  it('bans no later than the graylist, even a friend', () => {
    const score = computeApplicationScore('peer', { ...FRIENDS, penaltyOf: () => BAN_PENALTY });
    expect(score).toBeGreaterThanOrEqual(SCORE_THRESHOLDS.graylistThreshold);
  });
});
