import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { buildExamples, hasCCompiler } from '../../../scripts/build-examples.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import { steppingWat } from '../../support/program.ts';
import { findOffers, needLevel, type TaskParts } from '../../support/sandbox.ts';
import { buildSteppingModule } from '../../support/stepping-modules.ts';
import { createSteppingTask, EVERY_STEP, prepareStepping, runStepping } from '../../support/stepping-run.ts';
import { type TierRun, Tiers } from '../../support/tiers.ts';
import { assembleWat } from '../../support/wat.ts';

const offers = await findOffers();
const isolation = offers.has('bubblewrap') ? 'bubblewrap' : 'process';

const HAS_C: Need = {
  isMet: hasCCompiler(),
  kind: 'toolchain',
  reason: 'clang and wasm-ld on PATH (apt install clang lld)',
};

const tiers = new Tiers();
afterAll(async () => await tiers[Symbol.asyncDispose]());

async function expectSameEverywhere(parts: Omit<TaskParts, 'isolation'>): Promise<TierRun> {
  const [first, ...others] = await tiers.run(isolation, parts);
  if (first === undefined) throw new TypeError('there is at least one tier');
  for (const other of others) {
    expect(other.result, other.tier).toEqual(first.result);
    expect(other.events, other.tier).toEqual(first.events);
    expect(other.states, other.tier).toEqual(first.states);
  }
  return first;
}

const stepping = (parts: Parameters<typeof steppingWat>[0]) => ({ module: assembleWat(steppingWat(parts)) });

/** NaNs that x86 and arm64, constant folding and hardware, and the two compilers make differently. */
const NAN_EXPRESSIONS = [
  '(f64.div (local.get $zero) (local.get $zero))',
  '(f64.sqrt (f64.sub (local.get $zero) (f64.const 1)))',
  '(f64.sub (f64.div (f64.const 1) (local.get $zero)) (f64.div (f64.const 1) (local.get $zero)))',
  '(f64.mul (local.get $nan) (local.get $zero))',
  '(f64.add (local.get $other) (local.get $nan))',
  '(f64.min (local.get $nan) (local.get $other))',
  '(f64.max (local.get $zero) (local.get $nan))',
  '(f64.neg (f64.div (local.get $zero) (local.get $zero)))',
  '(f64.copysign (f64.const 3) (f64.div (local.get $zero) (local.get $zero)))',
  '(f64.promote_f32 (f32.demote_f64 (local.get $nan)))',
  '(f64.ceil (local.get $other))',
  '(f64.nearest (local.get $nan))',
  '(f64x2.extract_lane 1 (f64x2.mul (f64x2.splat (local.get $nan)) (f64x2.splat (local.get $zero))))',
  '(f64x2.extract_lane 0 (f32x4.add (f64x2.splat (local.get $nan)) (f32x4.splat (f32.const 0.5))))',
];
const NAN_PROGRAM = `
  (local $zero f64) (local $nan f64) (local $other f64) (local $n i32)
  (local.set $nan (f64.reinterpret_i64 (i64.const 0x7ff4000012345678)))
  (local.set $other (f64.reinterpret_i64 (i64.const 0xfffc0000deadbeef)))
  (loop $again
    ${NAN_EXPRESSIONS.map((expression, index) => `(f64.store offset=${256 + index * 8} (i32.const 0) ${expression})`).join('\n')}
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 20000))))
  (call $output_write (i32.const 256) (i32.const ${NAN_EXPRESSIONS.length * 8})) (i32.const 1)`;

function readExample(name: string, settings?: string): Pick<TaskParts, 'module' | 'inputs'> {
  const path = buildExamples({ isForced: false }).find((file) => file.endsWith(`${name}.wasm`)) ?? '';
  const inputs = settings === undefined ? [] : [{ path: '/settings.txt', bytes: new TextEncoder().encode(settings) }];
  return { module: new Uint8Array(readFileSync(path)), inputs };
}

