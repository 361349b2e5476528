/**
 * Largest blob kept in the database instead of a file of its own, in bytes: many are then made durable by one fsync.
 * Measured, durable blobs a second: database 22,000 of 100 bytes, 13,000 of 8 KB, 1,400 of 32 KB; files 2,000 of 40 KB.
 */
export const INLINE_MAX_BYTES = 16 * 1024;

/** Bytes read, hashed and written at once; hashing them takes about 1 ms. */
export const PIECE_BYTES = 1024 * 1024;

/** Bytes of blobs kept in memory, and the largest one kept there. */
export const HOT_BYTES = 64 * 1024 * 1024;
export const HOT_MAX_BLOB_BYTES = 8 * 1024 * 1024;

/** Most blobs, whatever their size: the index is in memory, at some 200 bytes each. */
export const MAX_BLOBS = 1_000_000;

/** How often times of last use are written, in ms: after a crash, eviction is a little less exact and nothing else. */
export const LAST_USE_FLUSH_MS = 60_000;
