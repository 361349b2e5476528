import type { BlobStore, SnapshotStore } from '../blob/interface.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type { BlobRequest, BlobResponse } from '../domain/messages.ts';
import { type Clock, SystemClock } from '../lib/clock.ts';
import type { HandlerContext, PeerTransport } from '../network/interface.ts';
import { SnapshotServer } from './snapshots/snapshot-server.ts';
import type { PublicBlobs } from './transfer/interface.ts';
import type { LeafServer } from './transfer/leaf-server.ts';

/**
 * Who may read which blob, counted: a blob stays readable for a peer until every grant that names it is disposed.
 * Requester and provider of one node share it. Each side bounds it: it grants for live leases only. Whoever is granted a
 * snapshot by the id of its object may read its items too.
 */
export class BlobGrants {
  readonly #counts = new Map<PeerKey, Map<BlobId, number>>();

  grant(peer: PeerKey, blobs: Iterable<BlobId>): Disposable {
    const granted = [...blobs];
    const counts = this.#counts.get(peer) ?? new Map<BlobId, number>();
    this.#counts.set(peer, counts);
    for (const blob of granted) counts.set(blob, (counts.get(blob) ?? 0) + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#release(peer, granted);
        isHeld = false;
      },
    };
  }

  isAllowed(peer: PeerKey, blob: BlobId): boolean {
    return this.#counts.get(peer)?.has(blob) === true;
  }

  #release(peer: PeerKey, blobs: readonly BlobId[]): void {
    const counts = this.#counts.get(peer);
    if (counts === undefined) return;
    for (const blob of blobs) {
      const count = counts.get(blob) ?? 0;
      if (count > 1) counts.set(blob, count - 1);
      else counts.delete(blob);
    }
    if (counts.size === 0) this.#counts.delete(peer);
  }
}

/** What a node hands out; what is absent is `not-found`. */
export interface ServedStores {
  /** The system's by default. */
  readonly clock?: Clock;
  readonly blobs: Pick<BlobStore, 'read' | 'stat'>;
  readonly leaves?: Pick<LeafServer, 'stat' | 'node' | 'leaves'>;
  readonly snapshots?: Pick<SnapshotStore, 'find' | 'readSnapshot' | 'readItem'>;
  /** What is handed to anybody; absent: nothing. Never a snapshot. */
  readonly publicBlobs?: PublicBlobs;
}

/** Registers the one handler of the `blob` protocol; dispose to unregister. What a peer may not have is `not-found`. */
export function serveBlobs(transport: PeerTransport, stores: ServedStores, grants: BlobGrants): Disposable {
  using stack = new DisposableStack();
  const snapshots =
    stores.snapshots === undefined
      ? undefined
      : stack.use(new SnapshotServer(stores.snapshots, { clock: stores.clock ?? new SystemClock() }));
  const handling = transport.handle('blob', (request, context) => {
    const named = request.op === 'items' ? request.snapshot : request.blob;
    const isGranted = grants.isAllowed(context.peer, named);
    if (isGranted && request.op === 'items' && snapshots !== undefined) return snapshots.readItems(request, context);
    if (request.op === 'items' || !(isGranted || stores.publicBlobs?.isPublic(named) === true)) return notFound();
    return answer(stores, isGranted ? snapshots : undefined, { request, context, isGranted });
  });
  stack.use(handling);
  return stack.move();
}

async function* notFound(): AsyncGenerator<BlobResponse> {
  yield { kind: 'not-found' };
}

interface PermittedRequest {
  readonly request: Exclude<BlobRequest, { op: 'items' }>;
  readonly context: HandlerContext;
  readonly isGranted: boolean;
}

async function* answer(
  { blobs, leaves }: ServedStores,
  snapshots: SnapshotServer | undefined,
  { request, context, isGranted }: PermittedRequest,
): AsyncGenerator<BlobResponse> {
  if (request.op === 'read') yield (await snapshots?.readChunk(request)) ?? (await readChunk(blobs, request));
  else if (leaves === undefined) yield { kind: 'not-found' };
  else if (request.op === 'leaves')
    yield* leaves.leaves(request, { peer: context.peer, signal: context.signal, isGranted });
  else yield request.op === 'stat' ? await leaves.stat(request) : await leaves.node(request);
}

async function readChunk(
  blobs: Pick<BlobStore, 'read' | 'stat'>,
  request: Extract<BlobRequest, { op: 'read' }>,
): Promise<BlobResponse> {
  const [stat, bytes] = await Promise.all([
    blobs.stat(request.blob),
    blobs.read(request.blob, request.offset, request.maxBytes),
  ]);
  if (stat === undefined || bytes === undefined) return { kind: 'not-found' };
  return { kind: 'chunk', sizeBytes: stat.sizeBytes, bytes };
}
