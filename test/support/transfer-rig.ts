import { BLOB_LEAF_BYTES } from '../../src/domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../src/domain/ids.ts';
import type { BlobRequest, BlobResponse } from '../../src/domain/messages.ts';
import type { HandlerContext, PeerTransport } from '../../src/network/interface.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { BlobTransfers } from '../../src/scheduler/transfer/blob-transfers.ts';
import type { PublicBlobs } from '../../src/scheduler/transfer/interface.ts';
import { LeafServer } from '../../src/scheduler/transfer/leaf-server.ts';
import type { TransferOptions } from '../../src/scheduler/transfer/options.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { TransportMesh } from './fake-transport.ts';
import { ManualClock, settleTasks } from './manual-clock.ts';
import { MemoryTransferStore } from './memory-transfer-store.ts';
import { identityOf } from './requester-rig.ts';

/** Answers a request as it likes, perhaps by what the honest server would say. */
export type Behaviour = (
  request: BlobRequest,
  honest: () => AsyncGenerator<BlobResponse>,
  context: HandlerContext,
) => AsyncIterable<BlobResponse>;

export interface TransferPeer {
  readonly peer: PeerKey;
  readonly store: MemoryTransferStore;
  readonly grants: BlobGrants;
  /** What it was asked. */
  readonly asked: BlobRequest[];
  behave: Behaviour | null;
}

/** One fetching node and some that serve, in one process and on a clock of the test's own. */
export class TransferRig {
  readonly clock = new ManualClock();
  readonly mesh = new TransportMesh(this.clock);
  readonly metrics = new NoopMetricsRegistry();
  readonly store = new MemoryTransferStore();
  readonly self: PeerKey;
  readonly transport: PeerTransport;
  readonly transfers: BlobTransfers;

  private constructor(self: PeerKey, options: Partial<TransferOptions>) {
    this.self = self;
    this.transport = this.mesh.join(self);
    this.transfers = this.createTransfers(options);
  }

  static async create(options: Partial<TransferOptions> = {}): Promise<TransferRig> {
    return new TransferRig((await identityOf(1)).peer, options);
  }

  /** Another instance over the same store, as after a restart. */
  createTransfers(options: Partial<TransferOptions> = {}): BlobTransfers {
    const { transport, store: blobs, clock, metrics } = this;
    return new BlobTransfers({ transport, blobs, clock, metrics }, options);
  }

  /** A node that has `bytes` and grants them to the fetching one. */
  async addPeer(
    number: number,
    bytes: Uint8Array | null,
    options: { readonly publicBlobs?: PublicBlobs; readonly isGranted?: boolean } = {},
  ): Promise<TransferPeer> {
    const { peer } = await identityOf(number);
    const store = new MemoryTransferStore();
    const grants = new BlobGrants();
    if (bytes !== null) {
      const { blob } = await store.put(bytes);
      if (options.isGranted !== false) grants.grant(this.self, [blob]);
    }
    const { clock, metrics } = this;
    const leaves = new LeafServer({ blobs: store, clock, metrics });
    const transport = this.mesh.join(peer);
    const { publicBlobs } = options;
    serveBlobs(transport, { blobs: store, leaves, ...(publicBlobs === undefined ? {} : { publicBlobs }) }, grants);
    const honest = this.mesh.handlers.get(`${peer}/blob`);
    if (honest === undefined) throw new TypeError('nothing is served');
    const added: TransferPeer = { peer, store, grants, asked: [], behave: null };
    transport.handle('blob', (request, context) => {
      added.asked.push(request);
      const answer = (): AsyncGenerator<BlobResponse> => honest(request, context) as AsyncGenerator<BlobResponse>;
      return added.behave === null ? answer() : added.behave(request, answer, context);
    });
    return added;
  }

  /** Lets time pass in steps until the promise settles. */
  async settle<Value>(promise: Promise<Value>, stepMs = 50, steps = 4_000): Promise<Value> {
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    promise.then(note, note);
    for (let step = 0; step < steps && !isSettled; step++) {
      await settleTasks(3);
      if (!isSettled) await this.clock.advance(stepMs);
    }
    if (!isSettled) throw new Error('it did not settle');
    return await promise;
  }
}

/** Bytes of a blob of so many leaves, the last one short, no two leaves alike. */
export function bytesOfLeaves(leaves: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array((leaves - 1) * BLOB_LEAF_BYTES + 1000);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
  let state = seed * 2654435761;
  for (let index = 0; index < words.length; index += 64) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[index] = state;
  }
  return bytes;
}

/** Without looking at each byte apart, as `toEqual` does. */
export function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

export const fetchRequest = (blob: BlobId, bytes: Uint8Array, ...sources: TransferPeer[]) => ({
  blob,
  sizeBytes: bytes.length,
  sources: sources.map(({ peer }) => peer),
});
