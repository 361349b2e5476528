/** Clocks of honest parties differ by at most this: ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;
/** Largest header of a bundle file: a CARv1 header with its one root has 58 or 59 bytes. */
export const MAX_CAR_HEADER_BYTES = 128;
/** Bytes of a blob that are held at once while it is hashed or copied. */
export const BLOB_PIECE_BYTES = 256 * 1024;
/** Largest in-toto file in bytes: 1024 subjects and the reports on 16 attempts stay far below. */
export const MAX_DSSE_BYTES = 4 * 1024 * 1024;
/** How long a chain is asked about all anchors of a file together: ms. A public endpoint answers in 0.1 to 1 s a call. */
export const DEFAULT_CHAIN_TIMEOUT_MS = 30_000;
/**
 * A receipt that is dated later than the block that holds its hash by more than this is dated wrongly: ms. Block times
 * are a median over validators, let to drift from theirs by a share of an epoch: far more than two clocks of ours.
 */
export const BLOCK_TIME_TOLERANCE_MS = 3_600_000;
/** How long an export asks the chain for the verdict that it tells: ms. Whoever verifies the file asks anew. */
export const EXPORT_CHAIN_TIMEOUT_MS = 10_000;
/** How often an export that waits looks whether its receipts are anchored: ms. It reads the node's own database. */
export const ANCHOR_POLL_MS = 200;
/** Output files of one bundle that are held to be compared within tolerances: 1 GiB, two of 64 MiB for each of 8 replicas. */
export const MAX_COMPARED_TOTAL_BYTES = 2 ** 30;
/** Most distinct items of all snapshots of one file: 64 GiB of pages. A reader holds about 150 bytes for each. */
export const MAX_BUNDLE_ITEMS = 2 ** 20;
