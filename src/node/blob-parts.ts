import { FileBlobStore } from '../blob/file-blob-store.ts';
import type { BlobInventory } from '../blob/interface.ts';
import { createSnapshotStore, type PackedSnapshotStore } from '../blob/snapshots/packed-snapshot-store.ts';
import { computeDataPaths } from '../config/paths.ts';
import type { NodeConfig } from '../config/schema.ts';
import type { StoreKeySource } from '../identity/interface.ts';
import type { Clock } from '../lib/clock.ts';
import type { Network } from '../network/interface.ts';
import { BlobGrants, serveBlobs } from '../scheduler/blob-access.ts';
import { SnapshotFetcher } from '../scheduler/snapshots/snapshot-fetcher.ts';
import { BlobTransfers } from '../scheduler/transfer/blob-transfers.ts';
import type { PublicBlobs } from '../scheduler/transfer/interface.ts';
import { LeafServer } from '../scheduler/transfer/leaf-server.ts';
import { SharedBlobs } from '../scheduler/transfer/public-blobs.ts';
import type { Database, DiskObserver } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { NodeBlobControl } from './blob-control.ts';

export interface StoreModules {
  readonly identity: StoreKeySource;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly observer: DiskObserver | undefined;
}

export interface Stores {
  readonly blobs: FileBlobStore;
  readonly store: PackedSnapshotStore;
}

/** Blobs and snapshots on disk; both are closed with the stack. */
export async function openStores(
  modules: StoreModules,
  config: NodeConfig,
  stack: AsyncDisposableStack,
): Promise<Stores> {
  const { blobs: directory, snapshots: folder } = computeDataPaths(config.home);
  const storeKey = modules.identity.deriveStoreKey();
  const blobs = stack.use(new FileBlobStore(modules, { directory, maxBytes: config.blobs.maxBytes, storeKey }));
  const store = stack.use(await createSnapshotStore(modules, { folder, maxBytes: config.snapshots.maxBytes }));
  return { blobs, store };
}

export interface BlobParts {
  readonly grants: BlobGrants;
  readonly transfers: BlobTransfers;
  readonly fetcher: SnapshotFetcher;
  readonly sharedBlobs: SharedBlobs;
  readonly blobControl: NodeBlobControl;
}

/** What brings blobs here and hands them out. */
export function createBlobParts(
  modules: Omit<StoreModules, 'identity' | 'observer'> & { readonly network: Network },
  { blobs, store }: Stores,
  stack: AsyncDisposableStack,
): BlobParts {
  const { network, database, clock } = modules;
  const { content } = network;
  const grants = new BlobGrants();
  const fetcher = stack.use(new SnapshotFetcher({ ...modules, transport: network, store }));
  const transfers = stack.use(new BlobTransfers({ ...modules, transport: network, blobs }));
  const sharedBlobs = stack.use(new SharedBlobs({ database, content }));
  const leaves = new LeafServer({ ...modules, blobs });
  const publicBlobs = publicUnlessPrivate(sharedBlobs, blobs);
  stack.use(serveBlobs(network, { clock, blobs, leaves, snapshots: store, publicBlobs }, grants));
  const blobControl = new NodeBlobControl({ blobs, sharedBlobs, transfers, transport: network, content, clock });
  return { grants, transfers, fetcher, sharedBlobs, blobControl };
}

/** A public blob that a job or its owner asks to be private is handed out to those alone that a lease names. */
export function publicUnlessPrivate(shared: PublicBlobs, blobs: Pick<BlobInventory, 'isPrivate'>): PublicBlobs {
  return { isPublic: (blob) => shared.isPublic(blob) && !blobs.isPrivate(blob) };
}
