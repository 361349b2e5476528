const MIB = 2 ** 20;
const GIB = 2 ** 30;

export interface InferenceExecutorOptions {
  /** Calls of models that run at the same time; more wait. */
  readonly slots: number;
  /** Children alive, idle ones included; at least `slots`. */
  readonly maxChildren: number;
  /** How long a child keeps its models warm after its last call. */
  readonly idleExpiryMs: number;
  /** Largest memory that one job may ask for. */
  readonly maxMemoryBytes: number;
  /** Most bytes of outputs that one job may ask for: they are held in memory. */
  readonly maxOutputBytes: number;
  /** Most bytes of model and inputs of one job. */
  readonly maxInputBytes: number;
  /** Most threads that one job may ask for. */
  readonly maxThreads: number;
  /** Memory of the result cache; 0: there is none. */
  readonly cacheBytes: number;
  /** How long an answer is kept that nobody asks for again. */
  readonly cacheIdleMs: number;
}

export const DEFAULT_INFERENCE_OPTIONS: Omit<InferenceExecutorOptions, 'maxThreads'> = {
  slots: 2,
  maxChildren: 4,
  idleExpiryMs: 300_000,
  maxMemoryBytes: 4 * GIB,
  maxOutputBytes: GIB,
  maxInputBytes: GIB,
  cacheBytes: 64 * MIB,
  cacheIdleMs: 3_600_000,
};
