/** How far clocks of peers may be apart, ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;

/** Design section 9. */
export const HALF_LIFE_MS = 30 * 24 * 3_600_000;

/** Unpaid observations of one pair of peers that count in one epoch: together a tenth of an attempt that is paid a token. */
export const CAPPED_PER_PAIR = 10;

/** Of these an observer keeps so many for failures: a provider must not be safe after its first good hour. */
export const PLACES_FOR_FAILURES = 3;

/** Observations are kept, and taken in, for this long; then their sums are folded into those of their subject, ms. */
export const FOLD_AFTER_MS = 7 * 24 * 3_600_000;

/** Most observations that are kept, in all and of one subject in one role; those that weigh least go first. About 3 kB each. */
export const MAX_OBSERVATIONS = 32_768;
export const MAX_PER_SUBJECT = 1_024;

/** Most subjects of which folded sums are kept; those with the least evidence go first. About 300 bytes each. */
export const MAX_FOLDED_SUBJECTS = 16_384;

/** Epochs of which the hash of the snapshot is kept: more than a year of hours. */
export const MAX_SNAPSHOT_HASHES = 10_000;

/** Until own observations that nobody heard are published again, ms. */
export const FLUSH_RETRY_MS = 15_000;

/** Observations whose evidence is yet to be shown, in all and of one observer; the oldest go first. */
export const MAX_UNCHECKED = 1_024;
export const MAX_UNCHECKED_OF_OBSERVER = 32;

/** How often folding is looked at, ms. */
export const FOLD_INTERVAL_MS = 60_000;
