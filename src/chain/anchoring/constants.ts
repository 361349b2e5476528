/** `u8 kind ‖ digest`, as programs/proof-anchor/README.md has it. */
export const LEAF_BYTES = 33;
export const DIGEST_BYTES = 32;

/**
 * Leaves of one row of the database: 8.4 KB, written again whenever leaves are added to it, and hashed (0.2 ms) for a
 * proof. A power of two, so that a row is a complete subtree.
 */
export const CHUNK_LEAVES = 256;

/** Leaves of one batch. Paths have at most 20 hashes then; the roots of its rows take 125 KB. */
export const MAX_BATCH_LEAVES = 1_000_000;

/** Leaves that are not final yet, open and in flight: some 300 bytes of disk each. More are refused. */
export const MAX_WAITING_LEAVES = 2_000_000;

/** Leaves that one durable write takes from the calls that wait for it; a call is never split. */
export const GATHERED_LEAVES = 20_000;

/** Leaves that are looked up at once: a quarter of the time of one after another. */
export const PARALLEL_READS = 1_024;

/** Calls of `add` and `flush` that may wait for their write. */
export const MAX_QUEUED_CALLS = 10_000;

/**
 * Compute units asked for (programs/proof-anchor/COSTS.md): an append costs at most 8,634; making a log 3,182, and 1,500
 * more for each bump that gives no address, which is one in two: 24 in a row are one in 16 million.
 */
export const APPEND_COMPUTE_UNITS = 20_000;
export const CREATE_LOG_COMPUTE_UNITS = 40_000;
export const VERIFY_COMPUTE_UNITS = 60_000;

/** Entries that the ring of a log's account holds (programs/proof-anchor/README.md). */
export const RING_ENTRIES = 64;

/** Pause after a failure, doubled with each further one up to the longest, in ms. */
export const RETRY_FIRST_MS = 1_000;
export const RETRY_LONGEST_MS = 60_000;

/** The longest after transactions that failed on the chain, each for a fee, in ms: some hundred fees a day at most. */
export const PAID_RETRY_LONGEST_MS = 3_600_000;

/** A log that others write to is read again at once so many times before there is a pause. */
export const FREE_CONFLICTS = 3;

/** How often a transaction that is waited for is looked at for why it waits, in ms. */
export const PROGRESS_INTERVAL_MS = 2_000;

/** Longest wait for one reading of the chain, in ms: a little more than an endpoint's own deadline with failover. */
export const READ_TIMEOUT_MS = 45_000;

/** Transactions of a log's history that one search looks at. */
export const MAX_HISTORY = 10_000;

/** Slots by which an endpoint may lag behind the one that was asked first. */
export const SINCE_SLOT_MARGIN = 300;

/** How often old batches are looked for, in ms. */
export const SWEEP_INTERVAL_MS = 3_600_000;

/** Longest `limit` of a list. */
export const MAX_LISTED = 1_000;

/** Longest that one endpoint is waited for about one anchor, in ms. */
export const ANCHOR_READING_MS = 30_000;

/** Chains that one reader of anchors asks; of an anchor on another one nothing is found out. */
export const MAX_READ_CHAINS = 16;
