import type { LimitOverrides } from '../src/network/reqresp/protocols.ts';

/** Payload of a round trip, in bytes (design section 11: 1 KiB). */
export const MESSAGE_BYTES = 1024;

/** Rates that no benchmark reaches; sizes and windows stay as they are. */
export const BENCH_LIMITS: LimitOverrides = {
  blob: { requestsPerSecond: 1_000_000, burst: 1_000_000, maxInFlight: 64 },
};
