import { createSeededNumbers } from '../../test/support/stepping-modules.ts';

/** What one seed asks the generator for. */
export interface Recipe {
  readonly seed: number;
  readonly input: Uint8Array;
  readonly flags: readonly string[];
  /** How the NaNs that plain execution leaves open are settled, so that every bit can be compared. */
  readonly nans: 'removed' | 'canonical';
  /** Puts pieces between the generator's instructions; null leaves the module as it is. */
  readonly enrichment: number | null;
  /** `refusable`: with proposals that jobs may not use. */
  readonly features: 'accepted' | 'refusable';
  /** Loops and calls that one call of an export may make. */
  readonly hangLimit: number;
}

const ACCEPTED = [
  ['--enable-sign-ext', '--enable-mutable-globals', '--enable-nontrapping-float-to-int'],
  ['--enable-bulk-memory', '--enable-bulk-memory-opt'],
  ['--enable-simd'],
  ['--enable-multivalue'],
  ['--enable-reference-types', '--enable-extended-const'],
] as const;

const REFUSABLE = [
  '--enable-threads',
  '--enable-exception-handling',
  '--enable-tail-call',
  '--enable-relaxed-simd',
  '--enable-memory64',
  '--enable-multimemory',
  '--enable-gc',
] as const;

const SHAPES = [[], [], ['-O1'], ['-O3'], ['--fuzz-passes'], ['--flatten', '--rereloop'], ['--ssa']] as const;
const SIZES = [500, 1500, 3000, 6000, 12_000, 24_000] as const;
/** The generator lets its modules count passes of loops and calls, and trap at 100; most would do more. */
const HANG_LIMITS = [100, 1000, 3000] as const;

/** Every choice comes from the seed. `length` shortens the input: a smaller module that may still differ. */
export function createRecipe(seed: number, length?: number): Recipe {
  const below = createSeededNumbers(seed);
  const sizeBytes = (SIZES[below(SIZES.length)] ?? 1000) + below(200);
  const isRefusable = below(20) === 0;
  const level = 1 + below(ACCEPTED.length);
  const nans = below(2) === 0 ? 'removed' : 'canonical';
  const shape = SHAPES[below(SHAPES.length)] ?? [];
  const extra = isRefusable ? ['--enable-reference-types', REFUSABLE[below(REFUSABLE.length)] ?? ''] : [];
  const bounds = below(2) === 0 ? ['--no-fuzz-oob'] : [];
  const hangLimit = HANG_LIMITS[below(HANG_LIMITS.length)] ?? 100;
  // Bulk operations are among what is put in; removed NaNs would come back.
  const enrichment = nans === 'canonical' && level >= 2 && below(4) > 0 ? seed : null;
  const input = Uint8Array.from({ length: length ?? sizeBytes }, () => below(256));
  return {
    seed,
    input,
    flags: [
      '-mvp',
      ...ACCEPTED.slice(0, level).flat(),
      ...extra,
      ...bounds,
      ...shape,
      ...(nans === 'removed' && !isRefusable ? ['--denan'] : []),
    ],
    nans,
    enrichment,
    features: isRefusable ? 'refusable' : 'accepted',
    hangLimit,
  };
}
