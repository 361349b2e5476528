import { expect, it } from 'vitest';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import type { BlobId } from '../../../../src/domain/ids.ts';
import { SharedBlobs } from '../../../../src/scheduler/transfer/public-blobs.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';
import { bytesOfLeaves, fetchRequest, isSame, TransferRig } from '../../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(2);
const BLOB = computeBlobId(BYTES);
const OTHER = computeBlobId(BYTES.subarray(1));

/** Notes what it is told to provide. */
function createContent() {
  const provided = new Set<BlobId>();
  return {
    provided,
    provide: (blob: BlobId): Disposable => {
      provided.add(blob);
      return { [Symbol.dispose]: () => void provided.delete(blob) };
    },
  };
}

it('what is shared is public, told to the DHT while the node runs, and still so after a restart', async () => {
  const database = new MemoryDatabase();
  const content = createContent();
  const shared = new SharedBlobs({ database, content });
  await shared.load();
  await shared.share(BLOB);
  await shared.share(OTHER);
  expect([...content.provided]).toEqual([]);
  shared.start();
  expect(content.provided.size).toBe(2);
  expect(await shared.unshare(OTHER)).toBe(true);
  expect(await shared.unshare(OTHER)).toBe(false);
  expect([...content.provided]).toEqual([BLOB]);
  shared.stop();
  expect(content.provided.size).toBe(0);
  const next = new SharedBlobs({ database: database.clone(), content });
  await next.load();
  expect(next.list()).toEqual([BLOB]);
  expect([next.isPublic(BLOB), next.isPublic(OTHER)]).toEqual([true, false]);
});

it('a public blob is handed to anybody, and only while it is public', async () => {
  const shared = new SharedBlobs({ database: new MemoryDatabase() });
  const rig = await TransferRig.create();
  const source = await rig.addPeer(2, BYTES, { publicBlobs: shared, isGranted: false });
  const fetch = () => rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source)));
  await expect(fetch()).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  await shared.share(BLOB);
  await fetch();
  expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  await shared.unshare(BLOB);
  rig.store.blobs.clear();
  await expect(fetch()).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
});
