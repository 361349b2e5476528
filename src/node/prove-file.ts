import type { BlobStat } from '../blob/interface.ts';
import { parseBlobNode } from '../domain/blob-node.ts';
import { type BlobNodePlace, type BlobShape, describeShape, rootPlace } from '../domain/blob-shape.ts';
import { formatTreeId } from '../domain/blob-tree.ts';
import { DomainError } from '../domain/errors.ts';
import type { PeerKey } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import { sha256 } from '../lib/cid.ts';
import type { PeerTransport } from '../network/interface.ts';

/** Peers that are asked, one after the other, and the longest wait for each, ms. */
const MAX_ASKED = 4;
const TIMEOUT_MS = 5_000;

/** True if a peer sends the root node of that very file: then nothing else has its id, no folder either. */
export async function proveFile(
  { transport }: { readonly transport: Pick<PeerTransport, 'request'> },
  { file, peers }: { readonly file: BlobStat; readonly peers: readonly PeerKey[] },
  options: AbortOptions,
): Promise<boolean> {
  const shape = describeShape(file.sizeBytes);
  const place = rootPlace(shape);
  if (place === undefined) return false;
  for (const peer of peers.slice(0, MAX_ASKED)) {
    const request = { op: 'node', blob: file.blob, ...place } as const;
    const answer = await transport.request(peer, 'blob', request, { ...options, timeoutMs: TIMEOUT_MS }).catch(() => {
      options.signal?.throwIfAborted();
    });
    if (answer?.kind === 'node' && isNode(answer.bytes, { file, place, shape })) return true;
  }
  return false;
}

interface Claim {
  readonly file: BlobStat;
  readonly place: BlobNodePlace;
  readonly shape: BlobShape;
}

function isNode(bytes: Uint8Array, { file, place, shape }: Claim): boolean {
  if (formatTreeId(sha256(bytes)) !== file.blob) return false;
  try {
    parseBlobNode(bytes, place, shape);
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}
