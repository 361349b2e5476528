import { createTopicScoreParams, type PeerScoreParams } from '@libp2p/gossipsub/score';
import { type NetworkOptions, PRESETS } from '../options.ts';
import { TOPIC_NAMES, topicId } from './topics.ts';

/** Peers of one address that cost nothing: a household, an office, a rack. */
const COLOCATION_THRESHOLD = 8;

/**
 * Gossip scores: invalid messages and what peers did on the request protocols count; too few deliveries do not, since
 * records and announcements come seldom and a quiet topic would punish everybody.
 */
export function createScoreParams(
  options: NetworkOptions,
  penaltyOf: (peer: string) => number,
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
    appSpecificScore: (peer) => -penaltyOf(peer),
    appSpecificWeight: 1,
    IPColocationFactorWeight: PRESETS[options.preset].ipColocationWeight,
    IPColocationFactorThreshold: COLOCATION_THRESHOLD,
  };
}
