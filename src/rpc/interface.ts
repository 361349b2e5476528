/**
 * rpc owns the control socket: JSON-RPC 2.0, newline-delimited, over a Unix socket of mode 0600; its schema (one file a
 * namespace), its error-code table, `rpc.discover`, and the client. It does not own what the methods do.
 * What is below is the in-memory form; schema/ holds the zod schemas of the JSON (bytes as base64, ids as strings).
 */

import type { BeaconStatus } from '../beacon/interface.ts';
import type { BlobCheck, BlobInventory, BlobStat, BlobStore, BlobSummary } from '../blob/interface.ts';
import type { BundleContent, BundleExporter, ExportedBundle } from '../bundle/interface.ts';
import type { AnchoringStatus, AnchorView, ChainStatus, WalletView } from '../chain/interface.ts';
import type { Lamports, TransactionSignature } from '../domain/chain.ts';
import type { BlobId, JobId, ObjectId, PeerKey } from '../domain/ids.ts';
import type { JobBatchId } from '../domain/job-batch.ts';
import type { SubjectRole } from '../domain/observation.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { NeighbourCheck, NeighbourStatus, Network, NetworkStatus, PeerInfo } from '../network/interface.ts';
import type {
  ObservationView,
  ReputationReader,
  ReputationReport,
  ReputationSummary,
} from '../reputation/interface.ts';
import type {
  BatchEntry,
  BatchJob,
  CheckpointView,
  JobBatchView,
  JobDraft,
  JobEvent,
  JobExplanation,
  JobRatings,
  JobState,
  JobView,
  NoWorkExplanation,
  ProviderService,
  ProviderStatus,
  RatingService,
  RequesterService,
} from '../scheduler/interface.ts';
import type { FetchedBlob } from '../scheduler/transfer/interface.ts';

export interface NodeStatus {
  readonly peer: PeerKey;
  readonly networkId: string;
  readonly preset: string;
  readonly version: string;
  readonly pid: number;
  readonly home: string;
  readonly socket: string;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  /** From process start to ready. */
  readonly readyAfterMs: number;
  readonly memoryBytes: number;
  readonly network: NetworkStatus;
  readonly neighbours: Omit<NeighbourStatus, 'neighbours' | 'refusals'>;
  readonly peersKnown: number;
  readonly provider: ProviderStatus;
  readonly jobs: { readonly active: number; readonly total: number };
  readonly beacon: BeaconStatus;
  /** Null on a network without a chain. */
  readonly chain: (ChainStatus & { readonly wallet: WalletView; readonly anchoring: AnchoringStatus }) | null;
  /** Plain sentences about what is weaker than it could be: degraded start, process isolation only, … */
  readonly remarks: readonly string[];
}

/** What the daemon lets the socket do to itself; node/ provides it. */
export interface NodeControl {
  status(): Promise<NodeStatus>;
  /** Begins the graceful stop; the answer is sent before the socket closes. */
  stop(options: { readonly drain: boolean }): void;
  renderMetrics(): Promise<string>;
}

/** What a panic came to. */
export interface PanicReport {
  /** Attempts that waited or ran, and were ended. */
  readonly attempts: number;
  /** Processes that were ended: sandboxes, warm ones too, and whatever else the daemon had started. */
  readonly processes: number;
  /** Of those, how many were still there when the time was over. */
  readonly left: number;
  /** Until no process was left, ms. */
  readonly elapsedMs: number;
}

/** What the operator says while the node runs; node/ provides it. Each holds, and is logged, on disk when it resolves. */
export interface OperatorControl {
  drain(): Promise<void>;
  resume(): Promise<void>;
  panic(): Promise<PanicReport>;
}

/** What an operator does with blobs beside adding them; node/ provides it. */
export interface BlobControl extends BlobInventory {
  /** True if anybody may have it. */
  isPublic(blob: BlobId): boolean;
  share(blob: BlobId): Promise<void>;
  /** False if it was not public. */
  unshare(blob: BlobId): Promise<boolean>;
  /** Brings a public blob here. */
  fetch(request: PublicBlobRequest, options: AbortOptions): Promise<FetchedBlob>;
  /** What is in a folder, at all depths; brings nodes here that are missing, but no files. */
  readFolder(request: FolderRequest, options: AbortOptions): Promise<FolderContent>;
}

