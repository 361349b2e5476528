import type { BlobStore } from '../../../blob/interface.ts';
import type { BlobId } from '../../../domain/ids.ts';

/** Read at a time, bytes. */
const READ_BYTES = 1024 * 1024;

/** A blob from its beginning to its end. `onMissing` makes the error for one that is not here, or not whole. */
export async function* readBlob(
  blobs: Pick<BlobStore, 'read'>,
  { blob, sizeBytes }: { readonly blob: BlobId; readonly sizeBytes: number },
  onMissing: () => Error,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; ) {
    const chunk = await blobs.read(blob, offset, Math.min(READ_BYTES, sizeBytes - offset));
    if (chunk === undefined || chunk.length === 0) throw onMissing();
    yield chunk;
    offset += chunk.length;
  }
}
