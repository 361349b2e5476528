import { BLOB_LEAF_BYTES } from '../../domain/blob-shape.ts';
import { isTreeId } from '../../domain/blob-tree.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import { describeError } from '../../lib/errors.ts';
import type { ContentRouting, PeerTransport } from '../../network/interface.ts';
import { MAX_ASKED_FOR_SIZE, SIZE_TIMEOUT_MS } from './constants.ts';
import { TransferError } from './errors.ts';
import type { BlobFetching, FetchedBlob, FetchOptions } from './interface.ts';

export interface PublicFetchModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly transfers: BlobFetching;
  readonly content: Pick<ContentRouting, 'findProviders'>;
}

export interface PublicFetchRequest {
  readonly blob: BlobId;
  /** Asked before those that the DHT names. */
  readonly peers: readonly PeerKey[];
}

interface Found {
  readonly sizeBytes: number;
  readonly peers: PeerKey[];
}

/**
 * Whether room may be made for that many bytes of the blob though nobody has signed its size. Of a tree the root shows
 * them first. Nothing shows those of an id without a tree until all have come, so it gets a leaf at most.
 */
export function isCredibleSize(blob: BlobId, sizeBytes: number): boolean {
  return isTreeId(blob) || sizeBytes <= BLOB_LEAF_BYTES;
}

/**
 * Brings a blob here of which only the id is known: from named peers, and from those that the DHT says have it. Its size
 * is what they say; one that lies about it is found out by the tree or asked for a leaf at most, and the next size is tried.
 * @throws TransferError TRANSFER_NO_SOURCE
 */
export async function fetchPublic(
  modules: PublicFetchModules,
  { blob, peers }: PublicFetchRequest,
  options: FetchOptions = {},
): Promise<FetchedBlob> {
  const reasons: string[] = [];
  const sizes = await askForSizes(modules, { blob, peers, reasons }, options);
  for (const { sizeBytes, peers: sources } of sizes) {
    try {
      return await modules.transfers.fetchBlob({ blob, sizeBytes, sources }, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      reasons.push(describeError(error));
    }
  }
  const reason = reasons.join('; ').slice(0, 300) || 'no peer is known that has it';
  throw new TransferError({ code: 'TRANSFER_NO_SOURCE', blob, reason });
}

/** Sizes that peers say it has, the most often said first. */
async function askForSizes(
  modules: PublicFetchModules,
  { blob, peers, reasons }: PublicFetchRequest & { readonly reasons: string[] },
  options: AbortOptions,
): Promise<readonly Found[]> {
  const found = new Map<number, Found>();
  const asked = new Map<PeerKey, Promise<void>>();
  const ask = (peer: PeerKey): void => {
    if (asked.has(peer) || asked.size >= MAX_ASKED_FOR_SIZE) return;
    asked.set(peer, askForSize(modules, { blob, peer, found, reasons }, options));
  };
  for (const peer of peers) ask(peer);
  for await (const peer of modules.content.findProviders(blob, { ...options, limit: MAX_ASKED_FOR_SIZE })) ask(peer);
  await Promise.all(asked.values());
  return [...found.values()].toSorted((a, b) => b.peers.length - a.peers.length);
}

async function askForSize(
  { transport }: PublicFetchModules,
  request: {
    readonly blob: BlobId;
    readonly peer: PeerKey;
    readonly found: Map<number, Found>;
    readonly reasons: string[];
  },
  options: AbortOptions,
): Promise<void> {
  const { blob, peer, found, reasons } = request;
  try {
    const answer = await transport.request(
      peer,
      'blob',
      { op: 'stat', blob },
      { ...options, timeoutMs: SIZE_TIMEOUT_MS },
    );
    if (answer.kind !== 'stat') return void reasons.push(`${peer} does not hand it out`);
    const { sizeBytes } = answer;
    if (!isCredibleSize(blob, sizeBytes)) return void reasons.push(`${peer} says that it has ${sizeBytes} bytes`);
    const entry = found.get(sizeBytes) ?? { sizeBytes, peers: [] };
    entry.peers.push(peer);
    found.set(sizeBytes, entry);
  } catch (error) {
    options.signal?.throwIfAborted();
    reasons.push(`${peer}: ${describeError(error)}`);
  }
}
