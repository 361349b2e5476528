/** Offers that one peer may hold unanswered; more of them would be more memory. */
export const MAX_LIVE_OFFERS_PER_PEER = 64;
/** Attempts of one peer that may be live at once: two full batches (domain/messages.ts: 4096 leases a request). */
export const MAX_LIVE_ATTEMPTS_PER_PEER = 8_192;
/** Offers that one peer may leave untaken in a row; after that it waits, ms, twice as long after each further one. */
export const FREE_LAPSED_OFFERS = 3;
export const LAPSE_PAUSE_MS = { first: 1_000, longest: 60_000 } as const;
/** Offer requests of one peer in a burst, and a second in the long run. */
export const OFFER_BURST = 400;
export const OFFERS_PER_SECOND = 200;
/** Peers whose rates are remembered; the longest silent one is forgotten. */
export const MAX_RATED_PEERS = 1_024;

/** A job that has less time than this is refused, ms. */
export const MIN_RUN_MS = 50;
/** An attempt that is taken up again may run this long at least, ms: it may have been near its end. */
export const MIN_WALL_TIME_LEFT_MS = 1_000;
/** A job that crashed its executor this often is quarantined (design section 6). */
export const POISON_LIMIT = 3;
/**
 * Deaths of the daemon in a row that are forgiven to an attempt which made a checkpoint before each of them: somebody may
 * pull a plug that often. Further ones are crashes.
 */
export const FORGIVEN_DEATHS = 8;
/** An attempt that ran this long since the death before begins to count anew, ms: a job that harms does so sooner. */
export const SUBSTANTIAL_RUN_MS = 10 * 60_000;
/** Jobs whose crashes are remembered; the oldest is forgotten. */
export const MAX_POISON_JOBS = 10_000;

/** Events of one attempt kept for `attach`, and their bytes; logs and metrics are dropped oldest first. */
export const MAX_BUFFERED_EVENTS = 4_096;
export const MAX_BUFFERED_BYTES = 1024 * 1024;
/**
 * Answers that follow one live attempt. Each holds the request that opened it, up to 1 MiB; a requester that comes back
 * needs one, and the one that it has given up may not be known to be dead yet.
 */
export const MAX_FOLLOWERS_PER_ATTEMPT = 4;
/**
 * Event logs of ended attempts kept in memory for `attach`, and their bytes as on the wire: in memory it is about twice as
 * much. Of older ones what the journal has is told: checkpoints, the last progress, the end.
 */
export const MAX_ENDED_LOGS = 256;
export const MAX_ENDED_LOG_BYTES = 16 * 1024 * 1024;
/** Fixed cost of an event in the bounds above: lease link, sequence, time and map keys on the wire. */
export const EVENT_OVERHEAD_BYTES = 128;
/** Bytes of events or receipts in one frame: a frame is at most 1 MiB (design section 12). */
export const FRAME_BUDGET_BYTES = 384 * 1024;
/** Events in one frame (domain/messages.ts). */
export const MAX_FRAME_EVENTS = 1_024;
/** What has ended and waits in answers that are not read, all of them together. */
export const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
/** What an ended attempt takes beside its events, where it waits in such an answer: its job, its lease. */
export const UNREAD_ATTEMPT_BYTES = 8 * 1024;
/** Logs and metrics wait this long for more of them, ms: 20 frames a second. */
export const FRAME_INTERVAL_MS = 50;
/** Waiting bytes that are sent without that wait. */
export const FRAME_EAGER_BYTES = 64 * 1024;

/** Receipts of a batch that share one signature and one write. */
export const RECEIPT_BATCH = 128;
/** How long receipts of a batch wait for others, ms. */
export const RECEIPT_GATHER_MS = 40;
/** Receipts that may wait for their write before the batch's next job starts. */
export const MAX_WAITING_RECEIPTS = 1_024;

/** Outputs of one attempt up to this many bytes ride with the receipt and are journalled with it; larger ones are blobs. */
export const INLINE_OUTPUT_BYTES = 64 * 1024;
/** A `detail` of an outcome or a refusal (domain/receipt.ts, domain/refusal.ts). */
export const MAX_DETAIL_CHARS = 300;
/** Bounds of `log` and `metric` events (domain/messages.ts). */
export const MAX_LOG_CHARS = 65_536;
export const MAX_METRIC_NAME_CHARS = 128;
export const MAX_METRIC_VALUE_CHARS = 32;

/** Blobs known to have come from a requester, so that a job may read them again without another transfer. */
export const MAX_SUPPLIED_BLOBS = 4_096;
/** Attempts whose results are kept for their requester; the oldest is dropped. */
export const MAX_KEPT_RESULTS = 100_000;
/** How often kept results are looked through, ms. */
export const SWEEP_INTERVAL_MS = 30_000;
/** The pulse that renews leases and ends expired attempts: renewal interval over this, within these bounds in ms. */
export const PULSES_PER_RENEWAL = 4;
export const PULSE_BOUNDS_MS = { shortest: 25, longest: 1_000 } as const;
/** How long `stop` waits for running attempts to end, ms. */
export const STOP_TIMEOUT_MS = 5_000;
/** A receipt without its list of outputs: ids, keys, a few sandbox controls; the budget of a frame leaves room for more. */
export const RECEIPT_OVERHEAD_BYTES = 2_048;
/** A running attempt signs progress at least this often, ms, so that whoever watches sees it move (economics: 5 s). */
export const MAX_PROGRESS_INTERVAL_MS = 5_000;
/** Bytes of small inputs kept in memory: requesters do not send again what came inline once. */
export const RECENT_INPUT_BYTES = 32 * 1024 * 1024;