describeIf(HAS_C, 'an example in C', () => {
  it('gives equal outputs, fuel and states under every compiler tier', async () => {
    const { result, states } = await expectSameEverywhere({
      ...readExample('ising', '64 2.0 30'),
      resources: { memoryBytes: 32 * 2 ** 20, fuel: 200e9 },
      checkpoints: { kind: 'steps', every: 5 },
    });
    expect(result.outcome).toEqual({ kind: 'completed' });
    expect(states).toHaveLength(7);
  });

  it('that reports training rounds does too', async () => {
    const { result, states } = await expectSameEverywhere({
      ...readExample('rounds', '25 300'),
      workload: { abi: 'wasi' },
      resources: { memoryBytes: 32 * 2 ** 20, fuel: 1e9 },
      checkpoints: { kind: 'rounds', every: 5 },
    });
    expect(result).toMatchObject({ outcome: { kind: 'completed' }, steps: 25 });
    expect(states).toHaveLength(7);
  });
});

describeIf(
  needLevel(offers.has(isolation), isolation),
  'equal outputs and equal fuel under every compiler tier',
  () => {
    it('the larger model', async () => {
      const { result, states } = await expectSameEverywhere({
        ...readExample('embeddings', 'words = 8192\nsteps = 4\npairs = 1500\n'),
        resources: { memoryBytes: 16 * 2 ** 20, fuel: 200e9 },
        checkpoints: { kind: 'fuel', every: 50e6 },
      });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(states.length).toBeGreaterThan(3);
    });

    it('the smallest job', async () => {
      const { result, states } = await expectSameEverywhere({ ...readExample('hello'), checkpoints: EVERY_STEP });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(states).toHaveLength(2);
    });

    it('the demo’s trainer', async () => {
      const path = buildExamples({ isForced: false }).find((file) => file.endsWith('trainer.wasm')) ?? '';
      const data = join(import.meta.dirname, '../../../examples/digits/data');
      const read = (name: string) => new Uint8Array(readFileSync(join(data, name)));
      const settings = 'rounds = 3\nhidden = 16\nbatch = 16\nlearning_rate = 0.05\nmomentum = 0.9\n';
      const { result, events, states } = await expectSameEverywhere({
        module: new Uint8Array(readFileSync(path)),
        inputs: [
          { path: '/settings.txt', bytes: new TextEncoder().encode(settings) },
          { path: '/test.csv', bytes: read('test.csv') },
          { path: '/train.csv', bytes: read('train.csv') },
        ],
        resources: { memoryBytes: 16 * 2 ** 20, fuel: 200e9 },
        checkpoints: EVERY_STEP,
      });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(result.steps).toBe(3);
      expect(states).toHaveLength(4);
      expect(events.some((event) => event.includes('loss='))).toBe(true);
    });

    it.each([1, 2, 3, 4, 5, 6])(
      'the state roots of the random stepping module %i, in this process too',
      async (number) => {
        const { bytes, steps } = buildSteppingModule(number);
        const { seed, inputs } = createSteppingTask(number);
        const { states } = await expectSameEverywhere({
          module: bytes,
          inputs,
          workload: { seed },
          resources: { memoryBytes: 64 * 65_536, logBytes: 1e7 },
          checkpoints: EVERY_STEP,
        });
        expect(states).toHaveLength(steps + 1);
        const here = runStepping(prepareStepping(bytes), { task: { seed, inputs, outputBytes: 2 ** 24 } });
        expect(here.states.map(({ stateRoot }) => stateRoot)).toEqual(states.map((state) => state.split(' ')[4]));
      },
    );

    it('a module made to differ by NaN bits', async () => {
      const { result } = await expectSameEverywhere(stepping({ step: NAN_PROGRAM }));
      expect(result.outcome).toEqual({ kind: 'completed' });
      const bits = new BigUint64Array(new Uint8Array(result.outputs[0]?.bytes ?? []).buffer);
      expect(bits[0]).toBe(0x7ff8000000000000n);
      expect(bits[7]).toBe(0xfff8000000000000n);
      expect(bits[8]).toBe(0x4008000000000000n);
    });

    it.each([
      ['narrow frames', '(func $f call $count call $f)', 'call $f'],
      [
        'wide frames',
        `(func $f (param ${'f64 '.repeat(60)}) call $count ${Array.from({ length: 60 }, (_, i) => `local.get ${i}`).join(' ')} call $f)`,
        `${'f64.const 1 '.repeat(60)} call $f`,
      ],
      [
        'deep operands',
        `(func $f (result i64) call $count ${'(i64.load (i32.const 8)) '.repeat(100)} call $f ${'i64.add '.repeat(100)})`,
        'call $f drop',
      ],
      ['a function that may be inlined', '(func $g call $count call $f) (func $f call $g)', 'call $f'],
    ])('a module made to differ by stack depth: %s', async (_name, rest, call) => {
      const count = `(global $depth (mut i32) (i32.const 0))
      (func $count (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (if (i32.eqz (i32.rem_u (global.get $depth) (i32.const 100)))
          (then (i32.store (i32.const 512) (global.get $depth)) (call $log (i32.const 512) (i32.const 4)))))`;
      const { result, events } = await expectSameEverywhere(
        stepping({ rest: count + rest, step: `${call} (i32.const 1)` }),
      );
      expect(result.outcome).toMatchObject({ code: 'STACK_EXHAUSTED' });
      expect(events.length).toBeGreaterThan(5);
    });

    it('a module made to differ by memory growth', async () => {
      const grow = `(local $n i32)
      (loop $again
        (i32.store (i32.const 256) (memory.grow (local.get $n)))
        (i32.store (i32.const 260) (memory.size))
        (call $output_write (i32.const 256) (i32.const 8))
        (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 3)) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 20000))))
      (drop (memory.grow (i32.const 1))) (i32.const 1)`;
      const { result } = await expectSameEverywhere({
        ...stepping({ step: grow }),
        resources: { memoryBytes: 2 ** 30 },
      });
      expect(result.outcome).toEqual({ kind: 'completed' });
      const words = new Int32Array(new Uint8Array(result.outputs[0]?.bytes ?? []).buffer);
      expect(words.filter((_, index) => index % 2 === 0)).toEqual(
        Int32Array.of(1, 1, 2, 6, 19, 59, 180, 544, 1637, 4917),
      );
    });

    it.each([
      [
        'in a loop',
        '(local $n i32) (loop (local.set $n (i32.add (local.get $n) (i32.const 1))) (i32.store (i32.mul (local.get $n) (i32.const 8)) (local.get $n)) (br 0)) (i32.const 1)',
      ],
      [
        'by dividing',
        '(local $n i32) (local.set $n (i32.const 1000)) (loop (local.set $n (i32.sub (local.get $n) (i32.const 1))) (drop (i32.div_u (i32.const 7) (local.get $n))) (br 0)) (i32.const 1)',
      ],
    ])('a module that traps %s', async (_name, step) => {
      const { result } = await expectSameEverywhere(stepping({ step }));
      expect(result.outcome).toMatchObject({ code: 'TRAP' });
      expect(result.fuel).toBeGreaterThan(1000);
    });

    it('a module that runs out of fuel between two outputs', async () => {
      const step =
        '(local $n i32) (loop (i32.store (i32.const 256) (local.get $n)) (call $log (i32.const 256) (i32.const 4)) (local.set $n (i32.add (local.get $n) (i32.const 1))) (br 0)) (i32.const 1)';
      const { result, events } = await expectSameEverywhere({ ...stepping({ step }), resources: { fuel: 777_777 } });
      expect(result.outcome).toMatchObject({ code: 'OUT_OF_FUEL' });
      expect(events.length).toBeGreaterThan(100);
    });
  },
);
