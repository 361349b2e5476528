/** Chunks of one blob asked for at a time: 4 × 512 KiB in flight cover 2 MiB of bandwidth-delay product. */
export const BLOB_CHUNKS_IN_FLIGHT = 4;

/** Clock skew tolerated between peers, ms (design section 12). */
export const CLOCK_SKEW_MS = 30_000;

/** Blobs up to this many bytes ride with the lease instead of being fetched. */
export const INLINE_BLOB_BYTES = 64 * 1024;
/** Blob bytes that ride with one lease request at most: a frame is at most 1 MiB (design section 12). */
export const INLINE_REQUEST_BYTES = 384 * 1024;
/** Bytes of small blobs kept in memory for inlining. */
export const INLINE_CACHE_BYTES = 8 * 1024 * 1024;

/** Log and metric bytes stored for one job; what comes after is dropped and counted. */
export const JOB_LOG_BYTES = 8 * 1024 * 1024;
/** Log and metric entries stored for one job. */
export const JOB_LOG_ENTRIES = 50_000;
/** Log events buffered for one slow follower of a job before they are dropped. */
export const FOLLOWER_BUFFER_EVENTS = 10_000;

/** First and longest wait before a provider that refused or did not answer is asked again, ms. */
export const SEEK_BACKOFF_MS = { first: 100, longest: 5_000 } as const;
/** Wait before a provider is asked again whose refusal will not pass by itself, ms. */
export const SETTLED_REFUSAL_BACKOFF_MS = 15_000;
/** An unanswered offer request no longer holds up asking the next provider after this long, ms. */
export const OFFER_HEDGE_MS = 250;
/** An offer that has to wait in its provider's queue is kept this long while others may start at once, ms. */
export const QUEUED_OFFER_PATIENCE_MS = 250;
/** Providers whose answers are kept for one job's explanation. */
export const ASKED_LIMIT = 256;

/** First and longest wait before a dropped attempt stream is attached again, ms. */
export const REATTACH_BACKOFF_MS = { first: 50, longest: 2_000 } as const;

/**
 * Phases and progress of one attempt: at once as many as an honest provider keeps for a requester that comes back
 * (provider/constants.ts), and in one renewal interval four times what it signs. Each is verified and written.
 */
export const STEP_BURST = 4_096;
export const STEPS_PER_RENEWAL = 16;
/** A confidential attempt's provider that cannot be reached is asked for its evidence this long, ms: it waits 60 s. */
export const ATTEST_PATIENCE_MS = 45_000;
/** Longest wait for a provider's countersignature, ms. */
export const ACCEPT_TIMEOUT_MS = 10_000;
/** Beyond its wall-time limit, an attempt that still renews its lease is given this long, ms, plus two leases. */
export const OVERDUE_GRACE_MS = 60_000;

/** A provider is told to stop, and its answer waited for, this long, ms. */
export const CANCEL_TIMEOUT_MS = 2_000;
/** Leases told `close` in one request at most, and how long they are gathered, ms. */
export const CLOSE_GATHER = { leases: 512, delayMs: 50 } as const;

/** How often a job past its deadline looks whether its last step has ended, ms. */
export const DEADLINE_RECHECK_MS = 250;
/** How often one past its deadline looks whether what was kept for it has been collected, ms. */
export const COLLECT_RECHECK_MS = 1_000;
/** A deadline that is far off is looked at again after this, ms. */
export const DEADLINE_LOOK_MS = 60_000;
/** Beyond its deadline what was kept for a job is sought this long at most after the node is back, ms. */
export const COLLECT_PATIENCE_MS = 24 * 3_600_000;
/**
 * Attempts of one job that a provider has at once: one that offers and never delivers cannot use up the job's. After them it
 * rests for so long after each further one, twice as long each time, ms: where there are few providers, all of them may have
 * had one bad minute.
 */
export const ATTEMPTS_PER_PROVIDER = 3;
export const PROVIDER_REST_MS = { first: 60_000, longest: 3_600_000 } as const;
/** Attempts of one replica at most, those not counted that ended in a pause. */
export const MAX_ATTEMPTS_PER_REPLICA = 64;

/** Newest snapshots of a replica that are kept: one to go on from, one in case it does not do. */
export const SNAPSHOTS_HELD_PER_REPLICA = 2;
/** Checkpoints of an attempt that come again, after its provider went down, and are compared at most. */
export const REPEATED_CHECKPOINTS = 4 * 65_536;
/** Checkpoints of one attempt that are listed and replayed to followers; the oldest are left out. */
export const CHECKPOINTS_LISTED = 1_024;
/** Checkpoints of one job that are listed at most: those of its newest attempts. */
export const JOB_CHECKPOINTS_LISTED = 16_384;
/** Attempts of one job that its view shows; of those that gave nothing the oldest are left out. */
export const ATTEMPTS_VIEWED = 256;
/** A provider that was told to pause is told again after this long, ms: it may have gone down meanwhile. */
export const PAUSE_REPEAT_MS = { unconfirmed: 1_000, confirmed: 10_000 } as const;
/**
 * A replica that is to go on waits this long since anything of its last attempt's snapshot arrived, and no longer in all,
 * ms: 4 GiB at 7 MiB a second.
 */
export const SNAPSHOT_PATIENCE_MS = { paused: 60_000, failed: 5_000, longest: 600_000 } as const;
/** First and longest wait before a snapshot that did not arrive is fetched again, ms. */
export const SNAPSHOT_BACKOFF_MS = { first: 500, longest: 10_000 } as const;
/** Longest wait for the checkpoint chain of a result, ms. */
export const CHAIN_TIMEOUT_MS = 60_000;

/** Providers whose standing with this node is remembered for ranking; the longest unused is forgotten. */
export const PROVIDERS_REMEMBERED = 4_096;
/** Which blobs which provider has received, as pairs remembered. */
export const SENT_BLOBS_REMEMBERED = 16_384;

/** How often a batch looks for members whose lease or deadline has passed, ms. */
export const BATCH_PATROL_MS = 250;
/** Jobs whose progress could not be written are taken up again after this long, ms. */
export const HALTED_RETRY_MS = 30_000;
/** A window of a batch that finds no provider holds up the next ones for this long, ms. */
export const BATCH_PATIENCE_MS = 2_000;
/** Groups of receipts of one batch that are written at a time. */
export const BATCH_GROUPS_IN_FLIGHT = 4;
/** Signed bytes of one batch's jobs and leases at most: a frame is at most 1 MiB (design section 12). */
export const BATCH_WINDOW_BYTES = 640 * 1024;
/** Blob bytes that ride with a batch's leases at most. */
export const INLINE_BATCH_BYTES = 256 * 1024;

/** How often a batch that is followed is looked at, ms. */
export const BATCH_FOLLOW_MS = 250;

/** Ended jobs whose receipts are handed to anchoring at a time. */
export const OUTBOX_BATCH = 500;
/** After anchoring could not take receipts they are offered again, ms. */
export const OUTBOX_RETRY_MS = 10_000;

/** Between two batches of observations, ms: as often as receipts are anchored. */
export const OBSERVATION_FLUSH_MS = 5 * 60_000;

/** An attempt may be rated for this long after its end, ms: a day less than its epoch is kept open (docs/reputation.md). */
export const RATING_WINDOW_MS = 6 * 24 * 3_600_000;