export interface PublicBlobRequest {
  readonly blob: BlobId;
  /** Asked first. */
  readonly peers: readonly PeerKey[];
  /** Where it is known, such as from a folder: one of another size is not taken. Else peers are asked. */
  readonly sizeBytes?: number | undefined;
}

export interface FolderRequest {
  readonly folder: BlobId;
  /** Asked first for what is missing. */
  readonly peers: readonly PeerKey[];
  /** Nothing is asked of others. */
  readonly isLocal: boolean;
}

export interface FolderContent {
  readonly folder: BlobId;
  /** The folder itself, with an empty path, and all folders in it, each with the blob that holds its node. */
  readonly folders: readonly { readonly path: string; readonly blob: BlobId }[];
  /** Paths have a slash between names. */
  readonly files: readonly {
    readonly path: string;
    readonly blob: BlobId;
    readonly sizeBytes: number;
    readonly isHere: boolean;
  }[];
  /** Where files are missing: who has the folder's list, and so the files, in all likelihood. */
  readonly sources: readonly PeerKey[];
}

/** What `node.backup` tells of a backup that is being written. */
export type BackupEvent =
  | { readonly kind: 'progress'; readonly files: number; readonly bytes: number }
  | {
      readonly kind: 'done';
      readonly path: string;
      readonly files: number;
      readonly bytes: number;
      readonly entries: number;
      /** Files that went away while it was written: blobs that made room for others. */
      readonly missing: number;
      /** What whoever keeps it should know. */
      readonly remarks: readonly string[];
    };

/** Writes the data folder to a file; node/ provides it. Ends with `done`; leaving it gives the file up. */
export interface BackupControl {
  create(
    request: { readonly path: string; readonly hasBlobs: boolean },
    signal: AbortSignal,
  ): AsyncIterable<BackupEvent>;
}

/** The parts that the methods call. */
export interface RpcModules {
  readonly node: NodeControl;
  readonly operator: OperatorControl;
  readonly backups: BackupControl;
  readonly requester: RequesterService;
  readonly ratings: RatingService;
  readonly provider: ProviderService;
  readonly network: Pick<Network, 'peers' | 'neighbours' | 'connect' | 'status'>;
  readonly blobs: BlobStore;
  readonly blobControl: BlobControl;
  readonly bundles: BundleExporter;
  /** What needs a chain; its methods throw where the network has none. */
  readonly chain: ChainControl;
  readonly reputation: ReputationReader;
}

/** One inclusion that the program `proof-anchor` itself verified on chain. */
export interface AnchorCheck {
  /** Id of the receipt. */
  readonly receipt: ObjectId;
  readonly entry: number;
  readonly leafIndex: number;
  readonly batchSize: number;
  /** `recent`: against the ring of the last 64 entries; `logged`: against the head of the log. */
  readonly against: 'recent' | 'logged';
  readonly transaction: TransactionSignature;
  readonly slot: number;
  readonly feeLamports: Lamports | null;
  readonly computeUnits: number | null;
}

