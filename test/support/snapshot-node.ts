import { PackedSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { PeerTransport } from '../../src/network/interface.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { SnapshotFetcher, type SnapshotFetcherOptions } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import type { TransportMesh } from './fake-transport.ts';
import type { ManualClock } from './manual-clock.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { HeapBlobStore } from './provider-blobs.ts';

/** A node that keeps snapshots, hands them out and fetches them; disk, database and network are in memory. */
export interface SnapshotNode extends AsyncDisposable {
  readonly peer: PeerKey;
  readonly store: PackedSnapshotStore;
  readonly disk: MemoryDisk;
  readonly grants: BlobGrants;
  readonly fetcher: SnapshotFetcher;
  readonly transport: PeerTransport;
}

export interface SnapshotNodeSetup extends SnapshotFetcherOptions {
  readonly mesh: TransportMesh;
  readonly clock: ManualClock;
  readonly peer: PeerKey;
  readonly maxBytes?: number;
  /** Stands between the fetcher and the mesh. */
  readonly wrap?: (transport: PeerTransport) => PeerTransport;
}

export async function startSnapshotNode(setup: SnapshotNodeSetup): Promise<SnapshotNode> {
  const { mesh, clock, peer, maxBytes = 2 ** 30, wrap = (transport) => transport } = setup;
  const disk = new MemoryDisk();
  const common = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const modules = { ...common, disk, database: new MemoryDatabase() };
  const store = new PackedSnapshotStore(modules, { folder: '/packs', maxBytes });
  await store.start();
  const transport = wrap(mesh.join(peer));
  const grants = new BlobGrants();
  const serving = serveBlobs(transport, { blobs: new HeapBlobStore(), snapshots: store }, grants);
  const fetcher = new SnapshotFetcher({ ...common, transport, store }, setup);
  const dispose = async (): Promise<void> => {
    serving[Symbol.dispose]();
    await fetcher[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  };
  return { peer, store, disk, grants, fetcher, transport, [Symbol.asyncDispose]: dispose };
}
