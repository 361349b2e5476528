/**
 * Longest path of a Unix socket in bytes: `sun_path` of sockaddr_un holds 108 on Linux (unix(7)) and 104 elsewhere, with
 * the final zero. A longer one is cut silently by some systems, so that it would lie elsewhere.
 */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/** Largest configuration, preset or network file read, in bytes. */
export const MAX_CONFIG_FILE_BYTES = 256 * 1024;

/** Longest invite string in characters: a definition of 64 bootstrap addresses packs into less. */
export const MAX_INVITE_LENGTH = 32 * 1024;

/** Share of the disk that blobs may take, and their largest default size in bytes (design section 12). */
export const BLOB_DISK_SHARE = 0.1;
export const BLOB_MAX_BYTES = 20 * 2 ** 30;

/** Share of memory and disk that jobs leave free by default, 1 GiB at most. */
export const RESERVE_SHARE = 0.02;

/** Largest default size of the snapshots' disk space, in bytes; its share of the disk is that of blobs. */
export const SNAPSHOT_MAX_BYTES = 4 * 2 ** 30;

/** Environment variables of ours that are no settings: each is read where it is needed. */
export const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'FOGPROOF_NODE',
  'FOGPROOF_PASSPHRASE',
  'FOGPROOF_PASSPHRASE_FILE',
  'FOGPROOF_BACKUP_PASSPHRASE_FILE',
]);
