/**
 * price = ceil(hourly rate × duration × f_duration × f_priority × f_reputation × f_sla), exact until the one rounding.
 * Design section 9 (pricing); figures in constants.ts.
 */
import {
  DURATION_FACTORS,
  HOUR_MS,
  ONE_IN_BPS,
  PRICED_GB_BYTES,
  PRIORITY_FACTORS,
  type Priority,
  REPUTATION_FACTORS,
  type ReputationTier,
  SLA_FACTORS,
  type SlaTier,
} from './constants.ts';

/** What is held for the whole duration, and what an hour of each costs in base units. */
export interface PricedResources {
  readonly classPricePerHour: bigint;
  readonly memory?: PricedMemory;
  readonly gpuMemory?: PricedMemory;
}

export interface PricedMemory {
  readonly sizeBytes: number;
  readonly pricePerGbHour: bigint;
}

export interface PriceFactors {
  readonly priority?: Priority;
  /** The provider's. */
  readonly reputation?: ReputationTier;
  readonly sla?: SlaTier;
}

/** The duration discount in basis points. */
export function computeDurationFactor(durationMs: number): bigint {
  const duration = BigInt(durationMs);
  return DURATION_FACTORS.find((factor) => duration >= factor.fromMs)?.bps ?? ONE_IN_BPS;
}

/** Price of holding `resources` for `durationMs`, in base units, rounded up once. Absent factors are neutral. */
export function computePrice(resources: PricedResources, durationMs: number, factors: PriceFactors = {}): bigint {
  const product = [
    computeDurationFactor(durationMs),
    PRIORITY_FACTORS[factors.priority ?? 'normal'],
    REPUTATION_FACTORS[factors.reputation ?? 'gold'],
    SLA_FACTORS[factors.sla ?? 'bronze'],
  ];
  const numerator = product.reduce((total, bps) => total * bps, scaleHourlyRate(resources) * BigInt(durationMs));
  return divideUp(numerator, PRICED_GB_BYTES * HOUR_MS * ONE_IN_BPS ** BigInt(product.length));
}

/** Base units of an hour × bytes of a GB, so that a part of a GB is not rounded. */
function scaleHourlyRate(resources: PricedResources): bigint {
  return (
    resources.classPricePerHour * PRICED_GB_BYTES + scaleMemory(resources.memory) + scaleMemory(resources.gpuMemory)
  );
}

function scaleMemory(memory: PricedMemory | undefined): bigint {
  return memory === undefined ? 0n : BigInt(memory.sizeBytes) * memory.pricePerGbHour;
}

function divideUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}

/** Splits a price without losing a unit; what the platform's share leaves over is the provider's. */
export function splitPrice(
  price: bigint,
  platformFeeBps: bigint,
): { readonly provider: bigint; readonly platform: bigint } {
  const platform = (price * platformFeeBps) / ONE_IN_BPS;
  return { provider: price - platform, platform };
}
