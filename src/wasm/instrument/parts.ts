/** What the instrumenter puts into the code of a module. */
export const INSTRUMENTED_PARTS = ['fuel', 'stack', 'nan'] as const;
export type InstrumentedPart = (typeof INSTRUMENTED_PARTS)[number];

/** For every job. Benchmarks leave parts out, to see what each costs; such a module is not deterministic. */
export const ALL_PARTS: ReadonlySet<InstrumentedPart> = new Set(INSTRUMENTED_PARTS);
