import type { EgressHost } from '../../../domain/egress.ts';

const GIB = 2 ** 30;

export interface CommandExecutorOptions {
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
  /** Whether jobs may run the system folders of this host. */
  readonly hostRoot: boolean;
  readonly egress: EgressRules;
  /** Where archives are unpacked; sandboxes have to be able to pass through what is above it. */
  readonly rootsFolder: string;
  /** Most that unpacked archives take on disk. */
  readonly rootsBytes: number;
}

/** Where programs may connect to, if their jobs list it. */
export interface EgressRules {
  readonly allows: (host: EgressHost) => boolean;
  /** Most bytes of one attempt, both directions together. */
  readonly maxBytes: number;
  /** Also addresses of the node's own networks. */
  readonly allowsPrivate: boolean;
}

export const NO_EGRESS: EgressRules = { allows: () => false, maxBytes: 0, allowsPrivate: false };

export const DEFAULT_COMMAND_OPTIONS: Omit<CommandExecutorOptions, 'rootsFolder' | 'maxCpus'> = {
  slots: 2,
  maxMemoryBytes: 4 * GIB,
  maxOutputBytes: GIB,
  maxInputBytes: GIB,
  maxProcesses: 4096,
  hostRoot: false,
  egress: NO_EGRESS,
  rootsBytes: 8 * GIB,
};
