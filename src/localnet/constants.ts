/** Bytes of a transaction on the wire: an IPv6 packet of 1,280 less headers (Solana `PACKET_DATA_SIZE`). */
export const MAX_TRANSACTION_BYTES = 1232;

/** A transaction is valid this many blocks after the one whose hash it names (Solana `MAX_PROCESSING_AGE`). */
export const MAX_BLOCKHASH_AGE = 150;

/** Statuses that getSignatureStatuses knows without searching the history, in slots (Solana `MAX_RECENT_BLOCKHASHES`). */
export const STATUS_CACHE_SLOTS = 300;

/** Entries of the sysvars RecentBlockhashes and SlotHashes. */
export const RECENT_BLOCKHASHES_ENTRIES = 150;
export const SLOT_HASHES_ENTRIES = 512;

/** Slots of an epoch, from the first one on: no warm-up (as on mainnet). */
export const SLOTS_PER_EPOCH = 432_000;

/** Fee of a signature in lamports (Solana `DEFAULT_TARGET_LAMPORTS_PER_SIGNATURE` / 2). */
export const LAMPORTS_PER_SIGNATURE = 5_000n;

/** Most compute units of a transaction, and what an instruction gets that asks for nothing (SIMD-0170). */
export const MAX_COMPUTE_UNITS = 1_400_000;
export const DEFAULT_INSTRUCTION_COMPUTE_UNITS = 200_000;
export const BUILTIN_INSTRUCTION_COMPUTE_UNITS = 3_000;

/** What the faucet of a new chain holds: 500,000,000 SOL, as solana-test-validator's. */
export const FAUCET_LAMPORTS = 500_000_000n * 1_000_000_000n;
/** What the identity that makes the blocks holds: 500 SOL, as solana-test-validator's. */
export const IDENTITY_LAMPORTS = 500n * 1_000_000_000n;
/** One airdrop: 100,000 SOL. It keeps the faucet from being emptied by one mistyped number. */
export const MAX_AIRDROP_LAMPORTS = 100_000n * 1_000_000_000n;

/** Body of a request: a Solana node takes 50 KiB; batches of transactions of a test suite need more. */
export const MAX_BODY_BYTES = 512 * 1024;
/** Calls of one JSON-RPC batch. */
export const MAX_BATCH = 1_000;
/** Characters of the answer to a batch after which the calls that are left are refused. */
export const MAX_BATCH_ANSWER = 16 * 1024 * 1024;
/** Bytes of accounts in one answer: in base64 a third more, and a string of V8 has 512 Mi characters at most. */
export const MAX_ANSWERED_ACCOUNT_BYTES = 64 * 1024 * 1024;
/** Connections of each port. */
export const MAX_CONNECTIONS = 512;
/** Time a client may take to send a request, in ms. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** An idle connection is kept for as long, in ms: @solana/web3.js reuses one for 19 s, counting on 20 s of a node. */
export const KEEP_ALIVE_MS = 30_000;
/** At the end: how long requests may still take, and how often it is looked whether they are answered, in ms. */
export const CLOSE_TIMEOUT_MS = 1_000;
export const CLOSE_INTERVAL_MS = 10;
/** A WebSocket that has not answered a ping for this long is closed, in ms. */
export const PING_INTERVAL_MS = 30_000;
/** Bytes that wait for a slow WebSocket client before it is closed. */
export const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
export const MAX_SUBSCRIPTIONS_PER_SOCKET = 2_000;
export const MAX_SUBSCRIPTIONS = 20_000;

/** Limits of a Solana node on lists in parameters. */
export const MAX_MULTIPLE_ACCOUNTS = 100;
export const MAX_SIGNATURE_STATUSES = 256;
export const MAX_SIGNATURES_FOR_ADDRESS = 1_000;
export const MAX_BLOCKS_RANGE = 500_000;
export const MAX_PROGRAM_FILTERS = 4;
export const MAX_MEMCMP_BYTES = 128;

/** Base58 of more bytes takes too long: a Solana node refuses it too. */
export const MAX_BASE58_ACCOUNT_BYTES = 128;

/** Ports tried for a free pair (HTTP at n, WebSocket at n + 1) when none is asked for. */
export const PORT_PAIR_ATTEMPTS = 50;

/** Meaning of what is stored. */
export const STORE_VERSION = 1;
