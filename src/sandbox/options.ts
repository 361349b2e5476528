export interface WasmExecutorOptions {
  /** Tasks that run at the same time; more wait. */
  readonly slots: number;
  /** Children alive, idle ones included; at least `slots`. */
  readonly maxChildren: number;
  /** An idle child ends after this long. */
  readonly idleExpiryMs: number;
  /** Largest memory that one job may ask for. */
  readonly maxMemoryBytes: number;
  /** Most bytes of outputs that one job may ask for. */
  readonly maxOutputBytes: number;
  /** Most bytes of inputs of one job. */
  readonly maxInputBytes: number;
  /** Flags for the engine of the children; tests force compiler tiers with them. */
  readonly engineFlags: readonly string[];
}

const GIB = 2 ** 30;

export const DEFAULT_WASM_EXECUTOR_OPTIONS: WasmExecutorOptions = {
  slots: 2,
  maxChildren: 8,
  idleExpiryMs: 60_000,
  maxMemoryBytes: 4 * GIB,
  maxOutputBytes: GIB,
  maxInputBytes: GIB,
  engineFlags: [],
};
