import { expect, it } from 'vitest';
import { BLOB_LEAF_BYTES } from '../../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import { BlobTransfers } from '../../../../src/scheduler/transfer/blob-transfers.ts';
import { fetchPublic } from '../../../../src/scheduler/transfer/public-fetch.ts';
import { fillBytes, openBlobStore } from '../../../support/blob-store-rig.ts';
import { TransferRig } from '../../../support/transfer-rig.ts';

const LIMIT_BYTES = 4 * BLOB_LEAF_BYTES;
const WANTED = fillBytes(1000, 99);
const BLOB = computeBlobId(WANTED);

it('a size that a peer makes up pushes nothing out of the cache, and the next size is tried', async () => {
  const rig = await TransferRig.create();
  const { clock, transport, metrics } = rig;
  const { store } = await openBlobStore({ clock }, { maxBytes: LIMIT_BYTES });
  const held = await Promise.all([1, 2].map((seed) => store.put(fillBytes(BLOB_LEAF_BYTES, seed))));
  const liar = await rig.addPeer(2, null);
  liar.behave = async function* (request) {
    yield request.op === 'stat' ? { kind: 'stat', sizeBytes: LIMIT_BYTES } : { kind: 'not-found' };
  };
  const transfers = new BlobTransfers({ transport, blobs: store, clock, metrics });
  const content = {
    async *findProviders() {
      yield liar.peer;
    },
  };
  const fetch = (...peers: (typeof liar)[]) =>
    rig.settle(fetchPublic({ transport, transfers, content }, { blob: BLOB, peers: peers.map(({ peer }) => peer) }));
  await expect(fetch()).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  expect(liar.asked.map(({ op }) => op)).toEqual(['stat']);
  for (const { blob } of held) expect(await store.stat(blob)).toBeDefined();
  const honest = await rig.addPeer(3, WANTED);
  await fetch(liar, honest);
  expect(await store.get(BLOB, WANTED.length)).toEqual(WANTED);
});
