import type { BlobStore } from '../../blob/interface.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { JobAnnouncements, PeerBook, PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import type { Database } from '../../storage/interface.ts';
import type { Confidentiality } from '../../tee/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import type { AttemptNotes } from '../attempt-notes.ts';
import type { BlobGrants } from '../blob-access.ts';
import type { ReputationView } from '../interface.ts';
import type { OfferRouter } from '../offer-router.ts';
import type { ReceiptNotes } from '../receipt-notes.ts';
import type { BlobFetching } from '../transfer/interface.ts';
import type { HeldSnapshots, SnapshotSource } from './snapshot-keeper.ts';

export interface JobRequesterModules {
  readonly identity: EnvelopeSigner;
  readonly network: {
    readonly transport: PeerTransport;
    readonly peers: PeerBook;
    /** Absent: only known peers are asked. */
    readonly announcements?: JobAnnouncements;
  };
  /** Shared with the node's provider: one handler serves the `offer` protocol for both. Absent: there is no provider. */
  readonly offerRouter?: OfferRouter;
  readonly blobs: BlobStore;
  /** Shared with the node's provider. */
  readonly transfers: BlobFetching;
  /** Where snapshots are held, and what fetches them; both shared with the node's provider. */
  readonly snapshots: { readonly store: HeldSnapshots; readonly source: SnapshotSource };
  /** Shared with the node's provider: one handler serves the `blob` protocol for both. */
  readonly grants: BlobGrants;
  readonly database: Database;
  /** Absent where nothing is anchored. */
  readonly receiptNotes?: ReceiptNotes;
  /** Absent where nobody observes providers. */
  readonly attemptNotes?: AttemptNotes;
  /** Absent: every provider is as good as new. */
  readonly reputation?: ReputationView;
  /** Absent: confidential jobs are refused. */
  readonly confidential?: {
    readonly confidentiality: Confidentiality;
    /** 32 bytes: encrypts the secrets of own jobs on disk. */
    readonly storeKey: Uint8Array;
  };
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}
