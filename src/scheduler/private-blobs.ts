import type { BlobStore } from '../blob/interface.ts';
import type { Job } from '../domain/job.ts';
import type { BlobFetching } from './transfer/interface.ts';

/** The store as a job uses it: of a private one, all that goes in is encrypted on disk. */
export function sealStore({ private: isPrivate }: Job, blobs: BlobStore): BlobStore {
  if (isPrivate !== true) return blobs;
  return {
    put: (bytes) => blobs.put(bytes, { isPrivate }),
    putFile: (path, options) => blobs.putFile(path, { ...options, isPrivate }),
    receive: (blob, sizeBytes, chunks) => blobs.receive(blob, sizeBytes, chunks, { isPrivate }),
    stat: (blob) => blobs.stat(blob),
    get: (blob, maxBytes) => blobs.get(blob, maxBytes),
    read: (blob, offset, length) => blobs.read(blob, offset, length),
    pin: (blob) => blobs.pin(blob),
  };
}

export function sealTransfers({ private: isPrivate }: Job, transfers: BlobFetching): BlobFetching {
  if (isPrivate !== true) return transfers;
  return { fetchBlob: (request, options) => transfers.fetchBlob({ ...request, isPrivate }, options) };
}
