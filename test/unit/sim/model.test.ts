import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../src/sim/clock/virtual-clock.ts';
import { SimulationError } from '../../../src/sim/errors.ts';
import { Churn } from '../../../src/sim/model/churn.ts';
import { NetworkModel } from '../../../src/sim/model/network-model.ts';
import { findRoundTripMs, REGIONS } from '../../../src/sim/model/regions.ts';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';

describe('virtual clock', () => {
  it('fires in order of time, then of setting, and lets promises finish in between', async () => {
    const clock = new VirtualClock({ startMs: 1_000 });
    const seen: string[] = [];
    const later = async (name: string, ms: number): Promise<void> => {
      await clock.wait(ms);
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      seen.push(`${name}@${clock.nowMs()}`);
    };
    void later('b', 20);
    void later('a', 10);
    void later('c', 20);
    using cancelled = clock.schedule(15, () => seen.push('never'));
    cancelled[Symbol.dispose]();
    await clock.advance(20);
    expect(seen).toEqual(['a@1010', 'b@1020', 'c@1020']);
    expect(clock.pending).toBe(0);
    await clock.advance(5);
    expect(clock.nowMs()).toBe(1_025);
    expect(clock.monotonicMs()).toBe(25);
  });

  it('fires what is set while time passes', async () => {
    const clock = new VirtualClock({ startMs: 0 });
    let ticks = 0;
    const tick = (): void => {
      ticks += 1;
      clock.schedule(10, tick);
    };
    clock.schedule(10, tick);
    await clock.advance(100);
    expect(ticks).toBe(10);
  });
});

describe('seeded random', () => {
  it('repeats, and forks into streams of their own', () => {
    const first = new SeededRandom('seed');
    const again = new SeededRandom('seed');
    const fork = first.fork('part').bytes(32);
    expect(first.bytes(32)).toEqual(again.bytes(32));
    expect(again.fork('part').bytes(32)).toEqual(fork);
    expect(new SeededRandom('other').bytes(32)).not.toEqual(new SeededRandom('seed').bytes(32));
  });

  it('is uniform enough: mean, variance, every residue', () => {
    const random = new SeededRandom('uniform');
    const values = Array.from({ length: 20_000 }, () => random.uniform());
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(0.5, 2);
    expect(variance).toBeCloseTo(1 / 12, 2);
    const counts = new Array<number>(7).fill(0);
    for (let draw = 0; draw < 7_000; draw += 1) {
      const value = random.below(7);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(random.sample([1, 2, 3, 4, 5], 3)).toHaveLength(3);
    expect(random.shuffle([1, 2, 3, 4, 5]).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('network model', () => {
  it('has a symmetric table of regions', () => {
    for (const from of REGIONS) {
      for (const to of REGIONS) expect(findRoundTripMs(from, to)).toBe(findRoundTripMs(to, from));
    }
  });

  it('loses, divides, takes down and heals', () => {
    const random = new SeededRandom('network');
    const quiet = new NetworkModel(random, { nodes: 4, loss: 0 });
    const lossy = new NetworkModel(random, { nodes: 4, loss: 0.5 });
    const draw = (network: NetworkModel): number[] => Array.from({ length: 200 }, () => network.drawDelayMs(0, 1));
    expect(Math.max(...draw(quiet))).toBeLessThan(quiet.roundTripMs(0, 1));
    const slow = draw(lossy).filter((delayMs) => delayMs > 900).length;
    expect(slow).toBeGreaterThan(60);
    expect(slow).toBeLessThan(140);
    quiet.divide([
      [0, 1],
      [2, 3],
    ]);
    expect([quiet.canReach(0, 1), quiet.canReach(0, 2)]).toEqual([true, false]);
    quiet.divide([]);
    quiet.setUp(2, 'down');
    expect([quiet.canReach(0, 3), quiet.canReach(0, 2)]).toEqual([true, false]);
  });
});

describe('churn', () => {
  const HOUR_MS = 3_600_000;
  const rates = { meanUpMs: 2 * HOUR_MS, meanAwayMs: HOUR_MS / 2, joinsPerHour: 20 };

  function watch(given: Partial<typeof rates> = {}) {
    const clock = new VirtualClock({ startMs: 0 });
    const up = new Set(Array.from({ length: 500 }, (_, node) => node));
    const joined: number[] = [];
    const churn = new Churn(
      { clock, random: new SeededRandom('churn') },
      { ...rates, ...given },
      {
        onLeave: (node) => expect(up.delete(node)).toBe(true),
        onReturn: (node) => {
          expect(up.has(node)).toBe(false);
          up.add(node);
        },
        onJoin: (node) => {
          joined.push(node);
          up.add(node);
        },
      },
    );
    churn.begin([...up], [1_000, 1_001, 1_002]);
    return { clock, up, joined, churn };
  }

  it('leaves four of five up where nodes are up four times as long as away, and goes on', async () => {
    const { clock, up, churn } = watch();
    await clock.advance(8 * HOUR_MS);
    expect(up.size).toBeGreaterThan(360);
    expect(up.size).toBeLessThan(440);
    const { left, returned } = churn.counts;
    // 500 nodes, one round of 2.5 h each on average.
    expect(left).toBeGreaterThan(1_450);
    expect(left).toBeLessThan(1_900);
    expect(503 - up.size).toBe(left - returned);
  });

  it('lets new ones join in their order, at their rate, as long as there are any', async () => {
    const { clock, joined, churn } = watch({ joinsPerHour: 60 });
    await clock.advance(HOUR_MS / 2);
    expect(joined).toEqual([1_000, 1_001, 1_002]);
    expect(churn.counts.joined).toBe(3);
    const none = watch({ joinsPerHour: 0 });
    await none.clock.advance(HOUR_MS);
    expect(none.joined).toEqual([]);
  });

  it('stops when it is told to', async () => {
    const { clock, churn } = watch();
    await clock.advance(HOUR_MS);
    churn.stop();
    const before = churn.counts;
    await clock.advance(4 * HOUR_MS);
    expect(churn.counts).toEqual(before);
    expect(before.left).toBeGreaterThan(100);
  });
});

it('a clock on which an event sets itself anew without delay says so', async () => {
  const clock = new VirtualClock({ startMs: 0, mostAtOneTime: 100 });
  const again = (): void => void clock.schedule(0, again);
  clock.schedule(1, again);
  await expect(clock.advance(10)).rejects.toThrow(SimulationError);
});
