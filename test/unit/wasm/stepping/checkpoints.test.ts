import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { HOST_STATE_BYTES, MAX_GLOBALS_BYTES } from '../../../../src/domain/snapshot.ts';
import { parseHostState } from '../../../../src/proofs/host-state.ts';
import { listPieces } from '../../../../src/proofs/state-pieces.ts';
import { computeStateRoot } from '../../../../src/proofs/state-root.ts';
import { MAX_MUTABLE_GLOBALS } from '../../../../src/wasm/constants.ts';
import { GLOBAL_BYTES } from '../../../../src/wasm/stepping/constants.ts';
import { steppingWat } from '../../../support/program.ts';
import { buildSteppingModule } from '../../../support/stepping-modules.ts';
import {
  createSteppingTask,
  prepareStepping,
  runStepping,
  type SteppingOptions,
} from '../../../support/stepping-run.ts';
import { assembleWat } from '../../../support/wat.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Counts its steps in a global and is done after `steps`; `body` runs in each. */
function countingWat(
  steps: number,
  body = '',
  parts: { readonly rest?: string; readonly pages?: number } = {},
): Uint8Array {
  const wat = steppingWat({
    rest: `(global $n (mut i32) (i32.const 0)) ${parts.rest ?? ''}`,
    step: `(global.set $n (i32.add (global.get $n) (i32.const 1))) ${body}
      (i32.ge_u (global.get $n) (i32.const ${steps}))`,
  });
  return assembleWat(wat.replace('(memory (export "memory") 1)', `(memory (export "memory") ${parts.pages ?? 1})`));
}

const SPIN = `(global.set $i (i32.mul (global.get $n) (i32.const 40)))
  (loop $l (global.set $i (i32.sub (global.get $i) (i32.const 1))) (br_if $l (global.get $i)))`;

function placesOf(bytes: Uint8Array, options: SteppingOptions): string[] {
  return runStepping(prepareStepping(bytes), options).states.map(({ place, step }) => `${place} ${step}`);
}

