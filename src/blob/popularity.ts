/**
 * How much a blob is worth keeping, after LRFU (Lee et al., "LRFU: a spectrum of policies that subsumes the least
 * recently used and least frequently used policies", IEEE Transactions on Computers 50, 2001): the sum over its uses of
 * 2^(t / half-life). Kept as a logarithm, it orders blobs the same whenever it is looked at, so nothing has to age.
 */

/** A use counts half as much after this long, in ms: a blob used 8 times is kept as long as one used once, 3 days later. */
export const USE_HALF_LIFE_MS = 24 * 3_600_000;
/** Uses within this long after the first are one, in ms: a blob is read in many parts by whoever fetches it. */
export const USE_EPISODE_MS = 10 * 60_000;

export interface UseRecord {
  readonly lastUseMs: number;
  /** When the newest run of uses that count as one began. */
  readonly episodeMs: number;
  /** The logarithm over what was before that; null if nothing was. */
  readonly heat: number | null;
}

export function startUse(nowMs: number): UseRecord {
  return { lastUseMs: nowMs, episodeMs: nowMs, heat: null };
}

/** The lowest goes first. */
export function computeRank({ lastUseMs, heat }: UseRecord): number {
  const last = lastUseMs / USE_HALF_LIFE_MS;
  if (heat === null) return last;
  const [more, less] = last > heat ? [last, heat] : [heat, last];
  return more + Math.log2(1 + 2 ** (less - more));
}

export function countUse(record: UseRecord, nowMs: number): UseRecord {
  const lastUseMs = Math.max(nowMs, record.lastUseMs);
  if (nowMs - record.episodeMs < USE_EPISODE_MS) return { ...record, lastUseMs };
  return { lastUseMs, episodeMs: nowMs, heat: computeRank(record) };
}
