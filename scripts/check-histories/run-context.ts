import type { LeaseId } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Lease } from '../../src/domain/lease.ts';
import type { Receipt } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { Attempt } from '../../src/scheduler/job-machine-state.ts';
import type { LeaseRecord } from '../../src/scheduler/provider/leases/lease-record.ts';
import type { BlobShelf } from './blob-shelf.ts';
import type { OpenedNode } from './open-node.ts';
import type { Tally } from './tally.ts';

/** What a requester knows of a lease that it issued. */
export interface IssuedLease {
  readonly node: OpenedNode;
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  /** As the replay of the job's history has it. */
  readonly attempt: Attempt;
  readonly isJobEnded: boolean;
  readonly acceptedAtMs: number | null;
  /** SHA-256 of receipt and commitment, in hex; null where there is none. */
  readonly receipt: string | null;
  readonly commitment: string | null;
}

/** What a provider has of a lease; without the bytes that ride with the receipt, which are on its shelf. */
export interface ProvidedLease {
  readonly node: OpenedNode;
  readonly id: LeaseId;
  readonly record: Omit<LeaseRecord, 'inline'>;
  /** Null where there is none, or its signature does not hold. */
  readonly receipt: Signed<Receipt> | null;
}

/** What all checks of one run share. */
export interface RunContext {
  readonly nodes: readonly OpenedNode[];
  readonly tally: Tally;
  readonly allowRunning: boolean;
  readonly haveClocksJumped: boolean;
  readonly nowMs: number;
  readonly shelves: ReadonlyMap<OpenedNode, BlobShelf>;
  readonly provided: ReadonlyMap<LeaseId, readonly ProvidedLease[]>;
  /** Filled while jobs are checked. */
  readonly issued: Map<LeaseId, IssuedLease>;
}
