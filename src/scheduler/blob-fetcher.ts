import { pipe } from 'it-pipe';
import type { BlobStore } from '../blob/interface.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import { MAX_BLOB_CHUNK_BYTES } from '../domain/messages.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { PeerTransport } from '../network/interface.ts';
import { BLOB_CHUNKS_IN_FLIGHT } from './constants.ts';
import { SchedulerError } from './errors.ts';

export interface BlobFetchModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly blobs: Pick<BlobStore, 'stat' | 'receive'>;
}

export interface BlobFetchRequest {
  readonly peer: PeerKey;
  readonly blob: BlobId;
  /** As the signed object that names the blob says. */
  readonly sizeBytes: number;
}

/**
 * Pulls a blob from a peer into the store, which keeps it only if it hashes to its id. Returns at once if it is here.
 * @throws SchedulerError SCHEDULER_BLOB_NOT_SERVED, SCHEDULER_BLOB_SIZE; NetworkError; BlobError BLOB_MISMATCH
 */
export async function fetchBlob(
  modules: BlobFetchModules,
  request: BlobFetchRequest,
  options: AbortOptions = {},
): Promise<void> {
  const held = await modules.blobs.stat(request.blob);
  if (held?.sizeBytes === request.sizeBytes) return;
  await pipe(fetchChunks(modules, request, options), (chunks) =>
    modules.blobs.receive(request.blob, request.sizeBytes, chunks),
  );
}

/**
 * The bytes of a blob in order, as many as `request.sizeBytes`; whether they are that blob is for the caller to see.
 * @throws SchedulerError SCHEDULER_BLOB_NOT_SERVED, SCHEDULER_BLOB_SIZE; NetworkError
 */
export function fetchChunks(
  modules: Pick<BlobFetchModules, 'transport'>,
  request: BlobFetchRequest,
  options: AbortOptions = {},
): AsyncGenerator<Uint8Array> {
  return requestAhead(offsets(request.sizeBytes), (offset) => requestChunk(modules, { ...request, offset }, options));
}

function* offsets(sizeBytes: number): Generator<number> {
  for (let offset = 0; offset < sizeBytes; offset += MAX_BLOB_CHUNK_BYTES) yield offset;
}

/** Keeps a few requests in flight, so that a chunk's round trip is not waited for before the next is asked for. */
async function* requestAhead(
  source: Iterable<number>,
  requestAt: (offset: number) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const pending: Promise<Uint8Array>[] = [];
  for (const offset of source) {
    const chunk = requestAt(offset);
    // A later chunk may fail while an earlier one is awaited; its rejection surfaces when its turn comes.
    chunk.catch(() => undefined);
    pending.push(chunk);
    const first = pending.length < BLOB_CHUNKS_IN_FLIGHT ? undefined : pending.shift();
    if (first !== undefined) yield await first;
  }
  for (const chunk of pending) yield await chunk;
}

async function requestChunk(
  modules: Pick<BlobFetchModules, 'transport'>,
  request: BlobFetchRequest & { readonly offset: number },
  options: AbortOptions,
): Promise<Uint8Array> {
  const { peer, blob, sizeBytes, offset } = request;
  const wanted = Math.min(MAX_BLOB_CHUNK_BYTES, sizeBytes - offset);
  const response = await modules.transport.request(
    peer,
    'blob',
    { op: 'read', blob, offset, maxBytes: wanted },
    options,
  );
  if (response.kind !== 'chunk') throw new SchedulerError({ code: 'SCHEDULER_BLOB_NOT_SERVED', blob, peer });
  if (response.sizeBytes !== sizeBytes || response.bytes.length !== wanted) {
    throw new SchedulerError({
      code: 'SCHEDULER_BLOB_SIZE',
      blob,
      peer,
      expected: wanted,
      found: response.bytes.length,
    });
  }
  return response.bytes;
}
