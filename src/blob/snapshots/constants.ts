import { SEAL_TAG_BYTES, SNAPSHOT_PIECE_BYTES } from '../../domain/snapshot.ts';

/** Largest item, in bytes: a sealed page. */
export const MAX_ITEM_BYTES = SNAPSHOT_PIECE_BYTES + SEAL_TAG_BYTES;

/** Written to a pack at once, in bytes: 16 pages; larger writes measured no faster. */
export const WRITE_BUFFER_BYTES = 1024 * 1024;

/** Largest list at the end of a pack, in bytes: as many items as one snapshot has at most, at 36 bytes each. */
export const MAX_FOOTER_BYTES = 5 * 1024 * 1024;

/** Most snapshots, and most references from snapshots to items: the lists are in memory, at 8 bytes a reference. */
export const MAX_SNAPSHOTS = 16_384;
export const MAX_REFERENCES = 8_388_608;
/** Most items beside those that the limit in bytes allows as pages: an item takes some 200 bytes of memory. */
export const MAX_SMALL_ITEMS = 262_144;

/** A pack of which less than this share is needed is written anew: the disk holds at most twice what is needed. */
export const COMPACT_SHARE = 0.5;
/** Bytes that one such pack brings together; for so long the store may take more than its limit. */
export const COMPACT_BYTES = 64 * 1024 * 1024;
/** Packs below this size are brought together once there are so many: an item is copied a few times in its life. */
export const SMALL_PACK = { bytes: 8 * 1024 * 1024, count: 16 } as const;

/** How often snapshots that have had their time are looked for, in ms. */
export const SWEEP_INTERVAL_MS = 60_000;

/** Packs kept open for reading. */
export const OPEN_PACKS = 64;

/** Packs with a damaged list that are set aside for a person to look at; older ones are deleted. */
export const DAMAGED_PACKS_KEPT = 4;

/** Digests looked up before other work has its turn: less than 5 ms. */
export const DIGESTS_AT_ONCE = 8_192;