describe('where checkpoints fall', () => {
  it('follows steps, with one at the start and one at the end', () => {
    const every = (steps: number): SteppingOptions => ({ checkpoints: { kind: 'steps', every: steps } });
    expect(placesOf(countingWat(7), every(3))).toEqual(['start 0', 'middle 3', 'middle 6', 'end 7']);
    expect(placesOf(countingWat(6), every(3))).toEqual(['start 0', 'middle 3', 'end 6']);
    expect(placesOf(countingWat(2), every(3))).toEqual(['start 0', 'end 2']);
  });

  it('is nowhere without a schedule, and at start and end alone under one by rounds', () => {
    expect(placesOf(countingWat(3), { checkpoints: null })).toEqual([]);
    expect(placesOf(countingWat(3), { checkpoints: { kind: 'rounds', every: 1 } })).toEqual(['start 0', 'end 3']);
  });

  it('follows fuel: behind the first step at or above each threshold', () => {
    const prepared = prepareStepping(countingWat(30, SPIN, { rest: '(global $i (mut i32) (i32.const 0))' }));
    const all = runStepping(prepared).states;
    const every = 1000;
    const expected: number[] = [];
    let threshold = every;
    for (const { step, fuel, place } of all) {
      if (place !== 'middle' || fuel < threshold) continue;
      expected.push(step);
      threshold = (Math.floor(fuel / every) + 1) * every;
    }
    const { states } = runStepping(prepared, { checkpoints: { kind: 'fuel', every } });
    expect(states.slice(1, -1).map(({ step }) => step)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(5);
    expect(states.map(({ state }) => parseHostState(state.host).nextCheckpointFuel)).toEqual([
      every,
      ...states.slice(1).map(({ fuel }) => (Math.floor(fuel / every) + 1) * every),
    ]);
  });

  it('has the step at which fuel is exactly the threshold', () => {
    const prepared = prepareStepping(countingWat(5));
    const [, first] = runStepping(prepared).states;
    const { states } = runStepping(prepared, { checkpoints: { kind: 'fuel', every: first?.fuel ?? 0 } });
    expect(states[1]?.step).toBe(1);
  });

  it.each([
    ['traps', '(if (i32.eq (global.get $n) (i32.const 3)) (then (unreachable)))', 'TRAP'],
    [
      'returns a number of its own',
      '(if (i32.eq (global.get $n) (i32.const 3)) (then (return (i32.const 2))))',
      'STEP_FAILED',
    ],
    ['logs too much', '(call $log (i32.const 0) (i32.const 10000))', 'LOG_LIMIT'],
  ])('has none for the step that %s', (_name, body, code) => {
    const { states, result } = runStepping(prepareStepping(countingWat(5, body)), { task: { logBytes: 25_000 } });
    expect(result).toMatchObject({ outcome: { code }, steps: 3 });
    expect(states.map(({ place, step }) => `${place} ${step}`)).toEqual(['start 0', 'middle 1', 'middle 2']);
  });

  it('has none where more fuel is used than there was, and ends the same without a schedule', () => {
    const prepared = prepareStepping(countingWat(5));
    const { states } = runStepping(prepared);
    const end = states.at(-1);
    for (const { fuel, step } of states) {
      // One unit short of what the state needs, and just enough.
      const short = { task: { fuel: fuel - 1 } };
      const scheduled = runStepping(prepared, short);
      expect(scheduled.states.map((state) => state.step)).toEqual(Array.from({ length: step }, (_, index) => index));
      expect(scheduled.result).toMatchObject({ outcome: { code: 'OUT_OF_FUEL' }, fuel: fuel - 1 });
      expect(runStepping(prepared, { ...short, checkpoints: null }).result).toEqual(scheduled.result);
    }
    expect(runStepping(prepared, { task: { fuel: end?.fuel ?? 0 } }).result.outcome).toEqual({ kind: 'completed' });
  });

  it('halts where the host says so, without outputs', () => {
    const body = '(call $output_write (i32.const 0) (i32.const 5))';
    const { result, states } = runStepping(prepareStepping(countingWat(5, body)), { haltAt: 3 });
    expect(result).toMatchObject({ outcome: { kind: 'paused' }, steps: 3, outputs: [], fuel: states.at(-1)?.fuel });
    expect(states).toHaveLength(4);
  });
});

describe('what a checkpoint holds', () => {
  it('has sizes that the format of snapshots allows', () => {
    expect(MAX_GLOBALS_BYTES).toBe(MAX_MUTABLE_GLOBALS * GLOBAL_BYTES);
    const [start] = runStepping(prepareStepping(countingWat(1))).states;
    expect(start?.state.host).toHaveLength(HOST_STATE_BYTES);
  });

  it('has root and pieces that follow from the state, over random programs that grow and write', () => {
    for (let seed = 0; seed < 12; seed++) {
      const { bytes } = buildSteppingModule(seed, { steps: 6 });
      const { states } = runStepping(prepareStepping(bytes), { task: createSteppingTask(seed), takesPieces: true });
      for (const taken of states) {
        expect(hex(computeStateRoot(taken.state))).toBe(taken.stateRoot);
        expect(hex(listPieces(taken.state))).toBe(taken.pieceDigests);
        expect(taken.pieces.map(sha256).join('')).toBe(taken.pieceDigests);
      }
    }
  });

  it('counts what the host keeps', () => {
    const body = `(call $log (i32.const 0) (i32.const 20000)) (call $metric (i32.const 0) (i32.const 5) (f64.const 2.5))
      (call $random (i32.const 40) (i32.const 37)) (call $output_write (i32.const 0) (i32.const 40000))`;
    const { states, events } = runStepping(prepareStepping(countingWat(2, body)));
    const [start, first, second] = states.map(({ state }) => parseHostState(state.host));
    expect(start).toMatchObject({ isDone: false, steps: 0, outputBytes: 0, isOutputWritten: false, logs: 0, pages: 1 });
    const one = { steps: 1, randomBytes: 37, outputBytes: 40_000, logs: 2, metrics: 1, isOutputWritten: true };
    expect(first).toMatchObject({ ...one, isDone: false, logBytes: 20_000 + 2 * 16 + 5 + 20, nextCheckpointFuel: 0 });
    expect(second).toMatchObject({ isDone: true, steps: 2, randomBytes: 74, outputBytes: 80_000, logs: 4, metrics: 2 });
    expect(states.map(({ ordinal }) => ordinal)).toEqual([0, 3, 6]);
    expect(events.map((event) => event.split(' ')[0])).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(hex(second?.metricsHash ?? new Uint8Array())).toBe(states[2]?.metricsHash);
  });

  it('counts logs and metrics of fogproof_init', () => {
    const wat = steppingWat({
      init: '(call $log (i32.const 0) (i32.const 5)) (call $metric (i32.const 0) (i32.const 5) (f64.const 1)) (i32.const 0)',
    });
    const [start] = runStepping(prepareStepping(assembleWat(wat))).states;
    expect(start).toMatchObject({ place: 'start', step: 0, ordinal: 2 });
    expect(parseHostState(start?.state.host ?? new Uint8Array())).toMatchObject({ logs: 1, metrics: 1, steps: 0 });
  });

  it('has globals by index and by their bits, NaNs too', () => {
    const rest = `(global $skipped i32 (i32.const 9)) (global $f (mut f32) (f32.const nan:0x200001))
      (global $d (mut f64) (f64.const -nan:0x4000000000001)) (global $l (mut i64) (i64.const -2))`;
    const [start] = runStepping(prepareStepping(countingWat(1, '', { rest }))).states;
    expect(hex(start?.state.globals ?? new Uint8Array())).toBe(
      ['7f0000000000000000', '7d000000007fa00001', '7cfff4000000000001', '7efffffffffffffffe'].join(''),
    );
  });

  it('sees every kind of write, and a page that is zeros again', () => {
    const writes = [
      '(i32.store8 (i32.const 65536) (i32.const 1))',
      '(memory.fill (i32.const 131000) (i32.const 7) (i32.const 200))',
      '(memory.copy (i32.const 200000) (i32.const 0) (i32.const 5))',
      '(v128.store (i32.const 65528) (v128.const i64x2 5 6))',
      '(call $random (i32.const 262140) (i32.const 8))',
      '(drop (call $input_read (i32.const 0) (i32.const 300000) (i32.const 0) (i32.const 3)))',
      '(memory.fill (i32.const 65536) (i32.const 0) (i32.const 65536))',
      '(drop (memory.grow (i32.const 2)))',
    ];
    const step = writes.map((write, index) => `(if (i32.eq (global.get $n) (i32.const ${index + 1})) (then ${write}))`);
    const prepared = prepareStepping(countingWat(writes.length + 1, step.join('\n'), { pages: 5 }));
    const task = { inputs: [{ path: '/a', bytes: Uint8Array.of(1, 2, 3) }] };
    const { states } = runStepping(prepared, { task, takesPieces: true });
    const changed = states.slice(1).map(({ state }, index) => listChanges(states[index]?.state.pages, state.pages));
    expect(changed).toEqual([[1], [1, 2], [3], [0, 1], [3, 4], [4], [1], [5, 6], []]);
    for (const { state, stateRoot } of states) expect(hex(computeStateRoot(state))).toBe(stateRoot);
  });
});

function listChanges(before: Uint8Array | undefined, after: Uint8Array): number[] {
  const pages = Array.from({ length: after.length / 32 }, (_, page) => page);
  const at = (list: Uint8Array | undefined, page: number): string =>
    hex(list?.subarray(page * 32, page * 32 + 32) ?? after);
  return pages.filter((page) => at(before, page) !== at(after, page));
}
