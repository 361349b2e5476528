/** Version of the meaning of what is stored; raised together with an entry in migrations.ts. */
export const SCHEMA_VERSION = 2;

/** Most operations that one group commit takes: bounds the memory of a batch. */
export const GROUP_COMMIT_OPERATIONS = 4096;

/** Bytes of values that one group commit takes; a single larger write still goes alone. LevelDB's write buffer is 4 MiB. */
export const GROUP_COMMIT_BYTES = 4 * 1024 * 1024;

/** Size of LevelDB's memory of blocks read, in bytes; its default (8 MiB). */
export const BLOCK_CACHE_BYTES = 8 * 1024 * 1024;

/** Under `meta`: there once every entry carries a checksum. */
export const ENTRY_CHECKSUMS_KEY = 'entry-checksums';

/**
 * Bytes of tables that are checked each time a database that was closed is opened, newest first. 32 MiB took 150 to 240 ms
 * on two cores of an AMD EPYC under a load of 10; the daemon is to be ready in 0.8 s (design section 11). After a crash all
 * are, and `fogproof node repair` checks all.
 */
export const TABLE_CHECK_BYTES = 16 * 1024 * 1024;

/** What one step of a migration changes at most: bounds its memory, and what is done again after a kill. */
export const MIGRATION_BATCH_ENTRIES = 4_096;
export const MIGRATION_BATCH_BYTES = 4 * 1024 * 1024;
