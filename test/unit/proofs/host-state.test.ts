import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProofsError } from '../../../src/proofs/errors.ts';
import { encodeHostState, type HostState, parseHostState } from '../../../src/proofs/host-state.ts';

const counts = fc.maxSafeNat();
const hostStates: fc.Arbitrary<HostState> = fc
  .record({
    isDone: fc.boolean(),
    steps: counts,
    fuel: counts,
    randomBytes: counts,
    outputBytes: counts,
    logBytes: counts,
    logs: counts,
    metrics: counts,
    pages: fc.nat({ max: 65_536 }),
    isOutputWritten: fc.boolean(),
    nextCheckpointFuel: counts,
    metricsHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })
  .map((state) => (state.isOutputWritten ? state : { ...state, outputBytes: 0 }));

const STATE: HostState = {
  isDone: false,
  steps: 1,
  fuel: 2,
  randomBytes: 3,
  outputBytes: 4,
  logBytes: 5,
  logs: 6,
  metrics: 7,
  pages: 8,
  isOutputWritten: true,
  nextCheckpointFuel: 9,
  metricsHash: new Uint8Array(32).fill(10),
};

describe('a host state', () => {
  it('has the layout of docs/stepping.md section 3.1', () => {
    const numbers = (...values: readonly number[]): string =>
      values.map((value) => value.toString(16).padStart(16, '0')).join('');
    expect(Buffer.from(encodeHostState(STATE)).toString('hex')).toBe(
      `01000000${numbers(1, 2, 3, 4, 5, 6, 7)}0000000800000001${numbers(9)}${'0a'.repeat(32)}`,
    );
  });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(hostStates, (state) => {
        expect(parseHostState(encodeHostState(state))).toEqual(state);
      }),
    );
  });

  it.each<[string, number, number]>([
    ['another version', 0, 2],
    ['an end that is not known', 1, 2],
    ['bytes that are not zero', 2, 1],
    ['bytes that are not zero', 3, 1],
    ['a flag that is not known', 67, 3],
    ['a flag that is not known', 64, 1],
    ['a number above 2^53', 4, 1],
    ['a number above 2^53', 68, 0x80],
    ['too many pages', 61, 2],
    ['output that was not written', 67, 0],
  ])('is refused with %s (byte %i is %i)', (_, offset, value) => {
    const bytes = encodeHostState(STATE);
    bytes[offset] = value;
    expect(() => parseHostState(bytes)).toThrow(ProofsError);
  });

  it('is refused with another length, and any bytes give a state or a coded error', () => {
    expect(() => parseHostState(new Uint8Array(107))).toThrow(ProofsError);
    expect(() => parseHostState(new Uint8Array(109))).toThrow(ProofsError);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 104, maxLength: 108 }), (bytes) => {
        const whole = Uint8Array.of(1, 0, 0, 0, ...bytes).slice(0, 108);
        try {
          expect(encodeHostState(parseHostState(whole))).toEqual(whole);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROOFS_BAD_HOST_STATE' });
        }
      }),
    );
  });

  it('is not encoded with numbers that have no place', () => {
    expect(() => encodeHostState({ ...STATE, fuel: -1 })).toThrow(RangeError);
    expect(() => encodeHostState({ ...STATE, pages: 65_537 })).toThrow(RangeError);
    expect(() => encodeHostState({ ...STATE, metricsHash: new Uint8Array(31) })).toThrow(RangeError);
  });
});
