/**
 * node owns construction and the life of the daemon: it alone constructs, starts in order from the bottom, and unwinds
 * the same stack in reverse. It does not own anything that runs.
 */
import type { Clock } from '../lib/clock.ts';
import type { NodeStatus } from '../rpc/interface.ts';
import type { GpuPlaces } from '../sandbox/gpu/places.ts';
import type { DiskObserver, WriteObserver } from '../storage/interface.ts';

/** What a run of faults puts in, from outside; the program itself sets none of it. */
export interface NodeSeams {
  readonly clock?: Clock;
  readonly writes?: WriteObserver;
  readonly disk?: DiskObserver;
  /** Where GPUs are looked for, instead of on this host. */
  readonly gpus?: GpuPlaces;
}

export interface RunNodeOptions {
  /** Settings by their path, stronger than environment and file. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly home?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborting it begins the graceful stop. */
  readonly signal: AbortSignal;
  /** Form of the log on stderr; `file` writes to the log file alone. */
  readonly log: 'pretty' | 'json' | 'file';
  readonly onReady: (status: NodeStatus) => void;
  /** Asks for the keystore's passphrase; absent where there is no terminal. */
  readonly readSecret?: () => Promise<string>;
}
