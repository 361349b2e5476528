/** Plaintext in one chunk of a sealed input or output. Also what is in memory of a file that is sealed. */
export const CHUNK_BYTES = 65_536;
/** AES-GCM (NIST SP 800-38D): tag and nonce. */
export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
/** Of the content key, of every key derived from it, and of a salt. */
export const KEY_BYTES = 32;
/** Before the chunks of a sealed output: HMAC-SHA-256 of its path and digest. */
export const SYNTHETIC_BYTES = 32;
/** Of a sealed event (domain/messages.ts). */
export const MAX_SEALED_EVENT_BYTES = 72 * 1024;
