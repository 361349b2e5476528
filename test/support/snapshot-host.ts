import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SnapshotStore } from '../../src/blob/interface.ts';
import { createSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { startTestNode, type TestNode } from './network.ts';
import { HeapBlobStore } from './provider-blobs.ts';

/** A node that keeps snapshots on disk and moves them over libp2p. */
export interface SnapshotHost extends AsyncDisposable {
  readonly node: TestNode;
  readonly folder: string;
  readonly store: SnapshotStore;
  readonly grants: BlobGrants;
  readonly fetcher: SnapshotFetcher;
}

export async function startSnapshotHost(): Promise<SnapshotHost> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-snapshots-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const node = stack.use(await startTestNode());
  const { clock, database } = node;
  const common = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const store = stack.use(await createSnapshotStore({ ...common, database }, { folder, maxBytes: 2 ** 32 }));
  const grants = new BlobGrants();
  stack.use(serveBlobs(node.network, { blobs: new HeapBlobStore(), snapshots: store }, grants));
  const fetcher = stack.use(new SnapshotFetcher({ ...common, transport: node.network, store }));
  const parts = stack.move();
  return { node, folder, store, grants, fetcher, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
