import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildExamples } from '../scripts/build-examples.ts';
import { FUEL_EXPORT } from '../src/wasm/constants.ts';
import { instrument } from '../src/wasm/instrument/instrument.ts';
import { ALL_PARTS, INSTRUMENTED_PARTS, type InstrumentedPart } from '../src/wasm/instrument/parts.ts';
import { runExample } from '../test/support/example-host.ts';
import { assembleWat } from '../test/support/wat.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

const RUNS = 5;
const MAX_PAGES = 2048;
const PART_NAMES: Readonly<Record<InstrumentedPart, string>> = {
  fuel: 'fuel alone',
  stack: 'stack height alone',
  nan: 'NaNs alone',
};

/** What instrumentation costs, whole and by its parts, against the original module in the same run. */
export function benchOverhead(): Promise<readonly BenchRow[]> {
  return Promise.resolve([...LOOPS.flatMap(measureLoop), ...measureExamples()]);
}

interface Subject {
  readonly name: string;
  readonly goal: number;
  readonly original: Uint8Array;
  /** Runs the module once; gives its time in ms. */
  readonly time: (module: Uint8Array) => number;
}

/** Loops that show metering at its worst, and arithmetic that shows canonical NaNs. */
const LOOPS: readonly { readonly name: string; readonly goal: number; readonly code: string; readonly n: number }[] = [
  {
    name: 'tight integer loop',
    goal: 2,
    n: 100_000_000,
    code: `(local $s i32) (loop $l
      (local.set $s (i32.add (local.get $s) (i32.mul (local.get $n) (i32.const 3))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s)`,
  },
  {
    name: 'branching loop with loads',
    goal: 2,
    n: 50_000_000,
    code: `(local $s i32) (block $x (loop $l
      (br_if $x (i32.eqz (local.get $n)))
      (if (i32.and (local.get $n) (i32.const 4))
        (then (local.set $s (i32.add (local.get $s) (i32.load (i32.and (local.get $n) (i32.const 0xfffc))))))
        (else (local.set $s (i32.xor (local.get $s) (local.get $n)))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $l))) (local.get $s)`,
  },
  {
    name: 'dot product of doubles',
    goal: 1.5,
    n: 50_000,
    code: `(local $i i32) (local $s f64) (loop $o (local.set $i (i32.const 0)) (loop $l
      (local.set $s (f64.add (local.get $s) (f64.mul (f64.load (local.get $i)) (f64.load offset=8192 (local.get $i)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 8192))))
      (br_if $o (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.trunc_sat_f64_s (local.get $s))`,
  },
  {
    name: 'a*x+y of doubles, stored',
    goal: 1.5,
    n: 50_000,
    code: `(local $i i32) (loop $o (local.set $i (i32.const 0)) (loop $l
      (f64.store (local.get $i) (f64.add (f64.load offset=16384 (local.get $i))
        (f64.mul (f64.load (local.get $i)) (f64.load offset=8192 (local.get $i)))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 8192))))
      (br_if $o (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.const 0)`,
  },
  {
    name: 'nothing but calls (fib 32)',
    goal: 3,
    n: 32,
    code: `(if (result i32) (i32.lt_s (local.get $n) (i32.const 2)) (then (local.get $n)) (else
      (i32.add (call $f (i32.sub (local.get $n) (i32.const 1))) (call $f (i32.sub (local.get $n) (i32.const 2))))))`,
  },
];

function measureLoop({ name, goal, code, n }: (typeof LOOPS)[number]): BenchRow[] {
  const original = assembleWat(`(module (memory 1) (func $f (export "f") (param $n i32) (result i32) ${code}))`);
  const runs = new Map<Uint8Array, () => number>();
  const time = (module: Uint8Array): number => {
    const run = runs.get(module) ?? prepareLoop(module, n);
    runs.set(module, run);
    return run();
  };
  return measure({ name, goal, original, time });
}

function prepareLoop(module: Uint8Array, n: number): () => number {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(module)));
  const call = exports['f'] as (n: number) => number;
  const fuel = exports[FUEL_EXPORT] as WebAssembly.Global | undefined;
  return () => {
    if (fuel !== undefined) fuel.value = 2n ** 60n;
    const startedAt = performance.now();
    call(n);
    return performance.now() - startedAt;
  };
}

const DATA = join(import.meta.dirname, '../examples/digits/data');
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Whole examples, made shorter; compiling is part of the time, and a small one. */
function measureExamples(): BenchRow[] {
  const inputs: Readonly<Record<string, readonly Uint8Array[]>> = {
    trainer: [
      text('rounds = 8\nhidden = 32\nbatch = 16\nlearning_rate = 0.05\nmomentum = 0.9\n'),
      readFileSync(join(DATA, 'test.csv')),
      readFileSync(join(DATA, 'train.csv')),
    ],
    embeddings: [text('words = 8192\nsteps = 8\npairs = 6000\n')],
    ising: [text('256 2.0 150')],
  };
  return buildExamples({ isForced: false }).flatMap((path) => {
    const name = path.replace(/^.*\/|\.wasm$/g, '');
    const given = inputs[name];
    if (given === undefined) return [];
    const seed = new Uint8Array(32).fill(1);
    const time = (module: Uint8Array): number => {
      const startedAt = performance.now();
      if (runExample(module, given, seed).status !== 1) throw new Error(`${name} did not come to its end`);
      return performance.now() - startedAt;
    };
    return measure({ name: `example ${name}`, goal: 2, original: new Uint8Array(readFileSync(path)), time });
  });
}

/** The median of some runs of each; they take turns, so that a busy machine slows all. */
function measure({ name, goal, original, time }: Subject): BenchRow[] {
  const rewrite = (parts: ReadonlySet<InstrumentedPart>): Uint8Array =>
    instrument(original, { maxPages: MAX_PAGES, isStepping: true, parts }).bytes;
  const all = rewrite(ALL_PARTS);
  const alone = INSTRUMENTED_PARTS.map((part) => ({ part, module: rewrite(new Set([part])) }));
  const samples = new Map<Uint8Array, number[]>();
  for (let index = 0; index < RUNS + 1; index += 1) {
    for (const module of [original, all, ...alone.map((entry) => entry.module)]) {
      const elapsedMs = time(module);
      // The first run is in the baseline compiler.
      if (index > 0) samples.set(module, [...(samples.get(module) ?? []), elapsedMs]);
    }
  }
  const median = (module: Uint8Array): number => percentile(samples.get(module) ?? [], 0.5);
  const baseline = { name: 'the original module', value: median(original) };
  return [
    { name: `instrumented: ${name}`, value: median(all), unit: 'ms', baseline, goal: atMost(goal, 'ratio') },
    ...alone.map(({ part, module }) => ({
      name: `  ${PART_NAMES[part]}`,
      value: median(module),
      unit: 'ms',
      baseline,
    })),
  ];
}
