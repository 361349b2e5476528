import { describe, expect, it } from 'vitest';
import { computeTimeBeacon } from '../../../src/beacon/compute-beacon.ts';
import { FixedBeacon, TimeBeacon } from '../../../src/beacon/computed-beacon.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const OPTIONS = { networkId: 'lab', roundMs: 30_000, epochRounds: 120 };
const START_MS = 1_800_000_000_000;
const ROUND = START_MS / 30_000;

describe('rounds and epochs', () => {
  const beacon = new TimeBeacon({ clock: new ManualClock() }, OPTIONS);

  it('are counted from Unix time 0', () => {
    expect([0, 29_999, 30_000, START_MS].map((timeMs) => beacon.roundAt(timeMs))).toEqual([0, 0, 1, ROUND]);
    expect(beacon.startOfRound(ROUND)).toBe(START_MS);
    expect([0, 119, 120].map((round) => beacon.epochOfRound(round))).toEqual([0, 0, 1]);
    expect(beacon.firstRoundOfEpoch(beacon.epochOfRound(ROUND))).toBe(ROUND - (ROUND % 120));
  });
});

describe('a beacon that is computed', () => {
  it('gives the value of a round that has begun, and of no other', async () => {
    const clock = new ManualClock(START_MS + 10_000);
    const beacon = new TimeBeacon({ clock }, OPTIONS);
    expect(await beacon.value(ROUND)).toEqual({
      round: ROUND,
      startsAtMs: START_MS,
      value: computeTimeBeacon({ networkId: 'lab', round: ROUND }),
      source: 'time',
      isPredictable: true,
      block: null,
    });
    await expect(beacon.value(ROUND + 1)).rejects.toMatchObject({
      code: 'BEACON_NOT_YET',
      info: { startsInMs: 20_000 },
    });
    await clock.advance(20_000);
    expect((await beacon.value(ROUND + 1)).round).toBe(ROUND + 1);
    for (const round of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await expect(beacon.value(round)).rejects.toMatchObject({ code: 'BEACON_BAD_ROUND' });
    }
  });

  it('says that it is predictable', () => {
    const clock = new ManualClock(START_MS);
    expect(new TimeBeacon({ clock }, OPTIONS).status()).toMatchObject({
      source: 'time',
      isPredictable: true,
      currentRound: ROUND,
      currentEpoch: ROUND / 120,
      latestKnown: { round: ROUND },
      problem: null,
    });
  });

  it('from a seed repeats with the seed and differs with another', async () => {
    const clock = new ManualClock(START_MS);
    const draw = async (fill: number) =>
      new FixedBeacon({ clock }, { ...OPTIONS, seed: new Uint8Array(32).fill(fill) }).value(ROUND);
    expect(await draw(1)).toEqual(await draw(1));
    expect((await draw(1)).value).not.toEqual((await draw(2)).value);
    expect(await draw(1)).toMatchObject({ source: 'fixed', isPredictable: true });
  });
});
