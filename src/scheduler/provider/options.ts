import type { IsolationLevel } from '../../domain/capability.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { ResourceAmount } from '../../domain/job.ts';
import type { NetworkParameters } from '../../domain/network-definition.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import { OPEN_POLICY, type PolicyOptions } from './policy/operator-policy.ts';
import type { HostLimits } from './queue/host-gauge.ts';

export interface JobProviderOptions {
  readonly networkId: string;
  readonly parameters: NetworkParameters;
  readonly isEnabled: boolean;
  /** Attempts that run at once. */
  readonly slots: number;
  /** Most that one job may ask for. */
  readonly limits: { readonly [Name in ResourceAmount]: number };
  /** Largest sum of a job's module and inputs, bytes: they are held in memory while it runs. */
  readonly maxInputBytes: number;
  readonly allowRequesters: 'anyone' | readonly PeerKey[];
  /** Their jobs run at the isolation that they ask for; strangers' at `isolationForStrangers` or stronger. */
  readonly trustedRequesters: readonly PeerKey[];
  readonly isolationForStrangers: IsolationLevel;
  readonly ownJobs: 'run' | 'refuse';
  /** What the operator lets others do here, and when. */
  readonly policy: PolicyOptions;
  /** Standing prices, as in the node record; a class without one is worked for nothing. */
  readonly pricesPerHour: NodeRecord['pricesPerHour'];
  /** How long an ended attempt's result waits for its requester, ms. */
  readonly resultsKeptForMs: number;
  /** Longest wait for one attempt's inputs, ms; the snapshot that it goes on from is among them. */
  readonly inputTimeoutMs: number;
  readonly snapshots: SnapshotOptions;
  readonly queue: QueueOptions;
  readonly host: HostLimits;
}

/** How much may wait for slots; what is beyond is refused with the time after which to ask again. */
export interface QueueOptions {
  /** Attempts that wait, in all; 0 is no queue: who finds no free slot is refused. */
  readonly attempts: number;
  readonly attemptsPerRequester: number;
  /** Longest expected wait for the first slot, ms, at most `MAX_QUEUED_MS`. */
  readonly maxWaitMs: number;
  /** Most that the waiting work of one requester is expected to keep all slots busy, ms. */
  readonly maxWorkMs: number;
}

export interface SnapshotOptions {
  /** Most of an attempt's run time that making snapshots may take, above 0 and at most 1. */
  readonly share: number;
  /** How long snapshots of an ended attempt are kept: the time in which its result can be challenged, ms. */
  readonly keepForMs: number;
  /** Of one attempt, evenly apart, at least 2. */
  readonly maxPerAttempt: number;
  readonly hold: HoldOptions;
}

/** Whose snapshots this node holds for them, where their jobs name it as holder. */
export interface HoldOptions {
  /** This node itself is always among them but for 'nobody'; 'trusted' is `trustedRequesters`. */
  readonly for: 'nobody' | 'trusted' | 'anyone' | readonly PeerKey[];
  /** Bytes of items held for one requester, and for all together. */
  readonly maxBytesPerRequester: number;
  readonly maxBytes: number;
}

/** Everything but the network's own figures. Production demands `bubblewrap` for strangers (design section 6). */
export const JOB_PROVIDER_DEFAULTS = {
  isEnabled: true,
  slots: 1,
  limits: {
    memoryBytes: 4 * 2 ** 30,
    fuel: Number.MAX_SAFE_INTEGER,
    wallTimeMs: 24 * 3_600_000,
    outputBytes: 2 ** 30,
    logBytes: 64 * 2 ** 20,
  },
  maxInputBytes: 2 ** 30,
  allowRequesters: 'anyone',
  trustedRequesters: [],
  isolationForStrangers: 'bubblewrap',
  ownJobs: 'run',
  policy: OPEN_POLICY,
  pricesPerHour: [],
  resultsKeptForMs: 3_600_000,
  inputTimeoutMs: 600_000,
  snapshots: {
    share: 0.1,
    keepForMs: 3_600_000,
    maxPerAttempt: 64,
    // Holding is unpaid: who wants to do it for strangers says so.
    hold: { for: 'trusted', maxBytesPerRequester: 2 ** 30, maxBytes: 4 * 2 ** 30 },
  },
  // Two full batches of a requester (MAX_LIVE_ATTEMPTS_PER_PEER).
  queue: { attempts: 16_384, attemptsPerRequester: 8_192, maxWaitMs: 30_000, maxWorkMs: 1_800_000 },
  host: { reserveMemoryBytes: 2 ** 28, reserveDiskBytes: 2 ** 30, maxLoopDelayMs: 500, maxCpuPressurePercent: 100 },
} as const satisfies Omit<JobProviderOptions, 'networkId' | 'parameters'>;
