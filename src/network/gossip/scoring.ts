import { createTopicScoreParams, type PeerScoreParams } from '@libp2p/gossipsub/score';
import { type NetworkOptions, PRESETS } from '../options.ts';
import {
  BEHAVIOUR,
  BEHAVIOUR_THRESHOLD,
  COLOCATION_THRESHOLD,
  FIRST_DELIVERIES,
  INVALID_MESSAGES,
  MESH_TIME,
  NEIGHBOUR_BONUS,
  REPUTATION_BONUS,
  SCORE_DECAY_MS,
  SCORE_DECAY_TO_ZERO,
  SCORE_KEPT_MS,
  TOPIC_SCORE_CAP,
} from './router/constants.ts';
import { TOPIC_NAMES, topicId } from './topics.ts';

export interface ScoredPeers {
  /** Penalty of a peer now. */
  readonly penaltyOf: (peer: string) => number;
  /** True for a neighbour that this node chose. */
  readonly isChosen: (peer: string) => boolean;
  /** What is surely good about it, 0 to 1: the lower bound of its reputation. Absent: reputation does not count. */
  readonly reputationOf?: (peer: string) => number;
}

/** P5 of gossipsub v1.1: what this node knows of a peer beside its gossip. */
export function computeApplicationScore(
  peer: string,
  { penaltyOf, isChosen, reputationOf = () => 0 }: ScoredPeers,
): number {
  const reputation = Math.min(1, Math.max(0, reputationOf(peer)));
  return (isChosen(peer) ? NEIGHBOUR_BONUS : 0) + REPUTATION_BONUS * reputation - penaltyOf(peer);
}

/**
 * Gossip scores (gossipsub v1.1, "Peer Scoring"): invalid messages and what peers did on the request protocols count;
 * too few deliveries (P3) do not, since records and announcements come seldom and a quiet topic would punish everybody.
 */
export function createScoreParams(options: NetworkOptions, scored: ScoredPeers): Partial<PeerScoreParams> {
  const topics: PeerScoreParams['topics'] = {};
  for (const name of TOPIC_NAMES) {
    topics[topicId(options.networkId, name)] = createTopicScoreParams({
      topicWeight: 1,
      timeInMeshWeight: MESH_TIME.weight,
      timeInMeshQuantum: MESH_TIME.quantumMs,
      timeInMeshCap: MESH_TIME.cap,
      firstMessageDeliveriesWeight: FIRST_DELIVERIES.weight,
      firstMessageDeliveriesDecay: FIRST_DELIVERIES.decay,
      firstMessageDeliveriesCap: FIRST_DELIVERIES.cap,
      meshMessageDeliveriesWeight: 0,
      meshFailurePenaltyWeight: 0,
      invalidMessageDeliveriesWeight: INVALID_MESSAGES.weight,
      invalidMessageDeliveriesDecay: INVALID_MESSAGES.decay,
    });
  }
  return {
    topics,
    topicScoreCap: TOPIC_SCORE_CAP,
    appSpecificScore: (peer) => computeApplicationScore(peer, scored),
    appSpecificWeight: 1,
    IPColocationFactorWeight: PRESETS[options.preset].ipColocationWeight,
    IPColocationFactorThreshold: COLOCATION_THRESHOLD,
    behaviourPenaltyWeight: BEHAVIOUR.weight,
    behaviourPenaltyThreshold: BEHAVIOUR_THRESHOLD,
    behaviourPenaltyDecay: BEHAVIOUR.decay,
    decayInterval: SCORE_DECAY_MS,
    decayToZero: SCORE_DECAY_TO_ZERO,
    retainScore: SCORE_KEPT_MS,
  };
}
