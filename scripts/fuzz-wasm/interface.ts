/** What is run, and what was seen of it; both cross the pipe between the fuzzer and its children. */
export interface ExportedFunction {
  readonly name: string;
  readonly params: readonly number[];
}

export interface Execution {
  readonly bytes: Uint8Array;
  readonly isInstrumented: boolean;
  readonly functions: readonly ExportedFunction[];
  /** Calls of exports to make; arguments come from `seed`. */
  readonly calls: number;
  readonly seed: number;
  /** What the module's own count of loops and calls is set to before each call. */
  readonly hangLimit: number;
}

/** Texts, so that they compare by `===` and can be printed; any NaN is `nan`. */
export interface Transcript {
  /** How instantiation and each call ended: `= values` or `! trap`. */
  readonly ends: readonly string[];
  /** What the module told its host, in order, shortened to a digest. */
  readonly host: string;
  readonly memory: string;
  readonly globals: readonly string[];
  readonly tables: readonly string[];
  /** Fuel taken by each call; empty texts for a plain module that does not count. */
  readonly fuel: readonly string[];
  /** Traps that the host caught during each call. */
  readonly caught: readonly number[];
}

export const FUEL = 20_000_000n;
/** Ends of instrumented modules that plain execution does not have. */
export const OUT_OF_FUEL = '! out of fuel';
export const OUT_OF_STACK = '! stack exhausted';
/** Plain execution only: the engine's own stack ended, at a depth that is its own. */
export const NATIVE_STACK = '! native stack';
