import { createTopicScoreParams, type PeerScoreParams } from '@libp2p/gossipsub/score';
import { type NetworkOptions, PRESETS } from '../options.ts';
import { TOPIC_NAMES, topicId } from './topics.ts';

/** Peers of one address that cost nothing: a household, an office, a rack. */
const COLOCATION_THRESHOLD = 8;

/** For a neighbour that the own VRF chose: a little above those who came by themselves. */
const NEIGHBOUR_BONUS = 5;

export interface ScoredPeers {
  /** Penalty of a peer now. */
  readonly penaltyOf: (peer: string) => number;
  /** True for a neighbour that this node chose. */
  readonly isChosen: (peer: string) => boolean;
}

/**
 * Gossip scores: invalid messages and what peers did on the request protocols count; too few deliveries do not, since
 * records and announcements come seldom and a quiet topic would punish everybody.
 */
export function createScoreParams(
  options: NetworkOptions,
  { penaltyOf, isChosen }: ScoredPeers,
): Partial<PeerScoreParams> {
  const topics: PeerScoreParams['topics'] = {};
  for (const name of TOPIC_NAMES) {
    topics[topicId(options.networkId, name)] = createTopicScoreParams({
      topicWeight: 1,
      meshMessageDeliveriesWeight: 0,
      meshFailurePenaltyWeight: 0,
      invalidMessageDeliveriesWeight: -10,
      invalidMessageDeliveriesDecay: 0.97,
    });
  }
  return {
    topics,
    appSpecificScore: (peer) => (isChosen(peer) ? NEIGHBOUR_BONUS : 0) - penaltyOf(peer),
    appSpecificWeight: 1,
    IPColocationFactorWeight: PRESETS[options.preset].ipColocationWeight,
    IPColocationFactorThreshold: COLOCATION_THRESHOLD,
  };
}
