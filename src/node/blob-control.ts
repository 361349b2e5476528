import type { FileBlobStore } from '../blob/file-blob-store.ts';
import type { BlobCheck, BlobSummary } from '../blob/interface.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { BlobControl } from '../rpc/interface.ts';
import type { FetchedBlob } from '../scheduler/transfer/interface.ts';
import type { SharedBlobs } from '../scheduler/transfer/public-blobs.ts';
import { fetchPublic, type PublicFetchModules } from '../scheduler/transfer/public-fetch.ts';

export interface NodeBlobControlModules extends PublicFetchModules {
  readonly blobs: FileBlobStore;
  readonly sharedBlobs: SharedBlobs;
}

/** The blobs of this node as its operator deals with them. */
export class NodeBlobControl implements BlobControl {
  readonly #modules: NodeBlobControlModules;

  constructor(modules: NodeBlobControlModules) {
    this.#modules = modules;
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

  fetch(blob: BlobId, peers: readonly PeerKey[], options: AbortOptions): Promise<FetchedBlob> {
    return fetchPublic(this.#modules, { blob, peers }, options);
  }
}
