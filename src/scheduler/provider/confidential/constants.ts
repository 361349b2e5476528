/** Longest wait for the release, from the acceptance of the lease on, ms. The keys that are shown are good for as long. */
export const RELEASE_TIMEOUT_MS = 60_000;
/** Challenges for which evidence is being made at a time. Of one peer the protocol lets fewer through. */
export const MAX_CHALLENGES_IN_FLIGHT = 64;
/** Evidence that is held for leases whose attempt has not ended; it is shown again to who asks again. */
export const MAX_HELD_EVIDENCE_BYTES = 32 * 1024 * 1024;
/** When a challenge that found too many others is worth repeating, ms. */
export const CHALLENGE_RETRY_MS = 1_000;
/** Characters of one sealed log line: each takes up to 3 bytes, and what is sealed up to 72 KiB (domain/messages.ts). */
export const MAX_SEALED_LOG_CHARS = 21_840;
