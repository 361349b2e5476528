import { BlobError } from '../../src/blob/errors.ts';
import type { BlobStat } from '../../src/blob/interface.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { HeapBlobStore } from './provider-blobs.ts';

/** Blobs in memory with a cap: the oldest that is not pinned makes room. */
export class CappedBlobStore extends HeapBlobStore {
  readonly #maxBytes: number;
  #arrivingBytes = 0;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override async put(bytes: Uint8Array): Promise<BlobStat> {
    this.#makeRoom(bytes.length);
    return await super.put(bytes);
  }

  override async receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.blobs.has(blob)) return;
    this.#makeRoom(sizeBytes);
    this.#arrivingBytes += sizeBytes;
    try {
      await super.receive(blob, sizeBytes, chunks);
    } finally {
      this.#arrivingBytes -= sizeBytes;
    }
  }

  #makeRoom(sizeBytes: number): void {
    const maxBytes = this.#maxBytes;
    for (;;) {
      const used = [...this.blobs.values()].reduce((sum, bytes) => sum + bytes.length, this.#arrivingBytes);
      if (used + sizeBytes <= maxBytes) return;
      const [oldest] = [...this.blobs.keys()].filter((blob) => !this.pinned.includes(blob));
      if (oldest === undefined) throw new BlobError({ code: 'BLOB_NO_ROOM', sizeBytes, maxBytes });
      this.blobs.delete(oldest);
    }
  }
}
