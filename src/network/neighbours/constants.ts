import type { DiversityGroup } from '../../vrf/selection.ts';

/** k: peers that a node chooses (design section 12). */
export const NEIGHBOUR_SLOTS = 8;
/** Epochs that a slot lasts: with two, half of the slots turn over each epoch. */
export const SLOT_EPOCHS = 2;
/** c: room for caps and healing in the bound of ranks (design section 5). */
export const RANK_SLACK = 4;
/** Slots for those who chose this node: 4k (design section 5). */
export const INBOUND_SLOTS = 4 * NEIGHBOUR_SLOTS;
/** Share of the inbound slots for peers that are not two epochs old here. */
export const YOUNG_SHARE = 1 / 4;
/** Share of the inbound slots that peers of one group may hold, where groups of that kind are capped. */
export const INBOUND_GROUP_SHARES: Readonly<Record<DiversityGroup['kind'], number>> = {
  address: 1 / 4,
  asn: 1 / 2,
  operator: 1 / 4,
};
/** Lowest ranks kept of an epoch; when they are used up, all candidates are ranked anew. */
export const RANKED_KEPT = 128;

/** Pairs of peer and VRF key in the table. */
export const MAX_CANDIDATES = 16_384;
/** A pair whose record has been expired for so many epochs is forgotten: a day at one hour each. */
export const FORGET_AFTER_EPOCHS = 24;

/** Keys closest to a target whose distance tells how dense keys lie: the relative error is about 1 / √18. */
export const DENSITY_KEYS = 20;
/** Targets, each derived from the own VRF output of the epoch, so that nobody can crowd around them beforehand. */
export const DENSITY_TARGETS = 5;

/** Neighbours that are asked whether they know a candidate that one source alone told of. */
export const CROSS_CHECK_PEERS = 3;

/** Proofs checked a second, of all peers together, and at once: 4 ms each. */
export const PROOFS_PER_SECOND = 32;
export const PROOF_BURST = 128;
/** Verdicts on proofs that are remembered within an epoch: who claims again is not computed again. */
export const MAX_REMEMBERED_PROOFS = 256;
/** Candidates that refused, remembered within an epoch. */
export const MAX_REFUSALS = 512;
/** Rounds of claims in one go; each asks as many candidates as there are free slots. */
export const MAX_CLAIM_ROUNDS = 16;
