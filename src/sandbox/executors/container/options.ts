import { RUNTIME_NAMES, type RuntimeName } from './runtime.ts';

const GIB = 2 ** 30;

export interface ContainerExecutorOptions {
  /** Tasks that run at the same time; more wait. */
  readonly slots: number;
  /** Largest memory that one job may ask for. */
  readonly maxMemoryBytes: number;
  /** Most bytes of outputs that one job may ask for: they are held in memory. */
  readonly maxOutputBytes: number;
  /** Most bytes of inputs of one job. */
  readonly maxInputBytes: number;
  /** Most thousandths of a processor that one job may ask for. */
  readonly maxCpus: number;
  readonly maxProcesses: number;
  /** Where images are unpacked; sandboxes have to be able to pass through what is above it. No other executor's. */
  readonly imagesFolder: string;
  /** Most that unpacked images take on disk. */
  readonly imagesBytes: number;
}

export const DEFAULT_CONTAINER_OPTIONS: Omit<ContainerExecutorOptions, 'imagesFolder' | 'maxCpus'> = {
  slots: 2,
  maxMemoryBytes: 4 * GIB,
  maxOutputBytes: GIB,
  maxInputBytes: GIB,
  maxProcesses: 4096,
  imagesBytes: 16 * GIB,
};

/** In the order in which they are tried. `auto` is whichever works first. */
export type RuntimeChoice = 'auto' | RuntimeName;
export function listRuntimes(choice: RuntimeChoice): readonly RuntimeName[] {
  return choice === 'auto' ? RUNTIME_NAMES : [choice];
}
