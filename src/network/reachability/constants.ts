/** Relays at which a node that cannot be reached holds places: one may vanish. */
export const RELAYS_HELD = 2;
/** Relays that are known to be there, connected or not; of more, the first are forgotten. */
export const MAX_RELAY_CANDIDATES = 256;
/** Addresses of one relay that are told to others. */
export const ADDRESSES_PER_RELAY = 3;
/** How often it is looked at whether the node is reached and has its relays, in ms. */
export const REACHABILITY_CHECK_MS = 5_000;
/** First and longest wait before a relay that refused is asked again, in ms. */
export const RELAY_RETRY_MS = { first: 5_000, longest: 600_000 } as const;
/** One reservation: a round trip or two and a possible dial, in ms. */
export const RESERVATION_DEADLINE_MS = 5_000;
/** How long a connection from outside shows that the node is reached, in ms. */
export const INBOUND_EVIDENCE_MS = 3_600_000;
/** A node that has dialled this many peers outside, and was dialled by none for this long (ms), is taken for private. */
export const OUTBOUND_EVIDENCE_PEERS = 3;
export const UNREACHED_AFTER_MS = 120_000;
/** How long a place at a relay lasts before it is renewed, in ms. */
export const RESERVATION_TTL_MS = 3_600_000;
/** Streams of one connection on which places and connections are asked for, at a time. */
export const MAX_HOP_STREAMS = 8;
/** Relayed connections to one peer that has a place here, and through relays to this node, at a time. */
export const MAX_STOP_STREAMS = 32;
/** Dial-backs asked of this node over one connection at a time. */
export const MAX_DIAL_BACKS = 2;
