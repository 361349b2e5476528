import {
  CAPPED_PER_PAIR,
  FLUSH_RETRY_MS,
  FOLD_AFTER_MS,
  FOLD_INTERVAL_MS,
  HALF_LIFE_MS,
  MAX_FOLDED_SUBJECTS,
  MAX_OBSERVATIONS,
  MAX_PER_SUBJECT,
} from './constants.ts';

export interface ReputationOptions {
  readonly networkId: string;
  /** Rounds of an epoch × their length, ms. */
  readonly epochMs: number;
  readonly halfLifeMs: number;
  /** Observations count one by one for this long; then they are folded, ms. */
  readonly foldAfterMs: number;
  readonly foldIntervalMs: number;
  readonly publishRetryMs: number;
  readonly maxObservations: number;
  readonly maxPerSubject: number;
  readonly cappedPerPair: number;
  readonly maxFolded: number;
}

export const REPUTATION_DEFAULTS: Omit<ReputationOptions, 'networkId' | 'epochMs'> = {
  halfLifeMs: HALF_LIFE_MS,
  foldAfterMs: FOLD_AFTER_MS,
  foldIntervalMs: FOLD_INTERVAL_MS,
  publishRetryMs: FLUSH_RETRY_MS,
  maxObservations: MAX_OBSERVATIONS,
  maxPerSubject: MAX_PER_SUBJECT,
  cappedPerPair: CAPPED_PER_PAIR,
  maxFolded: MAX_FOLDED_SUBJECTS,
};
