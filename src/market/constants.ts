/** All figures: reference/economics.md. Amounts in base units of the network's token, factors in basis points. */
import type { CapabilityClass } from '../domain/capability.ts';

/** Base units of one token (9 decimals). */
export const TOKEN = 1_000_000_000n;
/** One in basis points. */
export const ONE_IN_BPS = 10_000n;
export const HOUR_MS = 3_600_000n;
/** Bytes of one priced GB: memory is sold in binary sizes. */
export const PRICED_GB_BYTES = 1_073_741_824n;

/** Reference price of an hour of each class; a provider's own standing price is policy, by default 0. */
export const CLASS_PRICES_PER_HOUR = {
  cpu: TOKEN / 2n,
  'gpu-consumer': 2n * TOKEN,
  'gpu-datacentre': 10n * TOKEN,
} as const satisfies Partial<Record<CapabilityClass, bigint>>;
export const MEMORY_PRICE_PER_GB_HOUR = TOKEN / 10n;
export const GPU_MEMORY_PRICE_PER_GB_HOUR = TOKEN / 2n;

/** Longest first: the first whose `fromMs` is reached holds. The source says '> 24 h', so 24 h itself is not in it. */
export const DURATION_FACTORS = [
  { fromMs: 24n * HOUR_MS + 1n, bps: 7_000n },
  { fromMs: 6n * HOUR_MS, bps: 8_000n },
  { fromMs: HOUR_MS, bps: 9_000n },
  { fromMs: 0n, bps: ONE_IN_BPS },
] as const;

export const PRIORITY_FACTORS = {
  low: 8_000n,
  normal: ONE_IN_BPS,
  high: 15_000n,
  critical: 20_000n,
} as const;
export type Priority = keyof typeof PRIORITY_FACTORS;

export const REPUTATION_FACTORS = {
  bronze: 12_000n,
  silver: 11_000n,
  gold: ONE_IN_BPS,
  platinum: 9_000n,
  diamond: 9_000n,
} as const;
export type ReputationTier = keyof typeof REPUTATION_FACTORS;

export const SLA_FACTORS = { bronze: ONE_IN_BPS, silver: 25_000n, gold: 50_000n } as const;
export type SlaTier = keyof typeof SLA_FACTORS;

/** The platform's share of a price; the lower one for Platinum and Diamond providers and for requesters who stake. */
export const PLATFORM_FEE_BPS = 1_000n;
export const REDUCED_PLATFORM_FEE_BPS = 800n;
