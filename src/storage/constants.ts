/** Version of the meaning of what is stored; raised together with an entry in migrations.ts. */
export const SCHEMA_VERSION = 1;

/** Most operations that one group commit takes: bounds the memory of a batch. */
export const GROUP_COMMIT_OPERATIONS = 4096;

/** Bytes of values that one group commit takes; a single larger write still goes alone. LevelDB's write buffer is 4 MiB. */
export const GROUP_COMMIT_BYTES = 4 * 1024 * 1024;

/** Size of LevelDB's memory of blocks read, in bytes; its default (8 MiB). */
export const BLOCK_CACHE_BYTES = 8 * 1024 * 1024;
