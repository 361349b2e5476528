/**
 * An announcement is answered after a random time, so that those who hear it do not all answer at once, ms. The time is
 * up to `base`, more where many take such jobs, and up to `perLoad` longer on a node whose slots are all in use: of many
 * that fit, the idle come first.
 */
export const ANSWER_DELAY_MS = { base: 50, perProvider: 2, mostForProviders: 2_000, perLoad: 1_000 } as const;
/** Announcements that wait for their time; further ones are passed over. */
export const MAX_WAITING_ANNOUNCEMENTS = 256;
/** Offers that were given and neither taken nor let go of: in all, and to one requester. */
export const MAX_OPEN_GIVES = 32;
export const MAX_OPEN_GIVES_PER_REQUESTER = 8;
/** To a requester that never took one, no further offer is given while one is open. */
export const MAX_OPEN_GIVES_TO_STRANGER = 1;
/** Share of the slots that given offers may hold, but at least one slot: the rest stays for those who ask. */
export const GIVEN_SLOT_SHARE = 0.5;
/** Offers given a second in the long run, and at once. */
export const GIVES_RATE = { perSecond: 16, burst: 64 } as const;
/** Longest wait for a requester's answer to a given offer, its dialling included, ms. */
export const GIVE_TIMEOUT_MS = 3_000;
/**
 * Offers to strangers that may come to nothing, one after the other, whoever they were given to; after that strangers
 * are passed over, ms, twice as long after each further one.
 */
export const FREE_WASTED_GIVES = 4;
export const STRANGER_PAUSE_MS = { first: 2_000, longest: 60_000 } as const;
/** Requesters known to take what they are given; the longest unseen is forgotten. */
export const MAX_FAMILIAR_REQUESTERS = 1_024;
