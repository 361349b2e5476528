import { describe, expect, it } from 'vitest';
import { steppingWat } from '../../../support/program.ts';
import { buildSteppingModule } from '../../../support/stepping-modules.ts';
import {
  createSteppingTask,
  describeState,
  prepareStepping,
  runStepping,
  type SteppingOptions,
  type SteppingRun,
  toImage,
} from '../../../support/stepping-run.ts';
import { assembleWat } from '../../../support/wat.ts';

/** A program that uses all that a state holds: floats, growth, random bytes, output over pieces, logs, metrics. */
const KITCHEN_SINK = steppingWat({
  rest: `(global $n (mut i32) (i32.const 0))
    (global $f (mut f32) (f32.const nan:0x200001)) (global $d (mut f64) (f64.const -nan:0x4000000000001))
    (global $l (mut i64) (i64.const -2))
    (func $start (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))) (start $start)
    (data (i32.const 60000) "left behind")`,
  init: `(i32.store (i32.const 68) (i32.add (i32.load (i32.const 68)) (i32.const 1)))
    (call $log (i32.const 0) (i32.const 5)) (i32.const 0)`,
  step: `(global.set $n (i32.add (global.get $n) (i32.const 1)))
    (call $random (i32.const 100) (i32.const 21))
    (global.set $l (i64.xor (i64.rotl (global.get $l) (i64.const 5)) (i64.load (i32.const 100))))
    (f32.store (i32.const 200) (global.get $f)) (f64.store (i32.const 208) (global.get $d))
    (global.set $f (f32.reinterpret_i32 (i32.or (i32.const 0x7f800001) (i32.wrap_i64 (global.get $l)))))
    (if (i32.eq (global.get $n) (i32.const 3)) (then (drop (memory.grow (i32.const 2)))))
    (if (i32.gt_u (memory.size) (i32.const 1)) (then (i64.store (i32.const 131072) (global.get $l))))
    (memory.fill (i32.const 60000) (i32.const 0) (i32.const 11))
    (call $output_write (i32.const 0) (i32.const 30000))
    (call $log (i32.const 0) (i32.const 11))
    (call $metric (i32.const 0) (i32.const 5) (f64.promote_f32 (global.get $f)))
    (i32.ge_u (global.get $n) (i32.const 6))`,
});

/** The run goes on from every one of its states in a fresh instance; each time the rest has to be the same. */
function expectResumable(bytes: Uint8Array, options: SteppingOptions = {}): SteppingRun {
  const whole = runStepping(prepareStepping(bytes), { ...options, takesPieces: true });
  whole.states.forEach((state, index) => {
    // Compiled anew, as on another machine.
    const rest = runStepping(prepareStepping(bytes), { ...options, resume: toImage(state) });
    expect(rest.result).toEqual(whole.result);
    expect(rest.states.map(describeState)).toEqual(whole.states.slice(index).map(describeState));
    expect(rest.states[0]?.place).toBe('start');
    expect(rest.events).toEqual(whole.events.slice(state.ordinal));
  });
  return whole;
}

