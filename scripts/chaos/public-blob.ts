import { randomBytes } from 'node:crypto';
import type { BlobId } from '../../src/domain/ids.ts';
import { type Asking, type Reviewing, retry } from './asking.ts';

const BYTES = 512;

/** Adds a new small blob and makes it public. Told of it, a daemon keeps to it until it is told otherwise. */
export async function shareBlob(asking: Asking): Promise<BlobId> {
  const bytes = new Uint8Array(randomBytes(BYTES));
  return await retry(asking, async (client) => {
    const { blob } = await client.call('blob.addBytes', { bytes });
    await client.call('blob.share', { blob });
    return blob;
  });
}

/** Finds out whether it still was public. */
export async function unshareBlob(blob: BlobId, asking: Reviewing): Promise<void> {
  let calls = 0;
  const { wasPublic } = await retry(asking, async (client) => {
    calls += 1;
    return await client.call('blob.unshare', { blob });
  });
  // A call that was not answered may have been carried out.
  if (!wasPublic && calls === 1) asking.onFinding(`blob ${blob} was made public, and was not so any more`);
}
