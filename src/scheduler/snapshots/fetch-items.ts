import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { MAX_ITEMS_PER_REQUEST } from '../../domain/messages.ts';
import type { PeerTransport } from '../../network/interface.ts';
import { ITEM_REQUESTS_IN_FLIGHT } from './constants.ts';
import { SnapshotError } from './errors.ts';

export interface ItemsRequest {
  readonly peer: PeerKey;
  readonly snapshot: BlobId;
  /** Of the snapshot's list. */
  readonly places: readonly number[];
  /** Called for each item as it comes; several may be under way. */
  readonly receive: (place: number, bytes: Uint8Array) => Promise<void>;
}

/**
 * Asks for items in groups, a few groups at a time. The first failure ends the others.
 * @throws SnapshotError SNAPSHOT_NOT_SERVED, SNAPSHOT_INVALID; NetworkError; what `receive` throws
 */
export async function fetchItems(
  modules: { readonly transport: Pick<PeerTransport, 'stream'> },
  request: ItemsRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const groups = inGroups(request.places);
  const work = async (): Promise<void> => {
    try {
      for (const places of groups) await fetchGroup(modules, { ...request, places }, { signal: either });
    } catch (error) {
      ended.abort(error);
      throw error;
    }
  };
  // All have ended when this resolves: nothing is received after it.
  const outcomes = await Promise.allSettled(Array.from({ length: ITEM_REQUESTS_IN_FLIGHT }, work));
  signal.throwIfAborted();
  ended.signal.throwIfAborted();
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** Shared by all who take from it. */
function* inGroups(places: readonly number[]): Generator<readonly number[], void> {
  for (let first = 0; first < places.length; first += MAX_ITEMS_PER_REQUEST) {
    yield places.slice(first, first + MAX_ITEMS_PER_REQUEST);
  }
}

async function fetchGroup(
  { transport }: { readonly transport: Pick<PeerTransport, 'stream'> },
  { peer, snapshot, places, receive }: ItemsRequest,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  let received = 0;
  const request = { op: 'items' as const, snapshot, items: [...places] };
  for await (const response of transport.stream(peer, 'blob', request, options)) {
    if (response.kind !== 'items') throw new SnapshotError({ code: 'SNAPSHOT_NOT_SERVED', snapshot, peer });
    for (const bytes of response.items) {
      const place = places[received];
      if (place === undefined) throw wrongCount(places.length, 'more');
      received += 1;
      await receive(place, bytes);
    }
  }
  if (received < places.length) throw wrongCount(places.length, 'fewer');
}

function wrongCount(asked: number, found: 'more' | 'fewer'): SnapshotError {
  return new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: `${found} items came than the ${asked} asked for` });
}
