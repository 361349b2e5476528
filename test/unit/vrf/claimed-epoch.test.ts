import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RoundSchedule } from '../../../src/beacon/round-schedule.ts';
import { CLOCK_SKEW_MS, classifyEpoch } from '../../../src/vrf/claimed-epoch.ts';

const EPOCH_MS = 3_600_000;
const schedule = new RoundSchedule({ roundMs: 30_000, epochRounds: 120 });
const EPOCH = 500_000;
const START_MS = EPOCH * EPOCH_MS;

/** Which of the epochs around are taken at a time, as differences from EPOCH. */
function listTaken(nowMs: number, skewMs?: number): number[] {
  return [-3, -2, -1, 0, 1, 2].filter((ahead) => {
    const time = { epoch: EPOCH + ahead, nowMs, schedule };
    return classifyEpoch(skewMs === undefined ? time : { ...time, skewMs }).kind !== 'outside';
  });
}

describe('the epochs that a claim may be of', () => {
  it('are this and the last, from the first ms of the epoch', () => {
    expect(listTaken(START_MS)).toEqual([-1, 0]);
    expect(listTaken(START_MS + EPOCH_MS / 2)).toEqual([-1, 0]);
  });

  it('and the next from 30 s before it begins, no earlier', () => {
    expect(CLOCK_SKEW_MS).toBe(30_000);
    expect(listTaken(START_MS - 1)).toEqual([-2, -1, 0]);
    expect(listTaken(START_MS - 30_000)).toEqual([-2, -1, 0]);
    expect(listTaken(START_MS - 30_001)).toEqual([-2, -1]);
  });

  it('with how long the beacon of the next one is waited for', () => {
    const at = (nowMs: number) => classifyEpoch({ epoch: EPOCH, nowMs, schedule });
    expect(at(START_MS - 30_000)).toEqual({ kind: 'next', startsInMs: 30_000 });
    expect(at(START_MS - 1)).toEqual({ kind: 'next', startsInMs: 1 });
    expect(at(START_MS)).toEqual({ kind: 'this' });
    expect(at(START_MS + EPOCH_MS)).toEqual({ kind: 'last' });
    expect(at(START_MS + 2 * EPOCH_MS)).toEqual({ kind: 'outside' });
  });

  it('without skew are never ahead', () => {
    expect(listTaken(START_MS - 1, 0)).toEqual([-2, -1]);
  });

  it('of two clocks that differ by no more than the skew always hold what the other takes for this one', () => {
    fc.assert(
      fc.property(fc.nat(10 * EPOCH_MS), fc.integer({ min: -30_000, max: 30_000 }), (afterMs, offMs) => {
        const epochAt = (timeMs: number): number => schedule.epochOfRound(schedule.roundAt(timeMs));
        const epoch = epochAt(START_MS + afterMs + offMs);
        expect(classifyEpoch({ epoch, nowMs: START_MS + afterMs, schedule }).kind).not.toBe('outside');
      }),
    );
  });

  it('are none for what is no epoch', () => {
    fc.assert(
      fc.property(fc.double(), (epoch) => {
        fc.pre(!Number.isSafeInteger(epoch) || epoch < 0);
        expect(classifyEpoch({ epoch, nowMs: 0, schedule })).toEqual({ kind: 'outside' });
      }),
    );
    expect(classifyEpoch({ epoch: -1, nowMs: 1_000, schedule })).toEqual({ kind: 'outside' });
  });

  it('of a network with epochs of seconds are ahead for a quarter of one', () => {
    const short = new RoundSchedule({ roundMs: 500, epochRounds: 4 });
    const listAt = (nowMs: number): number[] =>
      [98, 99, 100, 101, 102].filter((epoch) => classifyEpoch({ epoch, nowMs, schedule: short }).kind !== 'outside');
    expect(listAt(201_499)).toEqual([99, 100]);
    expect(listAt(201_500)).toEqual([99, 100, 101]);
    expect(listAt(201_999)).toEqual([99, 100, 101]);
  });
});
