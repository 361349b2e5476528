/** Bytes of the big-endian length before each frame. */
export const FRAME_PREFIX_BYTES = 4;
/** Largest frame of any protocol (design section 12). */
export const MAX_FRAME_BYTES = 1024 * 1024;
/** Largest gossip message (design section 12). */
export const MAX_GOSSIP_BYTES = 64 * 1024;
/** Longest that a frame may take from its first to its last byte, in ms: 1 MiB at 0.8 Mbit/s. */
export const FRAME_DEADLINE_MS = 10_000;
/** How long the other side may take to confirm a cancelled request, in ms, before its stream is reset. */
export const CANCEL_DEADLINE_MS = 10_000;
/** Bytes queued for a slow reader before responses wait: one full yamux window. */
export const WRITE_HIGH_WATER_BYTES = 256 * 1024;
/** Bytes queued for a reader that takes nothing before its stream is reset. */
export const WRITE_LIMIT_BYTES = 8 * 1024 * 1024;
/** Requests that wait for a free slot towards one peer and protocol. */
export const MAX_WAITING_REQUESTS = 4096;
/** Bytes counted for a response beside its own length: what the queue itself costs. */
export const RESPONSE_OVERHEAD_BYTES = 128;

/** Peers in the book, connected or not; the longest unseen is dropped first. */
export const MAX_KNOWN_PEERS = 4096;
/** Peers kept across restarts. */
export const MAX_REMEMBERED_PEERS = 512;
/** Remembered peers dialled at start. */
export const REMEMBERED_DIALS = 16;
/** A remembered peer that has not answered for so long is forgotten, in ms: 14 days. */
export const REMEMBERED_TTL_MS = 14 * 24 * 3_600_000;
/** Addresses kept for one peer; as many as fit a node record. */
export const MAX_ADDRESSES = 16;

/** Tolerated difference of clocks, in ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;
/** Longest life that a node record may claim, in ms: the largest `recordTtlMs` of a network definition. */
export const MAX_RECORD_TTL_MS = 86_400_000;
/** Share of its life after which the own record is issued anew. */
export const RECORD_REFRESH_SHARE = 1 / 3;
/** Between two searches for candidates to be neighbours, ms. */
export const NEIGHBOUR_SEEK_INTERVAL_MS = 5_000;
/** How many records are asked for from a peer that was just met. */
export const RECORD_SAMPLE = 32;

/** One attempt to dial one address, in ms. */
export const DIAL_TIMEOUT_MS = 5_000;
/** First and longest wait between attempts at a bootstrap peer, in ms. */
export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MAX_MS = 60_000;
/** How often bootstrap peers and the number of connections are looked at, in ms. */
export const UPKEEP_INTERVAL_MS = 5_000;
/** Fewest connections that discovery tries to keep. */
export const MIN_CONNECTIONS = 8;
/** One DHT query, in ms: 50 nodes answer in 0.1 s, ten times that over the Internet, and a dead peer's timeout. */
export const DHT_QUERY_TIMEOUT_MS = 15_000;
/** First and later searches for providers through the DHT, in ms. */
export const DHT_SEARCH_FIRST_MS = 2_000;
export const DHT_SEARCH_INTERVAL_MS = 60_000;

/** How often observations are compared with one connected peer, ms, on average. */
export const OBSERVATION_SYNC_MS = 60_000;
/** Of one such round: how long it may take, ms; epochs that are looked into; observations that are fetched. */
export const OBSERVATION_SYNC_DEADLINE_MS = 30_000;
export const OBSERVATION_SYNC_EPOCHS = 8;
export const OBSERVATION_SYNC_MAX = 512;
/** Observations with their evidence in one answer; a frame may have 1 MiB. */
export const OBSERVATION_ANSWER_BYTES = 384 * 1024;

/** Announcements remembered until they have expired; of more, the oldest are forgotten and may be handled again. */
export const MAX_SEEN_ANNOUNCEMENTS = 16_384;
/** Peers that take jobs of a class, found in the DHT and dialled, when an announcement would reach nobody. */
export const TAKERS_SOUGHT = 4;
/** Longest search for them, in ms, and how long after the last one nobody is sought again. */
export const TAKER_SEARCH_MS = 5_000;
export const TAKER_SEARCH_INTERVAL_MS = 10_000;
/** How long the subscriptions of those that were reached are waited for, in ms. */
export const SUBSCRIPTION_WAIT_MS = 2_000;

/** How often a public blob is told to the DHT again, in ms: its record lives 48 hours there. */
export const PROVIDE_REFRESH_MS = 12 * 3_600_000;
/** First and longest wait before a blob that nobody was told of is told again, in ms. */
export const PROVIDE_RETRY_MS = { first: 5_000, longest: 600_000 } as const;

/** Longest wait for a second connection to a peer, in ms, and how long after a failure none is tried. */
export const BULK_DIAL_MS = 1_500;
export const BULK_RETRY_MS = 300_000;
/** A second connection that carried nothing for so long is closed, in ms. */
export const BULK_IDLE_MS = 60_000;
/** Second connections at a time; bulk of further peers goes over their first. */
export const MAX_BULK_CONNECTIONS = 32;

/** Connections (design section 11 measures an idle daemon at 50 peers; libp2p prunes above this). */
export const MAX_CONNECTIONS = 256;
/** Bytes that gossipsub may queue towards one peer; its own push ignores backpressure. */
export const MAX_GOSSIP_BUFFER_BYTES = 4 * 1024 * 1024;
/** Liveness ping of each connection, in ms. */
export const CONNECTION_PING_MS = 30_000;

/** Penalty at which a peer is disconnected and refused, and how long it takes to halve, in ms. */
export const BAN_PENALTY = 100;
export const PENALTY_HALF_LIFE_MS = 300_000;
