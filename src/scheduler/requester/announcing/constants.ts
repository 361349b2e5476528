/** Offers of known peers are waited for this long before a job is announced, ms; not where nobody is left to ask. */
export const ANNOUNCE_AFTER_MS = 300;
/** First and longest wait before a job that still lacks offers is announced again, ms. */
export const ANNOUNCE_BACKOFF_MS = { first: 1_000, longest: 30_000 } as const;
/** An announcement lives until after the next one, within these bounds, ms (domain/announcement.ts: at most 60 s). */
export const ANNOUNCEMENT_LIFE_MS = { shortest: 10_000, longest: 60_000 } as const;
/** Announcements of one node: half of what others let pass (network/gossip/topics.ts), since clocks and paths differ. */
export const ANNOUNCE_PACE = { perSecond: 1, burst: 16 } as const;
/** Given offers kept beyond what is wanted, while any is. */
export const GIVEN_SPARES = 1;
/** Most that one announcement may say are wanted (domain/announcement.ts). */
export const MAX_WANTED = 64;
