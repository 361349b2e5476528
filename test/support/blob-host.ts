/** A node that moves blobs between its disk and others. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileBlobStore } from '../../src/blob/file-blob-store.ts';
import type { BlobTransferStore } from '../../src/blob/interface.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import { LeafServer } from '../../src/scheduler/transfer/leaf-server.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { startTestNode, type TestNode } from './network.ts';

export interface BlobHost extends AsyncDisposable {
  readonly node: TestNode;
  readonly folder: string;
  readonly store: BlobTransferStore;
  readonly grants: BlobGrants;
  readonly transfers: BlobTransfers;
}

export async function startBlobHost(options: Partial<NetworkOptions> = {}): Promise<BlobHost> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-blobs-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const node = stack.use(await startTestNode({ options }));
  const { clock } = node;
  const common = { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
  const { database } = node;
  const store = stack.use(
    new FileBlobStore({ ...common, database }, { directory: join(folder, 'blobs'), maxBytes: 2 ** 40 }),
  );
  await store.start();
  const grants = new BlobGrants();
  const leaves = new LeafServer({ ...common, blobs: store });
  stack.use(serveBlobs(node.network, { blobs: store, leaves }, grants));
  const transfers = stack.use(new BlobTransfers({ ...common, transport: node.network, blobs: store }));
  const parts = stack.move();
  return { node, folder, store, grants, transfers, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}
