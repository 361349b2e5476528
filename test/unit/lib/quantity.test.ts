import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatSize, parseCount, parseDuration, parseSize } from '../../../src/lib/quantity.ts';

describe('sizes', () => {
  it.each([
    ['512', 512],
    ['512B', 512],
    ['64MiB', 64 * 2 ** 20],
    ['64 MiB', 64 * 2 ** 20],
    ['64Mi', 64 * 2 ** 20],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['10MB', 10_000_000],
    ['10k', 10_000],
    ['1_000', 1000],
    ['1.1GB', 1_100_000_000],
  ])('%s is %i bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', 'MiB', '-1', '1.5', '1e6', '12XB', '1 2', '64 mebibytes', '9999999999TiB', '1.', ' 1'])(
    "'%s' is none",
    (text) => expect(parseSize(text)).toBeUndefined(),
  );
});

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1h 30m', 5_400_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '30', '30 seconds', '-1s', '1w', 's', '0.0001ms'])("'%s' is none", (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('counts', () => {
  it.each([
    ['2000000000', 2e9],
    ['2_000_000_000', 2e9],
    ['2e9', 2e9],
    ['2E+9', 2e9],
    ['2G', 2e9],
    ['1.5M', 1.5e6],
    ['10k', 10_000],
  ])('%s is %i', (text, count) => expect(parseCount(text)).toBe(count));

  it.each(['', 'G', '1.5', '-2', '2e99', '2GiB', '0x10'])("'%s' is none", (text) =>
    expect(parseCount(text)).toBeUndefined(),
  );
});

describe('all of them', () => {
  it('give a whole number or nothing for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9_.eE+ kKmMgGtTiIbBshd]{0,12}$/)), (text) => {
        for (const parse of [parseSize, parseDuration, parseCount]) {
          const value = parse(text);
          expect(value === undefined || (Number.isSafeInteger(value) && value >= 0)).toBe(true);
        }
      }),
    );
  });

  it('are shown in the largest unit that fits', () => {
    expect(formatSize(1000)).toBe('1000 B');
    expect(formatSize(64 * 2 ** 20)).toBe('64 MiB');
    expect(formatDuration(0)).toBe('0 ms');
    expect(formatDuration(5_400_000)).toBe('1.5 h');
  });
});