/** Checkpoint events of one attempt kept in memory; older ones are read from the journal for who asks for them. */
export const MAX_BUFFERED_CHECKPOINTS = 64;
/** A checkpoint's event number is fixed before it is journalled; this many other events may come in between. */
export const RESERVED_SEQUENCES = 64;
/** What an event that is read from the journal counts for in a frame. */
export const RECALLED_EVENT_BYTES = 1_024;
/** Largest chain that rides with its receipt: some 800 links. A larger one is a blob. */
export const INLINE_CHAIN_BYTES = 64 * 1024;

/** A holder is told of a snapshot again after this long, ms, doubled each time. */
export const HOLD_BACKOFF_MS = { first: 500, longest: 60_000 } as const;
/** How long the end of a paused attempt waits for the holder to have its last snapshot, ms, and no longer than its lease lets it. */
export const HOLD_PATIENCE_MS = 10_000;
/** Leases with a holder to be told; those of further ones are announced with their next snapshot. */
export const MAX_HOLD_NOTICES = 4_096;
/** How long a holder may take to fetch one snapshot, ms: 4 GiB at 7 MiB a second. */
export const HOLD_TIMEOUT_MS = 600_000;
/** Snapshots fetched for others at a time, in all and for one requester. */
export const MAX_HOLD_FETCHES = 4;
export const MAX_HOLD_FETCHES_PER_REQUESTER = 2;
/** Snapshots of one lease that a holder keeps. */
export const HELD_PER_LEASE = 2;
/** A holder keeps snapshots no longer than this, ms, whatever the deadline of a lease says. */
export const MAX_HELD_MS = 31 * 24 * 3_600_000;
/** Leases that a holder keeps snapshots of. */
export const MAX_HELD_LEASES = 10_000;
/** A provider that claimed a snapshot may read it this long, ms. */
export const CLAIM_GRANT_MS = 1_800_000;
/** Claims that are open at a time; the oldest ends. */
export const MAX_CLAIMS = 1_024;
/** Wait for a holder's answer to a claim, ms. */
export const CLAIM_TIMEOUT_MS = 10_000;

/** Offers that are kept apart from others in the queue: a batch is one, a job that came alone is one. */
export const MAX_QUEUED_RUNS = 1_024;
/** Requesters without waiting work whose use of slots is remembered. */
export const MAX_REMEMBERED_USE = 4_096;
/** In all, the queue holds the work of so many requesters that each fill their own share. */
export const FULL_REQUESTERS = 8;
/** Untaken offers that held a place in the queue and no slot weigh so much beside those that held one. */
export const QUEUED_LAPSE_WEIGHT = 1 / 8;
/** How long an attempt holds its slot, ms, where none has been measured yet. */
export const SERVICE_GUESS_MS = 1_000;
/** Weight of the newest measured time in the moving average. */
export const SERVICE_TIME_SHARE = 0.2;
/** Averages kept; the longest unused is dropped. */
export const MAX_SERVICE_TIMES = 4_096;
/** An attempt that waits this many times as long as its offer said, and a bit, is given up: others may be quicker. */
export const LATE_START = { factor: 4, graceMs: 5_000 } as const;
/** Longest wait in the queue whatever an offer said, ms, plus one lease: its requester takes it for overdue soon after. */
export const MAX_QUEUED_MS = 60_000;
/** Memory of the program that runs an attempt, beside what the attempt may take: a fresh child has 60 MiB. */
export const ATTEMPT_OVERHEAD_BYTES = 64 * 1024 * 1024;
/** GPUs are looked at anew for a request for some if the last look is older, ms. */
export const GPU_MAX_AGE_MS = 2_000;
/** GPUs that are taken are worth asking for again after this long, ms: jobs on them are seldom short. */
export const GPU_RETRY_MS = 30_000;
/** How often, and how long apart, ms, GPUs that were promised are looked at before an attempt is given up. */
export const GPU_LOOKS = 4;
export const GPU_SETTLE_MS = 1_000;
/** A requester is told how busy the GPUs of its attempt are no more often than this, ms. */
export const GPU_SAMPLE_MS = 5_000;
/** How often the host is measured while there is work or who asks for it, ms. */
export const HOST_MEASURE_MS = 1_000;
/** When something that did not fit has waited this long for memory or disk, nothing else starts until it fits, ms. */
export const BLOCKED_PATIENCE_MS = 10_000;
/** Bounds of what a refused requester is told to wait, ms (domain/refusal.ts: at most an hour). */
export const RETRY_AFTER_MS = { shortest: 100, longest: 60_000 } as const;
/** An overloaded daemon is worth asking again after this long, ms. */
export const OVERLOAD_RETRY_MS = 2_000;
