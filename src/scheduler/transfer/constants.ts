/** Peers that one transfer asks at the same time; others wait until one of these is let go. */
export const MAX_SOURCES = 8;
/** Peers of one transfer that are remembered at all. */
export const MAX_KNOWN_SOURCES = 256;
/** Requests in flight to one source: while the leaf of one is written, the bytes of another arrive. */
export const LANES_PER_SOURCE = 2;
/** One more for each of these of its round trip, up to so many: each has a window of 256 KiB. */
export const LANE_ROUND_TRIP_MS = 10;
export const MAX_LANES = 8;
/** A request asks for as many leaves as its source sends in this time, ms. */
export const RUN_TARGET_MS = 400;
/** Weight of the newest measurement of a source's rate. */
export const RATE_WEIGHT = 0.4;

/** A source that sends nothing for so long is set aside, ms. */
export const STALL_MS = 10_000;
/** Least rate of one request, bytes a second, once it has waited this long, ms. */
export const LEAST_RATE = { bytesPerSecond: 4 * 1024, graceMs: 15_000 } as const;
/** Failures in a row, without a leaf between, after which a source is let go. */
export const MAX_FAILURES = 3;
/** First and longest wait before a source that failed is asked again, ms. */
export const SOURCE_BACKOFF_MS = { first: 200, longest: 5_000 } as const;
/** A transfer in which nothing was asked for this long, for no source has what is missing, fails, ms. */
export const QUIET_MS = 120_000;
/** A source that gave its place to another has twice as long the next time, up to so many times as long as at first. */
export const MAX_PATIENCE_FACTOR = 64;
/** How often an idle lane looks whether another source is late, and a source that has only a part is asked again, ms. */
export const IDLE_LOOK_MS = 100;
export const PARTIAL_LOOK_MS = 1_000;
/** Another source's leaves are asked for too if it needs this many times as long as oneself, and at least so long, ms. */
export const HEDGE = { factor: 2, leastMs: 200 } as const;

/** Bytes of one frame of a leaf. */
export const LEAF_PART_BYTES = 128 * 1024;
/** Answers to `leaves` at a time, of all peers, of those that get only what is public, and of one: each holds two parts. */
export const MAX_LEAF_ANSWERS = 96;
export const MAX_PUBLIC_LEAF_ANSWERS = 48;
export const MAX_LEAF_ANSWERS_PER_PEER = 12;
/** Least rate at which a peer takes what it asked for, bytes a second, and time that it has in any case, ms. */
export const LEAST_TAKE_RATE = { bytesPerSecond: 4 * 1024, graceMs: 30_000 } as const;
/** The same for what is public while no more such answers are begun. */
export const CROWDED_TAKE_RATE = { bytesPerSecond: 64 * 1024, graceMs: 10_000 } as const;

/** Memory for notes of who sent which leaves, bytes. */
export const SUPPLIED_NOTES_BYTES = 8 * 1024 * 1024;
/** Transfers at a time; beyond it a fetch is refused. */
export const MAX_TRANSFERS = 256;
/** Blobs that a node makes public at most. */
export const MAX_PUBLIC_BLOBS = 10_000;
/** Peers that are asked how large a public blob is, and the longest wait for each, ms. */
export const MAX_ASKED_FOR_SIZE = 16;
export const SIZE_TIMEOUT_MS = 10_000;
