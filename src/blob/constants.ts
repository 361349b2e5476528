/**
 * Largest blob kept in the database instead of a file of its own, in bytes: many are then made durable by one fsync.
 * Measured, durable blobs a second: database 22,000 of 100 bytes, 13,000 of 8 KB, 1,400 of 32 KB; files 2,000 of 40 KB.
 */
export const INLINE_MAX_BYTES = 16 * 1024;

/** Bytes hashed before others have a turn; they take about 2.5 ms. */
export const HASHED_AT_ONCE = 4 * 1024 * 1024;

/** Bytes of blobs kept in memory, and the largest one kept there. */
export const HOT_BYTES = 64 * 1024 * 1024;
export const HOT_MAX_BLOB_BYTES = 8 * 1024 * 1024;

/** Most blobs, whatever their size: the index is in memory, at some 200 bytes each. */
export const MAX_BLOBS = 1_000_000;

/** How often times of last use are written, in ms: after a crash, eviction is a little less exact and nothing else. */
export const LAST_USE_FLUSH_MS = 60_000;

/** Memory for digests of leaves of blobs that are read, in bytes: those of 256 GiB. */
export const TREE_CACHE_BYTES = 8 * 1024 * 1024;

/** Files of blobs kept open for those who read them in parts. */
export const OPEN_BLOB_FILES = 64;

/** Leaves of encrypted blobs kept in memory, of 1 MiB each: a leaf is sent in several parts. */
export const OPENED_LEAVES = 8;

/**
 * How much of a blob that is arriving is written before it is synced and noted as here, in bytes and in ms: so much is
 * fetched again after a crash.
 */
export const RECEPTION_SYNC_BYTES = 64 * 1024 * 1024;
export const RECEPTION_SYNC_MS = 10_000;

/** Most blobs that are arriving or have arrived in part; each open one holds a file descriptor. */
export const MAX_RECEPTIONS = 128;

/** How long a part of a blob is kept that nobody adds to, in ms. */
export const RECEPTION_KEPT_MS = 7 * 24 * 3_600_000;
