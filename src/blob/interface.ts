/**
 * blob owns content-addressed bytes on disk: verified when they come in, capped in size, pinned while in use.
 * It does not own how they travel (network) nor who may have them (scheduler, through BlobAccess).
 */
import type { SnapshotReference } from '../domain/checkpoint.ts';
import type { BlobId, JobId, LeaseId } from '../domain/ids.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import type { AbortOptions } from '../lib/abort.ts';

export interface BlobStat {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

export interface BlobStore {
  /** Stores bytes and gives their id. Durable when it resolves. @throws BlobError BLOB_DISK_FULL, BLOB_TOO_LARGE */
  put(bytes: Uint8Array, options?: BlobOptions): Promise<BlobStat>;
  /** Stores a file without holding it in memory. @throws BlobError */
  putFile(path: string, options?: AbortOptions & BlobOptions): Promise<BlobStat>;
  stat(blob: BlobId): Promise<BlobStat | undefined>;
  /** The whole blob. The bytes may be shared: do not change or transfer them. @throws BlobError BLOB_NOT_FOUND, BLOB_CORRUPT, BLOB_TOO_LARGE (above `maxBytes`) */
  get(blob: BlobId, maxBytes: number): Promise<Uint8Array>;
  /** At most `length` bytes from `offset`; undefined if the blob is not here. */
  read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined>;
  /** Receives chunks in order and keeps them only if they hash to `blob`. @throws BlobError BLOB_MISMATCH */
  receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void>;
  /** A pinned blob is never evicted; pins are counted and do not outlive the process. */
  pin(blob: BlobId): Disposable;
}

/** Where a node of a blob's tree stands: level 0 is that above the leaves, index counts from the left (docs/blobs.md). */
export interface NodePlace {
  readonly level: number;
  readonly index: number;
}

/**
 * A blob that arrives leaf by leaf, in any order and from several peers. What has arrived stays over a crash or a
 * disposal, and the next reception of the same blob goes on from it, until it is given up or evicted.
 */
export interface BlobReception extends AsyncDisposable {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  readonly leafCount: number;
  /** Nodes without which the leaves below cannot be checked, and whose own hash is known; empty once all are here. */
  missingNodes(): readonly NodePlace[];
  /** @throws BlobError BLOB_MISMATCH unless the node hashes to what stands above it and has the one right shape */
  addNode(place: NodePlace, bytes: Uint8Array): Promise<void>;
  hasLeaf(leaf: number): boolean;
  /** @throws BlobError BLOB_MISMATCH unless the bytes hash to this leaf; BLOB_DISK_FULL */
  addLeaf(leaf: number, bytes: Uint8Array): Promise<void>;
  /** Durable when it resolves: it is then a blob as any other. @throws BlobError BLOB_INCOMPLETE */
  commit(): Promise<BlobStat>;
}

/** What transfers need of a store beside `BlobStore`. */
export interface BlobTransferStore extends BlobStore {
  /**
   * Makes room and begins, or goes on with, a reception. One of a blob at a time.
   * @throws BlobError BLOB_TOO_LARGE, BLOB_NO_ROOM, BLOB_DISK_FULL, BLOB_BUSY
   */
  openReception(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception>;
  /** A node of the tree of a blob that is here, whole or in part. */
  readNode(blob: BlobId, place: NodePlace): Promise<Uint8Array | undefined>;
  /** Which leaves of a blob in reception are here, a bit each, the first in the lowest bit; undefined if there is none. */
  partialLeaves(blob: BlobId): { readonly sizeBytes: number; readonly leaves: Uint8Array } | undefined;
}

/** A blob as people see it. */
export interface BlobSummary extends BlobStat {
  /** Less than its size while it arrives. */
  readonly bytesHere: number;
  readonly isPrivate: boolean;
  readonly isPinned: boolean;
  readonly lastUseMs: number;
}

/** What an operator does with blobs. */
export interface BlobInventory {
  /** True if it is here, whole or in part, and encrypted. */
  isPrivate(blob: BlobId): boolean;
  /** Last used first. */
  listBlobs(limit: number): readonly BlobSummary[];
  usage(): { readonly blobs: number; readonly bytes: number; readonly limitBytes: number };
  /** False if nothing of it is here. @throws BlobError BLOB_IN_USE while a job needs it */
  remove(blob: BlobId): Promise<boolean>;
  /** Reads it from disk and hashes it; damaged leaves are let go. Undefined if it is not here. */
  verify(blob: BlobId, options?: AbortOptions): Promise<BlobCheck | undefined>;
}

/** What `FileBlobStore.verify` found when it read a blob from disk. */
export interface BlobCheck extends BlobStat {
  readonly leafCount: number;
  /** Leaves that are not what they should be; all of them where they cannot be checked one by one. */
  readonly damagedLeaves: readonly number[];
}

export interface BlobOptions {
  /**
   * Encrypted on disk (AES-256-GCM, a random key of its own). A blob that is here in plain is encrypted then; one that is
   * encrypted stays so.
   */
  readonly isPrivate?: boolean;
}

/** Whose duty a snapshot is: the provider that made it, or a holder that fetched it. */
export type SnapshotRole = 'provider' | 'holder';

export interface SnapshotKey {
  readonly role: SnapshotRole;
  readonly lease: LeaseId;
  readonly step: number;
}

export interface SnapshotEntry extends SnapshotKey {
  readonly job: JobId;
  readonly reference: SnapshotReference;
  /** Bytes of all its items, and of those that no earlier snapshot had. */
  readonly itemBytes: number;
  readonly addedBytes: number;
  readonly keptUntilMs: number;
}

/** A snapshot being written: nothing of it is seen before `commit`. Dispose to give up. */
export interface SnapshotWriter extends AsyncDisposable {
  /** Places in `snapshot.items` of which the bytes are not here yet. */
  readonly missing: readonly number[];
  /** @throws BlobError BLOB_MISMATCH unless the bytes hash to item `place`; BLOB_DISK_FULL, SNAPSHOT_STORE_FULL */
  add(place: number, bytes: Uint8Array): Promise<void>;
  /** Durable when it resolves. @throws BlobError SNAPSHOT_INCOMPLETE while items are missing */
  commit(): Promise<SnapshotEntry>;
}

/**
 * A snapshot of which the items are known only as they come, such as sealed ones. Nothing of it is seen before `commit`.
 * Dispose to give up.
 */
export interface SnapshotCollector extends AsyncDisposable {
  /** True if this item is here or was added; it then stays until the snapshot is committed or given up. */
  hold(digest: Uint8Array): boolean;
  /** Takes an item and gives its SHA-256; one that is here is not stored again. @throws BlobError BLOB_DISK_FULL, SNAPSHOT_STORE_FULL */
  add(bytes: Uint8Array): Promise<Uint8Array>;
  /** Durable when it resolves. @throws BlobError SNAPSHOT_INCOMPLETE unless all its items are held */
  commit(snapshot: Snapshot): Promise<SnapshotEntry>;
}

/**
 * Snapshots and their items on disk, apart from the blob cache: an item is stored once however many snapshots hold it, a
 * snapshot is whole or not there, what no kept snapshot needs is reclaimed. Capped; never evicts what is kept.
 */
export interface SnapshotStore extends AsyncDisposable {
  /** @throws BlobError SNAPSHOT_STORE_FULL */
  begin(key: SnapshotKey, snapshot: Snapshot, options: { readonly keptUntilMs: number }): Promise<SnapshotWriter>;
  /** @throws BlobError SNAPSHOT_STORE_FULL */
  collect(key: SnapshotKey, options: { readonly keptUntilMs: number }): Promise<SnapshotCollector>;
  /** In ascending order of step. */
  list(filter: { readonly role?: SnapshotRole; readonly lease?: LeaseId }): readonly SnapshotEntry[];
  find(snapshot: BlobId): SnapshotEntry | undefined;
  /** Of items by their SHA-256, which are not here: places in the list. */
  findMissing(items: Uint8Array): readonly number[];
  /** Of items that are here: places of those that no snapshot has which `isOwn` names. */
  findForeign(items: Uint8Array, isOwn: (entry: SnapshotEntry) => boolean): readonly number[];
  /** The encoded `fogproof/snapshot@1`; undefined if it is not here. @throws BlobError BLOB_CORRUPT */
  readSnapshot(snapshot: BlobId): Promise<Uint8Array | undefined>;
  /** One item of a snapshot, checked against its hash; undefined if it is not here. @throws BlobError BLOB_CORRUPT */
  readItem(digest: Uint8Array): Promise<Uint8Array | undefined>;
  /** Keeps it until another time, if it is here. */
  keepUntil(key: SnapshotKey, keptUntilMs: number): Promise<void>;
  /** Lets go of it; its items go when nothing else needs them. */
  release(key: SnapshotKey): Promise<void>;
  usage(): { readonly snapshots: number; readonly bytes: number; readonly limitBytes: number };
}
