import {
  LANES_PER_SOURCE,
  LEAST_RATE,
  MAX_FAILURES,
  MAX_SOURCES,
  MAX_TRANSFERS,
  QUIET_MS,
  SOURCE_BACKOFF_MS,
  STALL_MS,
} from './constants.ts';

export interface TransferOptions {
  readonly maxSources: number;
  readonly lanesPerSource: number;
  readonly stallMs: number;
  readonly quietMs: number;
  readonly leastRate: { readonly bytesPerSecond: number; readonly graceMs: number };
  readonly maxFailures: number;
  readonly backoffMs: { readonly first: number; readonly longest: number };
  readonly maxTransfers: number;
}

export const TRANSFER_DEFAULTS: TransferOptions = {
  maxSources: MAX_SOURCES,
  lanesPerSource: LANES_PER_SOURCE,
  stallMs: STALL_MS,
  quietMs: QUIET_MS,
  leastRate: LEAST_RATE,
  maxFailures: MAX_FAILURES,
  backoffMs: SOURCE_BACKOFF_MS,
  maxTransfers: MAX_TRANSFERS,
};
