/**
 * An announcement is answered after a random time, so that those who hear it do not all answer at once, ms. The time is
 * up to `base`, more where many take such jobs, and up to `perLoad` longer on a node whose slots are all in use: of many
 * that fit, the idle come first.
 */
export const ANSWER_DELAY_MS = { base: 50, perProvider: 2, mostForProviders: 2_000, perLoad: 1_000 } as const;
/** Announcements that wait for their time; further ones are passed over. */
export const MAX_WAITING_ANNOUNCEMENTS = 256;
/** Of these, strangers' together: the rest is for those who took what they were given. */
export const STRANGERS_WAITING_SHARE = 0.5;
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
 * How long offers to strangers may hold capacity for nothing, all of them together: so long at once, this share of the time
 * in the long run. After that strangers are passed over until it is made up for, but no longer than the pause.
 */
export const STRANGER_WASTE = { atOnceMs: 20_000, share: 1 / 13, longestPauseMs: 60_000 } as const;
/** An offer to somebody that cannot be reached counts for so much at least, ms: it costs a dial. */
export const UNREACHABLE_WASTE_MS = 5_000;
/** A familiar requester that has wasted so much since it last took an offer is a stranger again, ms. */
export const FAMILIAR_WASTE_MS = 5_000;
/** Requesters known to take what they are given; the longest unseen is forgotten. */
export const MAX_FAMILIAR_REQUESTERS = 1_024;
