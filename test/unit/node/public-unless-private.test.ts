import { expect, it } from 'vitest';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import { publicUnlessPrivate } from '../../../src/node/blob-parts.ts';
import { bytesOfLeaves, fetchRequest, TransferRig } from '../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(2);
const BLOB = computeBlobId(BYTES);

it('a public blob is handed to nobody without a lease once it is private', async () => {
  let isPrivate = true;
  const publicBlobs = publicUnlessPrivate({ isPublic: () => true }, { isPrivate: () => isPrivate });
  const rig = await TransferRig.create();
  const source = await rig.addPeer(2, BYTES, { publicBlobs, isGranted: false });
  const fetch = () => rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source)));
  await expect(fetch()).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  isPrivate = false;
  await fetch();
  expect(await rig.store.stat(BLOB)).toBeDefined();
});
