/** Longest wait for one answer of an endpoint, in ms. Public endpoints answer within 2 s; history searches take longer. */
export const ENDPOINT_TIMEOUT_MS = 10_000;

/** Longest that a call of several requests (a search, a page after page) takes at one endpoint, in such deadlines. */
export const CALL_TIMEOUT_FACTOR = 6;

/** How often the endpoints are gone through before a call fails, and the pause between (doubled each time), in ms. */
export const ENDPOINT_ROUNDS = 3;
export const ROUND_BACKOFF_MS = 250;

/** Pause of an endpoint after its first failure, doubled with each further one up to the longest, in ms. */
export const ENDPOINT_BACKOFF_MS = 500;
export const ENDPOINT_BACKOFF_MAX_MS = 20_000;

/** Longest `Retry-After` that is obeyed, in ms: an endpoint must not switch itself off for a day. */
export const RETRY_AFTER_MAX_MS = 120_000;

/** An endpoint this many slots behind another one (about a minute) is asked after it. */
export const MAX_SLOT_LAG = 150;

/** An endpoint is slow, and asked after the others, above this latency in ms and this many times the quickest one's. */
export const SLOW_LATENCY_MS = 1_000;
export const SLOW_FACTOR = 4;

/** An endpoint that was not heard for so long is probed beside the next call, in ms, if there are others. */
export const PROBE_AFTER_MS = 30_000;

/** How long a genesis hash that was checked is believed, in ms; any failure of the connection ends that at once. */
export const GENESIS_RECHECK_MS = 600_000;

/** Endpoints that must agree on what matters, where so many are configured. */
export const CORROBORATION = 2;

/** Largest answers taken, in bytes. An account has up to 10 MiB (base64: 14 MB); a page of signatures about 300 KB. */
export const MAX_RESPONSE_BYTES = 1024 * 1024;
export const MAX_ACCOUNT_RESPONSE_BYTES = 16 * 1024 * 1024;
export const MAX_TRANSACTION_RESPONSE_BYTES = 4 * 1024 * 1024;

/** Largest WebSocket message taken, in bytes: logs of one transaction are cut at 10 KB by default. */
export const MAX_NOTIFICATION_BYTES = 1024 * 1024;

/** Most signatures that one getSignatureStatuses takes, and most entries of getSignaturesForAddress (Solana's RPC). */
export const MAX_STATUSES = 256;
export const SIGNATURE_PAGE = 1_000;

/** Blocks for which a block hash can be used (MAX_PROCESSING_AGE of the Solana runtime). */
export const BLOCK_HASH_LIFETIME = 150;

/** Largest transaction, in bytes: one IPv6 packet less its headers (PACKET_DATA_SIZE). */
export const MAX_TRANSACTION_BYTES = 1_232;

/** Most compute units of one transaction (MAX_COMPUTE_UNIT_LIMIT of the Solana runtime). */
export const MAX_COMPUTE_UNITS = 1_400_000;

/** Pages of history that one sweep of `follow` walks (100,000 transactions), and the oldest ones of it that it keeps. */
export const MAX_SWEEP_PAGES = 100;
export const MAX_SWEEP_KEPT = 5_000;

/** Signatures of one slot that a cursor remembers. A block holds some thousands of transactions. */
export const MAX_CURSOR_SIGNATURES = 10_000;

/** Slots that one getBlocks is asked for while a block is searched (Solana's RPC allows 500,000). */
export const BLOCK_SEARCH_SPAN = 256;
/** Steps of a block search before the endpoint is given up: bisecting 2^40 slots takes 40. */
export const MAX_BLOCK_SEARCH_STEPS = 96;
/** Length of a slot as Solana aims for it, in ms: only a first guess. */
export const SLOT_MS = 400;

/** Deadline of an external signer, in ms: a hardware key waits for a finger. And the most that it may print, in bytes. */
export const SIGNER_TIMEOUT_MS = 60_000;
export const SIGNER_MAX_OUTPUT_BYTES = 4_096;

/** Largest keypair file read, in bytes: 64 numbers of 3 digits take less than 400. */
export const MAX_KEYPAIR_FILE_BYTES = 4_096;

/** How often a subscription is pinged, in ms; one that did not answer by the next is opened anew. */
export const SUBSCRIPTION_PING_MS = 20_000;

/** Transactions that a follower is given before it handled the first of them. */
export const MAX_UNHANDLED = 1_000;

/** Most lamports asked of a faucet: what a JSON number carries exactly. */
export const MAX_AIRDROP_LAMPORTS = 9_007_199_254_740_991n;

/** How often a transaction that an endpoint lists is asked for before that is an error; the pause doubles. */
export const MISSING_TRANSACTION_TRIES = 4;

/** Longest key and purpose of an intent, in characters. */
export const MAX_KEY_LENGTH = 200;
/** Most instructions of an intent: a packet has room for fewer. */
export const MAX_INSTRUCTIONS = 64;
/** Attempts of one intent that are kept; older ones have provably expired. */
export const MAX_KEPT_ATTEMPTS = 16;

/** Heights of two endpoints that differ by more are a contradiction: at 0.4 s a block these are 7 minutes. */
export const MAX_HEIGHT_SPREAD = 1_000;

/** Slots after which an endpoint that has final blocks up to there must know a transaction that another calls final. */
export const FINALITY_MARGIN_SLOTS = 64;

/** How often the fee and compute units of a final transaction are asked for before it is ended without them. */
export const FACT_TRIES = 10;

/** Transactions that are prepared (simulated and signed) at once. */
export const MAX_PREPARING = 4;

/** Percentile of recent priority fees that the first attempt pays, and what each one that expired adds. */
export const FEE_PERCENTILE = 50;
export const FEE_PERCENTILE_STEP = 20;
export const MAX_FEE_PERCENTILE = 95;
/** Most accounts that getRecentPrioritizationFees takes. */
export const MAX_FEE_ACCOUNTS = 128;

/** Lamports for each signature of a transaction, where no endpoint tells (FeeStructure of the Solana runtime). */
export const SIGNATURE_FEE_LAMPORTS = 5_000n;

/** How often terminal records are looked through for old ones, in ms. */
export const PRUNE_INTERVAL_MS = 3_600_000;

/** Transactions of a history that are fetched at once: each waits for a round trip. */
export const FETCH_AHEAD = 8;
