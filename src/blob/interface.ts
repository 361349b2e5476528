/**
 * blob owns content-addressed bytes on disk: verified when they come in, capped in size, pinned while in use.
 * It does not own how they travel (network) nor who may have them (scheduler, through BlobAccess).
 */
import type { BlobId } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';

export interface BlobStat {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

export interface BlobStore {
  /** Stores bytes and gives their id. Durable when it resolves. @throws BlobError BLOB_DISK_FULL, BLOB_TOO_LARGE */
  put(bytes: Uint8Array): Promise<BlobStat>;
  /** Stores a file without holding it in memory. @throws BlobError */
  putFile(path: string, options?: AbortOptions): Promise<BlobStat>;
  stat(blob: BlobId): Promise<BlobStat | undefined>;
  /** The whole blob. The bytes may be shared: do not change or transfer them. @throws BlobError BLOB_NOT_FOUND, BLOB_CORRUPT, BLOB_TOO_LARGE (above `maxBytes`) */
  get(blob: BlobId, maxBytes: number): Promise<Uint8Array>;
  /** At most `length` bytes from `offset`; undefined if the blob is not here. */
  read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined>;
  /** Receives chunks in order and keeps them only if they hash to `blob`. @throws BlobError BLOB_MISMATCH */
  receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** A pinned blob is never evicted; pins are counted and do not outlive the process. */
  pin(blob: BlobId): Disposable;
}
