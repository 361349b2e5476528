/** Items of one frame: 8 sealed pages are 512 KiB, the largest answer of the `blob` protocol (domain/messages.ts). */
export const ITEMS_PER_FRAME = 8;
/** Requests for items under way at a time: their answers wait for each other's place in the store no longer than this. */
export const ITEM_REQUESTS_IN_FLIGHT = 4;
/** A fetch during which nothing arrives for so long is given up, ms: a frame of 512 KiB at 0.3 Mbit/s. */
export const FETCH_STALL_MS = 15_000;
/** Fetches that broke off and are kept to be gone on with; the oldest is given up first. */
export const SUSPENDED_FETCHES = 16;
/** How long, ms: a provider that can be reached again is asked again within seconds. */
export const SUSPENDED_FETCH_MS = 120_000;
/** Encoded snapshots kept in memory while they are handed out, bytes: two of the largest. */
export const SERVED_SNAPSHOT_BYTES = 32 * 1024 * 1024;
/** Pieces read ahead of who takes them. */
export const PIECES_READ_AHEAD = 8;
