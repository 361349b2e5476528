import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdleCache } from '../../../src/lib/idle-cache.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function createCache({ maxEntryBytes = 100 } = {}) {
  const clock = new ManualClock();
  const sizeOf = (bytes: Uint8Array): number => bytes.length + 1;
  return {
    clock,
    cache: new IdleCache<string, Uint8Array>({ clock }, { maxBytes: 100, maxEntryBytes, idleMs: 1_000, sizeOf }),
  };
}

const bytes = (length: number): Uint8Array => new Uint8Array(length);

describe('a cache that gives back what nobody uses', () => {
  it('keeps what is asked for, and lets go of the rest', async () => {
    const { cache, clock } = createCache();
    cache.set('used', bytes(10));
    cache.set('unused', bytes(10));
    for (let round = 0; round < 5; round += 1) {
      await clock.advance(600);
      expect(cache.get('used')).toHaveLength(10);
    }
    expect(cache.get('unused')).toBeUndefined();
    expect(cache.size).toBe(1);
  });

  it('lets go without being asked anything', async () => {
    const { cache, clock } = createCache();
    cache.set('a', bytes(10));
    await clock.advance(2_500);
    expect(cache.size).toBe(0);
    cache.set('b', bytes(10));
    await clock.advance(2_500);
    expect(cache.size).toBe(0);
  });

  it('keeps nothing that is too large, and drops what it is told to', () => {
    const { cache } = createCache({ maxEntryBytes: 20 });
    cache.set('large', bytes(30));
    cache.set('small', bytes(10));
    expect([cache.has('large'), cache.has('small')]).toEqual([false, true]);
    cache.delete('small');
    expect(cache.size).toBe(0);
  });

  it('never holds more than its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 60 }), fc.nat({ max: 500 }))),
        async (steps) => {
          const { cache, clock } = createCache();
          const lengths = new Map<string, number>();
          for (const [key, length, ms] of steps) {
            cache.set(`${key}`, bytes(length));
            lengths.set(`${key}`, length);
            const held = [...lengths].filter(([name]) => cache.has(name)).map(([, each]) => each + 1);
            expect(held.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(100);
            await clock.advance(ms);
          }
        },
      ),
    );
  });
});
