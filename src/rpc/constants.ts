/** Longest line either side accepts, bytes: an inline input of a few MiB as base64, with room (design section 12). */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;
/** Longest line that a client accepts from its own daemon, bytes: a full `job.list`. */
export const MAX_CLIENT_LINE_BYTES = 64 * 1024 * 1024;
/** Requests in one batch: as many as jobs under one batch signature (domain/signed.ts). */
export const MAX_BATCH_REQUESTS = 4096;
/** Jobs in one `job.submitMany`. */
export const MAX_SUBMIT_MANY = 4096;
/** Most jobs in one answer of `batch.jobs`. */
export const MAX_BATCH_PAGE = 1_000;
/** Largest limit of `job.list`. */
export const MAX_LIST_LIMIT = 10_000;
/** Connections open at once; a person's shells, a dashboard and a few scripts are far below. */
export const MAX_CONNECTIONS = 64;
/** Requests that one connection may have unanswered. */
export const MAX_IN_FLIGHT = 8192;
/** Subscriptions that one connection may have open. */
export const MAX_SUBSCRIPTIONS = 256;
/** Requests a second of one connection, after a burst: far above any person or script, well below what fills a core. */
export const RATE_PER_SECOND = 25_000;
export const RATE_BURST = 50_000;
/** Bytes that may wait for a connection's reader beyond one whole answer, before it is dropped; and of the answer to a batch. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
/** Time, ms, for which calls that came together are answered before others have a turn of the event loop. */
export const WORK_SLICE_MS = 10;
/** How long a subscription waits, ms, for its reader to take what was sent, before the connection is dropped. */
export const SLOW_READER_TIMEOUT_MS = 30_000;
/** How long answers under way may take, ms, to leave when the server stops. */
export const CLOSE_GRACE_MS = 1_000;
/** How long to wait, ms, for a socket found in place to accept before it counts as live but stuck. */
export const PROBE_TIMEOUT_MS = 1_000;
/** Longest path of a Unix socket, bytes: `sun_path` is 108 with its terminator on Linux, 104 on others. */
export const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
/** Events that a client keeps for a consumer that lags behind. */
export const MAX_BUFFERED_EVENTS = 65_536;
/** Shortest time, ms, between two events of `peers.subscribe`, and the sampling interval of `jobs.subscribe`. */
export const CHANGE_INTERVAL_MS = 250;
/** Piece in which an output blob is copied to a file, bytes. */
export const COPY_CHUNK_BYTES = 1024 * 1024;
