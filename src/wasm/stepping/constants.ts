/** Bytes of a SHA-256 digest. */
export const DIGEST_BYTES = 32;
/** One global of the state: its type, then its bits as u64 (docs/stepping.md section 3.2). */
export const GLOBAL_BYTES = 9;
/** Links of one attempt, its start among them, before no more are made until the end (domain/checkpoint.ts). */
export const MAX_LINKS = 65_536;
/**
 * Pages that are kept a second time to find out which have changed: 1 GiB. Beyond that pages are hashed each time, which
 * takes about ten times as long as comparing (docs/decisions/0009-checkpoints-and-snapshots.md).
 */
export const MAX_SHADOW_PAGES = 16_384;
