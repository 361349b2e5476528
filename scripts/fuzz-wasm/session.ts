import { Comparison, type Verdict } from './compare.ts';
import { ModuleGenerator } from './generate.ts';
import { TIERS, TierProcess } from './tier-process.ts';

export interface FuzzOptions {
  readonly runs: number;
  /** The first seed; those that follow are counted up from it. */
  readonly seed: number;
  /** Told of each verdict as it comes. */
  readonly onVerdict?: (seed: number, verdict: Verdict) => void;
}

export interface FuzzFailure {
  readonly seed: number;
  readonly what: string;
  /** Shortest input of the generator that still differs, in bytes; null if none shorter does. */
  readonly length: number | null;
}

export interface FuzzReport {
  readonly runs: number;
  readonly same: number;
  readonly calls: number;
  readonly traps: number;
  readonly fuel: bigint;
  readonly cutShort: ReadonlyMap<string, number>;
  readonly refused: ReadonlyMap<string, number>;
  readonly notGenerated: number;
  readonly failures: readonly FuzzFailure[];
  readonly seconds: number;
}

const LENGTHS = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192] as const;

/** Runs seeds one after another; stops at none. */
export async function fuzz({ runs, seed: first, onVerdict }: FuzzOptions): Promise<FuzzReport> {
  await using stack = new AsyncDisposableStack();
  const generator = stack.use(new ModuleGenerator());
  const tiers = TIERS.map((tier) => stack.use(new TierProcess(tier)));
  const comparison = new Comparison({ generator, tiers });
  const startedAt = performance.now();
  const total = { same: 0, calls: 0, traps: 0, fuel: 0n, notGenerated: 0 };
  const cutShort = new Map<string, number>();
  const refused = new Map<string, number>();
  const failures: FuzzFailure[] = [];
  for (let seed = first; seed < first + runs; seed++) {
    const verdict = await comparison.run(seed);
    onVerdict?.(seed, verdict);
    if (verdict.kind === 'same') {
      total.same++;
      total.calls += verdict.calls;
      total.traps += verdict.traps;
      total.fuel += verdict.fuel;
    } else if (verdict.kind === 'cut short') count(cutShort, verdict.by);
    else if (verdict.kind === 'refused') count(refused, verdict.why);
    else if (verdict.kind === 'not generated') total.notGenerated++;
    else failures.push({ seed, what: verdict.what, length: await findShortest(comparison, seed) });
  }
  return { ...total, runs, cutShort, refused, failures, seconds: (performance.now() - startedAt) / 1000 };
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

async function findShortest(comparison: Comparison, seed: number): Promise<number | null> {
  for (const length of LENGTHS) {
    if ((await comparison.run(seed, length)).kind === 'differs') return length;
  }
  return null;
}
