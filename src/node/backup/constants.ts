/** Names in the archive. */
export const HEAD_NAME = 'fogproof-backup.json';
export const END_NAME = 'end.json';
export const SIGNATURE_NAME = 'end.sig';
export const HOME_PREFIX = 'home/';
export const DATABASE_PREFIX = 'database/';
export const HASHES_PREFIX = 'hashes/';

/** Entries of the database in one file of the archive, and their bytes. */
export const CHUNK_ENTRIES = 4_096;
export const CHUNK_BYTES = 4 * 1024 * 1024;
/** A single entry may be larger than a chunk; LevelDB holds values up to 4 GiB, this program's are a few MiB. */
export const MAX_CHUNK_BYTES = 64 * 1024 * 1024;
/** Files after which the list of their hashes is written. */
export const HASHES_EVERY = 256;
/** Head, end, signature and a list of hashes: read whole into memory. */
export const MAX_SMALL_BYTES = 1024 * 1024;
/** Bytes read or written at a time. */
export const PIECE_BYTES = 256 * 1024;
/** At most one event of progress for so many bytes. */
export const PROGRESS_BYTES = 16 * 1024 * 1024;
/** How often folders are listed anew: what is compacted meanwhile moves from file to file. */
export const MAX_LISTINGS = 5;
/** Restored files that are brought to the disk together: a journal of a file system takes them in one. */
export const SYNCED_TOGETHER = 64;
/** Domain of the signature over the end of a backup. */
export const SIGNATURE_DOMAIN = 'fogproof/backup@1';
/** In the data folder, with a file each for larger blobs. */
export const BLOBS_FOLDER = 'blobs';
