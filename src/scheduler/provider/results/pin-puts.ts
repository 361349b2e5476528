import type { BlobStore } from '../../../blob/interface.ts';

/** Puts and pins: what was put before is not evicted to make room for what comes next. The caller ends the pins. */
export function pinPuts(
  blobs: Pick<BlobStore, 'put' | 'pin' | 'stat'>,
  pins: { push(pin: Disposable): unknown },
): Pick<BlobStore, 'put'> {
  return {
    async put(bytes) {
      const { blob } = await blobs.put(bytes);
      pins.push(blobs.pin(blob));
      // It may have been evicted before it was pinned; from now on it cannot be.
      return (await blobs.stat(blob)) ?? (await blobs.put(bytes));
    },
  };
}
