/**
 * transfer moves blobs between nodes: it hands out leaves and nodes of a blob's tree, and brings a blob here from several
 * peers at once, each piece checked when it arrives (docs/blobs.md). It owns neither what is on disk (blob) nor how
 * frames travel (network).
 * Parts: leaf-server (hands out) · blob-transfers (one call for all that fetch) · tree-transfer (one blob on its way) ·
 * leaf-swarm (who fetches what) · source-session (one peer) · leaf-plan (which leaves are open, pure) · public-blobs.
 */
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import type { AbortOptions } from '../../lib/abort.ts';

/** What is handed to anybody who asks. */
export interface PublicBlobs {
  isPublic(blob: BlobId): boolean;
}

export interface BlobFetchRequest {
  readonly blob: BlobId;
  /** As the signed object that names the blob says. */
  readonly sizeBytes: number;
  /** Whom to ask; of a finder, more may come while the transfer runs. */
  readonly sources: Iterable<PeerKey> | AsyncIterable<PeerKey>;
  /** Encrypted on disk. */
  readonly isPrivate?: boolean;
  /**
   * A peer that must itself have sent every byte before the fetch ends, even if the blob is here: only so has it shown that
   * it has the blob and not just its id. It must be one of the sources.
   */
  readonly provenBy?: PeerKey;
}

export interface FetchProgress {
  readonly sizeBytes: number;
  /** Of the blob that are here (of a proof: that the peer has sent). */
  readonly bytesHere: number;
  /** That came over the network, of leaves that were wanted and right. */
  readonly bytesMoved: number;
  /** Peers that are being asked. */
  readonly sources: number;
}

export interface FetchOptions extends AbortOptions {
  readonly onProgress?: (progress: FetchProgress) => void;
}

export interface FetchedBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  readonly bytesMoved: number;
  readonly durationMs: number;
}

/** Brings blobs into the store. */
export interface BlobFetching {
  /**
   * Resolves when the blob is in the store, durably; at once if it is here and nobody has to prove anything. Goes on from
   * what an earlier fetch brought. Who asks for the same blob meanwhile shares the transfer and lends it its sources.
   * @throws TransferError; BlobError (own store); with a single source of a small blob SchedulerError, NetworkError
   */
  fetchBlob(request: BlobFetchRequest, options?: FetchOptions): Promise<FetchedBlob>;
}
