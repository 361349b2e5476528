/** configfs-tsm (Linux, Documentation/ABI/testing/configfs-tsm-report), from Linux 6.7 on. */
export const CONFIGFS_TSM_ROOT = '/sys/kernel/config/tsm/report';
/** Gramine's pseudo-files (Gramine documentation, "Attestation and Secret Provisioning"). */
export const GRAMINE_ROOT = '/dev/attestation';

/** A report or quote; Linux gives at most 32 KiB (TSM_REPORT_OUTBLOB_MAX), and the domain takes no more. */
export const MAX_REPORT_BYTES = 32 * 1024;
/** Of what comes along: three or four certificates of 1 to 2 KiB, in pages. */
export const MAX_AUXILIARY_BYTES = 64 * 1024;
/** Of a pseudo-file with one word or number. */
export const MAX_WORD_BYTES = 256;

export const REPORT_DATA_BYTES = 64;

/** ms. The requester waits 30 s for the answer to its challenge. */
export const PRODUCE_TIMEOUT_MS = 25_000;
/** Orders that wait for their turn at the hardware; more are refused. */
export const MAX_WAITING = 16;

/** ms, for one document of a vendor. */
export const FETCH_TIMEOUT_MS = 10_000;
/** ms. What could not be fetched is not asked for again at once: an address that hangs would hold up each attempt. */
export const RETRY_AFTER_MS = 60_000;
/** ms. Vendors issue TCB levels and revocation lists for a month; a recovery in between should not stay unknown. */
export const REFRESH_AFTER_MS = 24 * 60 * 60 * 1_000;
/** Documents that are kept. A machine needs ten; after many updates the oldest ones go. */
export const MAX_KEPT_DOCUMENTS = 64;
/** Largest document of a vendor: a PCK revocation list has 4 KiB, TCB info 10 KiB, a manifest 40 KiB in base64. */
export const MAX_DOCUMENT_BYTES = 512 * 1024;

/** Of what the vendor's command prints: eight GPUs make 100 KiB. */
export const MAX_COLLECTED_BYTES = 512 * 1024;
/** ms. */
export const COLLECT_TIMEOUT_MS = 20_000;
