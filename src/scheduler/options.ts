import { tmpdir } from 'node:os';
import type { NetworkParameters } from '../domain/network-definition.ts';

export interface JobRequesterOptions {
  readonly networkId: string;
  readonly parameters: NetworkParameters;
  /** Jobs that may be active at once; further ones are refused. */
  readonly maxActiveJobs: number;
  /** Offer requests of one job under way at once. */
  readonly maxFanOut: number;
  /** Longest wait for the answer to one offer request, ms. */
  readonly offerTimeoutMs: number;
  /** A replica without a provider is given up this long after all others committed, ms. */
  readonly replacementGraceMs: number;
  /** Longest wait for one provider's set signature, and for its reveal, ms. */
  readonly roundTimeoutMs: number;
  /** Once a quorum of equal results is revealed, the rest is waited for this long, ms. */
  readonly revealGraceMs: number;
  /** Longest wait for the output files of a result, ms. */
  readonly outputTimeoutMs: number;
  /** How long after a job's end the snapshots held for it are kept, ms. */
  readonly snapshotKeepForMs: number;
  /** Jobs of a batch that are signed, offered and leased together. */
  readonly batchWindow: number;
  /** Windows of a batch under way at once. */
  readonly batchWindowsInFlight: number;
  readonly confidential: ConfidentialOptions;
}

/** Of confidential jobs (docs/confidential.md). */
export interface ConfidentialOptions {
  /** JSON of this node's own policy, which evidence has to satisfy beside that of the job. */
  readonly ownPolicy: string | null;
  /** The network has a key that simulates hardware. */
  readonly hasSimulatedTee: boolean;
  /** Where large inputs are put together once they are sealed. */
  readonly spoolFolder: string;
}

/** Everything but the network's own figures. */
export const JOB_REQUESTER_DEFAULTS = {
  maxActiveJobs: 100_000,
  maxFanOut: 16,
  offerTimeoutMs: 5_000,
  replacementGraceMs: 5_000,
  roundTimeoutMs: 10_000,
  revealGraceMs: 250,
  outputTimeoutMs: 600_000,
  snapshotKeepForMs: 3_600_000,
  batchWindow: 256,
  batchWindowsInFlight: 3,
  confidential: { ownPolicy: null, hasSimulatedTee: false, spoolFolder: tmpdir() },
} as const satisfies Omit<JobRequesterOptions, 'networkId' | 'parameters'>;
