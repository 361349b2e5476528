import type { Job } from '../../domain/job.ts';
import { TIERS } from '../../reputation/beta-model.ts';
import type { ReputationScore } from '../../reputation/interface.ts';

/** Of so many jobs one asks newcomers first: else nobody would ever become known. The nonce is random. */
const EXPLORING_SHARE = 10;

/** Evidence below which a provider is new: what one pair of peers may bring about for free in some epochs. */
const NEWCOMER_WEIGHT = 1;

/** Below a newcomer's 0.025: more failures than successes are known. Rounding of the quantile is far smaller than this. */
const POOR_LOWER_BOUND = 0.0249;

const TOP_BAND = TIERS.length;

export function exploresNewcomers({ nonce }: Pick<Job, 'nonce'>): boolean {
  return ((nonce[0] ?? 0) * 256 + (nonce[1] ?? 0)) % EXPLORING_SHARE === 0;
}

/** What this node itself knows of a provider. */
export interface OwnKnowledge {
  /** The job asks newcomers first. */
  readonly isExploring: boolean;
  /** It has served this node, and did not fail it too often since. */
  readonly isTrusted: boolean;
  /** It runs as many attempts of this node as it has slots. */
  readonly isFull: boolean;
}

/**
 * Coarse, so that price, load and distance choose among those of like repute: -1 is poor, 0 to 4 are the tiers. A newcomer is
 * uncertain, not bad: it has the lowest tier, and comes first where the job explores. What others say can be made up, and
 * costs nothing where nothing is paid; what this node has lived through cannot. So whom it trusts, and who has room, comes first
 * whatever others say, and is never poor.
 */
export function chooseBand(
  { lowerBound, weight, tier }: ReputationScore,
  { isExploring, isTrusted, isFull }: OwnKnowledge,
): number {
  if (isTrusted && !isFull && !isExploring) return TOP_BAND;
  if (lowerBound < POOR_LOWER_BOUND) return isTrusted ? 0 : -1;
  if (isExploring && weight < NEWCOMER_WEIGHT) return TOP_BAND;
  return TIERS.indexOf(tier);
}
