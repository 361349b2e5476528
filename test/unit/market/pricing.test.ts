import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CLASS_PRICES_PER_HOUR,
  GPU_MEMORY_PRICE_PER_GB_HOUR,
  MEMORY_PRICE_PER_GB_HOUR,
  PLATFORM_FEE_BPS,
  REDUCED_PLATFORM_FEE_BPS,
  TOKEN,
} from '../../../src/market/constants.ts';
import { computeDurationFactor, computePrice, splitPrice } from '../../../src/market/pricing.ts';

const HOUR = 3_600_000;

describe('pricing', () => {
  it('gives the worked example of the economics page', () => {
    const price = computePrice(
      {
        classPricePerHour: CLASS_PRICES_PER_HOUR['gpu-consumer'],
        memory: { sizeBytes: 16 * 2 ** 30, pricePerGbHour: MEMORY_PRICE_PER_GB_HOUR },
        gpuMemory: { sizeBytes: 8 * 2 ** 30, pricePerGbHour: GPU_MEMORY_PRICE_PER_GB_HOUR },
      },
      12 * HOUR,
      { priority: 'normal', reputation: 'gold', sla: 'bronze' },
    );
    expect(price).toBe(72_960_000_000n);
    expect(splitPrice(price, PLATFORM_FEE_BPS)).toEqual({ provider: 65_664_000_000n, platform: 7_296_000_000n });
    expect(splitPrice(price, REDUCED_PLATFORM_FEE_BPS).platform).toBe(5_836_800_000n);
  });

  it.each([
    [0, 10_000n],
    [HOUR - 1, 10_000n],
    [HOUR, 9_000n],
    [6 * HOUR - 1, 9_000n],
    [6 * HOUR, 8_000n],
    [24 * HOUR, 8_000n],
    [24 * HOUR + 1, 7_000n],
  ])('discounts %i ms to %i bps', (durationMs, bps) => {
    expect(computeDurationFactor(durationMs)).toBe(bps);
  });

  it('multiplies the factors and rounds up once', () => {
    const resources = { classPricePerHour: 10n * TOKEN };
    expect(computePrice(resources, HOUR / 2, { priority: 'critical', reputation: 'bronze', sla: 'gold' })).toBe(
      60n * TOKEN,
    );
    expect(computePrice({ classPricePerHour: 1n }, 1)).toBe(1n);
    expect(computePrice({ classPricePerHour: 0n }, HOUR)).toBe(0n);
  });

  it('splits every price without losing a unit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.bigInt({ min: 0n, max: 10_000n }), (price, bps) => {
        const { provider, platform } = splitPrice(price, bps);
        expect(provider + platform).toBe(price);
        expect(platform * 10_000n <= price * bps).toBe(true);
      }),
    );
  });

  it('never charges less for more of the same resource', () => {
    const amount = fc.integer({ min: 0, max: 2 ** 40 });
    fc.assert(
      fc.property(amount, amount, fc.integer({ min: 1, max: HOUR }), (a, b, durationMs) => {
        const priceOf = (sizeBytes: number) =>
          computePrice({ classPricePerHour: 7n, memory: { sizeBytes, pricePerGbHour: 12_345n } }, durationMs);
        expect(priceOf(Math.min(a, b)) <= priceOf(Math.max(a, b))).toBe(true);
      }),
    );
  });
});