/** The chain as the control socket uses it; node/ provides it. */
export interface ChainControl {
  wallet(): Promise<WalletView>;
  airdrop(
    lamports: Lamports,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly signature: TransactionSignature; readonly lamports: Lamports }>;
  listAnchors(limit: number): Promise<readonly AnchorView[]>;
  /** @throws NodeError NODE_ANCHOR_WAITS if something keeps it from being sent */
  flushAnchors(options: { readonly signal: AbortSignal }): Promise<AnchorView | null>;
  /** Has the program check, in a transaction, that receipts are anchored. */
  verifyAnchors(
    receiptDigests: readonly Uint8Array[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly AnchorCheck[]>;
}

/** Peer as shown to people: the record's facts without its signature. */
export type PeerView = Omit<PeerInfo, 'record'> & {
  readonly record: null | {
    readonly sequence: number;
    readonly expiresAtMs: number;
    readonly software: string;
    readonly provides: boolean;
    readonly region: string | null;
    readonly cpuCores: number;
    readonly memoryBytes: number;
    readonly gpus: readonly string[];
    readonly executors: readonly string[];
    readonly pricesPerHour: readonly string[];
  };
};

export interface RpcMethods {
  'node.status': { params: Record<string, never>; result: NodeStatus };
  'node.stop': { params: { readonly drain: boolean }; result: { readonly isStopping: true } };
  /** What runs goes on; answers at once, and holds over restarts. */
  'node.drain': { params: Record<string, never>; result: { readonly provider: ProviderStatus } };
  'node.resume': { params: Record<string, never>; result: { readonly provider: ProviderStatus } };
  'node.panic': { params: Record<string, never>; result: PanicReport };
  'node.whyNoWork': { params: Record<string, never>; result: NoWorkExplanation };
  'node.metrics': { params: Record<string, never>; result: { readonly text: string } };
  'peers.list': { params: Record<string, never>; result: { readonly peers: readonly PeerView[] } };
  'peers.connect': { params: { readonly address: string }; result: { readonly peer: PeerKey } };
  'neighbours.list': { params: Record<string, never>; result: NeighbourStatus };
  'neighbours.verify': { params: { readonly peer: PeerKey }; result: { readonly checks: readonly NeighbourCheck[] } };
  /** Adds a file of this machine, by absolute path, to the node's blobs. */
  'blob.add': { params: { readonly path: string; readonly private?: true | undefined }; result: BlobStat };
  'blob.addBytes': {
    params: { readonly bytes: Uint8Array; readonly private?: true | undefined };
    result: BlobStat;
  };
  'blob.list': {
    params: { readonly limit: number };
    result: {
      readonly blobs: readonly (BlobSummary & { readonly isPublic: boolean })[];
      readonly usage: ReturnType<BlobInventory['usage']>;
    };
  };
  /** Brings a public blob here; answers when it is. */
  'blob.fetch': {
    params: {
      readonly blob: BlobId;
      readonly peers?: readonly PeerKey[] | undefined;
      readonly sizeBytes?: number | undefined;
    };
    result: FetchedBlob;
  };
  /** Lists what is in a folder; brings its lists here where they are missing, but no files. */
  'blob.folder': {
    params: {
      readonly folder: BlobId;
      readonly peers?: readonly PeerKey[] | undefined;
      readonly local?: true | undefined;
    };
    result: FolderContent;
  };
  /** Writes a blob to a new file (absolute path). */
  'blob.write': { params: { readonly blob: BlobId; readonly path: string }; result: BlobStat };
  /** Hands it to anybody, and tells the DHT. */
  'blob.share': { params: { readonly blob: BlobId }; result: { readonly blob: BlobId } };
  'blob.unshare': { params: { readonly blob: BlobId }; result: { readonly wasPublic: boolean } };
  'blob.verify': { params: { readonly blob: BlobId }; result: BlobCheck };
  'blob.remove': { params: { readonly blob: BlobId }; result: { readonly wasHere: boolean } };
  'job.submit': { params: { readonly draft: JobDraft }; result: JobView };
  'job.submitMany': { params: { readonly drafts: readonly JobDraft[] }; result: { readonly jobs: readonly JobId[] } };
  'batch.open': {
    params: {
      readonly batch: JobBatchId;
      readonly name: string;
      readonly size: number;
      readonly digest: string;
    };
    result: JobBatchView;
  };
  /** Places that have a job keep it. */
  'batch.submit': {
    params: { readonly batch: JobBatchId; readonly jobs: readonly BatchEntry[] };
    result: { readonly jobs: readonly JobId[] };
  };
  'batch.show': { params: { readonly batch: JobBatchId }; result: JobBatchView };
  'batch.list': { params: { readonly limit: number }; result: { readonly batches: readonly JobBatchView[] } };
  'batch.jobs': {
    params: {
      readonly batch: JobBatchId;
      readonly fromIndex: number;
      readonly limit: number;
      readonly state?: JobState;
    };
    result: { readonly jobs: readonly BatchJob[] };
  };
  'batch.cancel': { params: { readonly batch: JobBatchId }; result: JobBatchView };
  'job.list': {
    params: { readonly state?: JobState; readonly limit: number };
    result: { readonly jobs: readonly JobView[] };
  };
  'job.show': { params: { readonly job: JobId }; result: JobView };
  'job.explain': { params: { readonly job: JobId }; result: JobExplanation };
  'job.cancel': { params: { readonly job: JobId }; result: JobView };
  'job.rate': {
    params: { readonly job: JobId; readonly stars: number; readonly replica: number | null };
    result: JobRatings;
  };
  'job.pause': { params: { readonly job: JobId }; result: JobView };
  'job.resume': { params: { readonly job: JobId }; result: JobView };
  'job.checkpoints': { params: { readonly job: JobId }; result: { readonly checkpoints: readonly CheckpointView[] } };
  /** Answers when the job has ended. */
  'job.wait': { params: { readonly job: JobId }; result: JobView };
  /** Writes the accepted output files under a folder (absolute path). */
  'job.writeOutputs': {
    params: { readonly job: JobId; readonly directory: string };
    result: { readonly files: readonly { readonly path: string; readonly sizeBytes: number }[] };
  };
  'bundle.export': {
    params: {
      readonly job: JobId;
      readonly path: string;
      readonly format: 'bundle' | 'in-toto';
      readonly content: BundleContent;
      readonly snapshots?: 'none' | 'last' | 'all' | undefined;
      readonly waitForAnchorMs?: number | undefined;
    };
    result: ExportedBundle;
  };
  /** @throws NodeError NODE_NO_CHAIN on a network without a chain, as all of `wallet` and `anchor` */
  'wallet.show': { params: Record<string, never>; result: WalletView };
  /** Answers when the lamports are there. */
  'wallet.airdrop': {
    params: { readonly lamports: Lamports };
    result: { readonly signature: TransactionSignature; readonly lamports: Lamports };
  };
  'anchor.list': { params: { readonly limit: number }; result: { readonly anchors: readonly AnchorView[] } };
  /** Anchors what waits now; answers when it is final, or at once with null if nothing waits. */
  'anchor.flush': { params: Record<string, never>; result: { readonly anchor: AnchorView | null } };
  /** Has the program check on chain that each receipt of the job is anchored; answers when that is final. */
  'anchor.verify': { params: { readonly job: JobId }; result: { readonly checks: readonly AnchorCheck[] } };
  /** Null: this node. With `why` as many observations as that. */
  'reputation.show': {
    params: { readonly peer: PeerKey | null; readonly role: SubjectRole; readonly why: number };
    result: { readonly report: ReputationReport; readonly observations: readonly ObservationView[] };
  };
  'reputation.list': {
    params: { readonly role: SubjectRole; readonly limit: number };
    result: { readonly peers: readonly ReputationSummary[] };
  };
  'rpc.discover': { params: Record<string, never>; result: unknown };
  /** `isEnded` is false if this connection has no subscription of that name. */
  'rpc.unsubscribe': { params: { readonly subscription: string }; result: { readonly isEnded: boolean } };
}
export type RpcMethodName = keyof RpcMethods;

/** Started by a call of this name, which answers `{ subscription }`; ended by `rpc.unsubscribe` or by the daemon. */
export interface RpcSubscriptions {
  'job.subscribe': { params: { readonly job: JobId; readonly follow: boolean }; event: JobEvent };
  'batch.subscribe': { params: { readonly batch: JobBatchId }; event: JobBatchView };
  'jobs.subscribe': { params: Record<string, never>; event: { readonly job: JobId; readonly state: JobState } };
  /** Writes all that the node keeps to a new file, by absolute path. */
  'node.backup': { params: { readonly path: string; readonly blobs: boolean }; event: BackupEvent };
  'peers.subscribe': { params: Record<string, never>; event: { readonly connected: number; readonly known: number } };
}
export type RpcSubscriptionName = keyof RpcSubscriptions;
