/**
 * Between the first two questions for a block that is not final yet, how much longer each time, and at most, ms: a local
 * chain answers the second, Solana (final after 13 s) the sixth. Every question is a search of several requests.
 */
export const POLL_INTERVAL_MS = 1_000;
export const POLL_GROWTH = 1.5;
export const MAX_POLL_INTERVAL_MS = 5_000;

/** How long a round's block is waited for, ms: Solana finalises within 13 s as a rule, a stalling cluster within minutes. */
export const BLOCK_WAIT_MS = 120_000;

/** Failed questions in a row until the chain counts as unreachable: one lost answer is no outage. */
export const MAX_FAILURES = 3;

/** Until a chain that was unreachable is asked again, ms. */
export const FAILURE_PAUSE_MS = 15_000;

/** How long one question may take, ms: several requests to more than one endpoint. */
export const ASK_DEADLINE_MS = 30_000;

/** Newest rounds whose values are kept: eight hours of 30 s. An older one is asked of the chain again. */
export const KEPT_ROUNDS = 1_024;

/** Rounds that are asked for at once. */
export const MAX_ROUNDS_IN_FLIGHT = 64;

/** Bytes of a block hash. */
export const BLOCK_HASH_BYTES = 32;