describe('going on from a state', () => {
  it('gives everything that an undisturbed run gives, from every step', () => {
    const { states, result } = expectResumable(assembleWat(KITCHEN_SINK));
    expect(result).toMatchObject({ outcome: { kind: 'completed' }, steps: 6, memoryBytes: 3 * 65_536 });
    expect(states.at(-1)?.state.output).toHaveLength(3 * 32);
    expect(new Set(states.map(({ stateRoot }) => stateRoot)).size).toBe(7);
  });

  it('does so under a schedule by fuel', () => {
    const { states } = expectResumable(assembleWat(KITCHEN_SINK), { checkpoints: { kind: 'fuel', every: 15_000 } });
    expect(states.length).toBeGreaterThan(3);
    expect(states.length).toBeLessThan(7);
  });

  it('does so for random programs, those that fail too', () => {
    for (let seed = 100; seed < 108; seed++) {
      const { bytes } = buildSteppingModule(seed, { steps: 6, endings: 'any' });
      expectResumable(bytes, { task: createSteppingTask(seed) });
    }
  });

  it('goes on from a run that was halted, were it at its end', () => {
    const bytes = assembleWat(KITCHEN_SINK);
    const whole = runStepping(prepareStepping(bytes));
    for (const haltAt of [2, 6]) {
      const halted = runStepping(prepareStepping(bytes), { haltAt, takesPieces: true });
      expect(halted.result.outcome).toEqual({ kind: 'paused' });
      const last = halted.states.at(-1);
      const rest = runStepping(prepareStepping(bytes), { resume: last === undefined ? null : toImage(last) });
      expect(rest.result).toEqual(whole.result);
      expect([...halted.events, ...rest.events]).toEqual(whole.events);
    }
  });

  it('gives the result of a state that is done at once, without another checkpoint than the start', () => {
    const whole = runStepping(prepareStepping(assembleWat(KITCHEN_SINK)), { takesPieces: true });
    const end = whole.states.at(-1);
    const rest = runStepping(prepareStepping(assembleWat(KITCHEN_SINK)), {
      resume: end === undefined ? null : toImage(end),
    });
    expect(rest.states.map(({ place, step }) => `${place} ${step}`)).toEqual(['start 6']);
    expect(rest.events).toEqual([]);
    expect(rest.result).toEqual(whole.result);
  });

  it('keeps the result without a schedule', () => {
    const prepared = prepareStepping(assembleWat(KITCHEN_SINK));
    const whole = runStepping(prepared, { takesPieces: true });
    for (const state of whole.states) {
      const rest = runStepping(prepared, { resume: toImage(state), checkpoints: null });
      expect(rest.result).toEqual(whole.result);
      expect(rest.states).toEqual([]);
    }
  });

  it.each([
    ['LOG_LIMIT', { logBytes: 200 }],
    ['OUTPUT_LIMIT', { outputBytes: 100_000 }],
    ['OUT_OF_FUEL', { fuel: 40_000 }],
  ])('meets %s where an undisturbed run does', (code, task) => {
    const { result, states } = expectResumable(assembleWat(KITCHEN_SINK), { task });
    expect(result.outcome).toMatchObject({ code });
    expect(states.length).toBeGreaterThan(2);
  });

  it('meets the limit of memory where an undisturbed run does', () => {
    const wat = steppingWat({
      rest: '(global $n (mut i32) (i32.const 0))',
      step: `(global.set $n (i32.add (global.get $n) (i32.const 1)))
        (i32.store8 (global.get $n) (memory.grow (i32.const 1))) (i32.eq (global.get $n) (i32.const 5))`,
    });
    const bytes = assembleWat(wat);
    const whole = runStepping(prepareStepping(bytes, 3), { takesPieces: true });
    expect(whole.result).toMatchObject({ outcome: { kind: 'completed' }, memoryBytes: 3 * 65_536 });
    for (const [index, state] of whole.states.entries()) {
      const rest = runStepping(prepareStepping(bytes, 3), { resume: toImage(state) });
      expect(rest.states.map(describeState)).toEqual(whole.states.slice(index).map(describeState));
    }
  });

  it('runs neither the start function nor fogproof_init again', () => {
    const whole = runStepping(prepareStepping(assembleWat(KITCHEN_SINK)), { takesPieces: true });
    const [, first] = whole.states;
    const rest = runStepping(prepareStepping(assembleWat(KITCHEN_SINK)), {
      resume: first === undefined ? null : toImage(first),
      takesPieces: true,
    });
    const counts = [whole, rest].map(({ states }) => Buffer.from(states.at(-1)?.pieces[0] ?? []).subarray(64, 72));
    expect(counts[0]?.toString('hex')).toBe('0100000001000000');
    expect(counts[1]).toEqual(counts[0]);
  });
});
