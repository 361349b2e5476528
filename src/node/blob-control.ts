import type { BlobCheck, BlobInventory, BlobStore, BlobSummary } from '../blob/interface.ts';
import { MAX_FOLDER_NODE_BYTES } from '../domain/blob-folder.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { BlobControl, FolderContent, FolderRequest, PublicBlobRequest } from '../rpc/interface.ts';
import { TransferError } from '../scheduler/transfer/errors.ts';
import type { BlobFetching, FetchedBlob } from '../scheduler/transfer/interface.ts';
import type { SharedBlobs } from '../scheduler/transfer/public-blobs.ts';
import { fetchPublic, isCredibleSize, type PublicFetchModules } from '../scheduler/transfer/public-fetch.ts';
import { FolderReader } from './folder-reader.ts';
import { proveFile } from './prove-file.ts';

/** Peers that the DHT is asked for. */
const MAX_PROVIDERS = 16;

export interface NodeBlobControlModules extends PublicFetchModules {
  readonly blobs: Pick<BlobStore, 'stat' | 'get'> & BlobInventory;
  readonly clock: Pick<Clock, 'schedule'>;
  readonly sharedBlobs: Pick<SharedBlobs, 'isPublic' | 'share' | 'unshare'>;
}

/** The blobs of this node as its operator deals with them. */
export class NodeBlobControl implements BlobControl {
  readonly #modules: NodeBlobControlModules;
  readonly #folders: FolderReader;

  constructor(modules: NodeBlobControlModules) {
    this.#modules = modules;
    const small = {
      ...modules,
      transfers: refuseLarger(modules.transfers, MAX_FOLDER_NODE_BYTES),
      content: { findProviders: nobody },
    };
    this.#folders = new FolderReader({
      blobs: modules.blobs,
      clock: modules.clock,
      findPeers: async (folder, options) => {
        const found: PeerKey[] = [];
        const search = modules.content.findProviders(folder, { ...options, limit: MAX_PROVIDERS });
        for await (const peer of search) found.push(peer);
        return found;
      },
      fetchNode: (node, peers, options) => fetchPublic(small, { blob: node, peers }, options),
      proveFile: (file, peers, options) => proveFile(modules, { file, peers }, options),
    });
  }

  listBlobs(limit: number): readonly BlobSummary[] {
    return this.#modules.blobs.listBlobs(limit);
  }

  usage(): ReturnType<BlobControl['usage']> {
    return this.#modules.blobs.usage();
  }

  isPrivate(blob: BlobId): boolean {
    return this.#modules.blobs.isPrivate(blob);
  }

  isPublic(blob: BlobId): boolean {
    return this.#modules.sharedBlobs.isPublic(blob);
  }

  share(blob: BlobId): Promise<void> {
    return this.#modules.sharedBlobs.share(blob);
  }

  unshare(blob: BlobId): Promise<boolean> {
    return this.#modules.sharedBlobs.unshare(blob);
  }

  remove(blob: BlobId): Promise<boolean> {
    return this.#modules.blobs.remove(blob);
  }

  verify(blob: BlobId, options: AbortOptions): Promise<BlobCheck | undefined> {
    return this.#modules.blobs.verify(blob, options);
  }

  async fetch(request: PublicBlobRequest, options: AbortOptions): Promise<FetchedBlob> {
    const { blob, peers, sizeBytes } = request;
    if (sizeBytes === undefined) return await fetchPublic(this.#modules, { blob, peers }, options);
    // It is the size that a link in a folder gives.
    if (!isCredibleSize(blob, sizeBytes)) throw new TransferError({ code: 'TRANSFER_BAD_SIZE', blob, sizeBytes });
    const { transfers, content } = this.#modules;
    const sources = joinSources(peers, () => content.findProviders(blob, { ...options, limit: MAX_PROVIDERS }));
    return await transfers.fetchBlob({ blob, sizeBytes, sources }, options);
  }

  readFolder(request: FolderRequest, options: AbortOptions): Promise<FolderContent> {
    return this.#folders.read(request, options);
  }
}

async function* nobody(): AsyncGenerator<PeerKey> {}

async function* joinSources(named: readonly PeerKey[], find: () => AsyncIterable<PeerKey>): AsyncGenerator<PeerKey> {
  yield* named;
  yield* find();
}

/** Peers say how large a public blob is: what cannot be as large is not even begun. */
function refuseLarger(transfers: BlobFetching, maxBytes: number): BlobFetching {
  return {
    fetchBlob: async (request, options) => {
      const { blob, sizeBytes } = request;
      if (sizeBytes > maxBytes) throw new TransferError({ code: 'TRANSFER_BAD_SIZE', blob, sizeBytes });
      return await transfers.fetchBlob(request, options);
    },
  };
}
