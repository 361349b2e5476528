import { expect, it } from 'vitest';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import {
  CROWDED_TAKE_RATE,
  LEAF_PART_BYTES,
  LEAST_TAKE_RATE,
  MAX_LEAF_ANSWERS_PER_PEER,
  MAX_PUBLIC_LEAF_ANSWERS,
} from '../../../../src/scheduler/transfer/constants.ts';
import { identityOf } from '../../../support/requester-rig.ts';
import { bytesOfLeaves, TransferRig } from '../../../support/transfer-rig.ts';

const PUBLIC = bytesOfLeaves(3);
const INPUT = bytesOfLeaves(2, 7);
const BUSY = { code: 'TRANSFER_BUSY' };

/** A node with one public blob and one that it grants to the fetching node, and what its handler answers to whom. */
async function serve() {
  const rig = await TransferRig.create();
  const publicBlob = computeBlobId(PUBLIC);
  const node = await rig.addPeer(2, INPUT, { publicBlobs: { isPublic: (blob) => blob === publicBlob } });
  await node.store.put(PUBLIC);
  const handler = rig.mesh.handlers.get(`${node.peer}/blob`);
  if (handler === undefined) throw new TypeError('nothing is served');
  const { signal } = new AbortController();
  const ask = (peer: PeerKey, bytes: Uint8Array) => {
    const request = { op: 'leaves', blob: computeBlobId(bytes), first: 0, count: 16 } as const;
    return handler(request, { peer, signal })[Symbol.asyncIterator]();
  };
  const strangers: ReturnType<typeof ask>[] = [];
  for (let number = 0; strangers.length < MAX_PUBLIC_LEAF_ANSWERS; number++) {
    const { peer } = await identityOf(60 + number);
    for (let count = 0; count < MAX_LEAF_ANSWERS_PER_PEER; count++) strangers.push(ask(peer, PUBLIC));
  }
  const another = (await identityOf(99)).peer;
  return { rig, ask, strangers, another };
}

it('strangers that ask for what is public leave room for the peers of leases', async () => {
  const { rig, ask, strangers, another } = await serve();
  for (const answer of strangers) await answer.next();
  await expect(ask(another, PUBLIC).next()).rejects.toMatchObject(BUSY);
  for (let count = 0; count < MAX_LEAF_ANSWERS_PER_PEER; count++) {
    expect(await ask(rig.self, INPUT).next()).toMatchObject({ value: { kind: 'leaf-part' } });
  }
  await expect(ask(rig.self, INPUT).next()).rejects.toMatchObject(BUSY);
  await strangers[0]?.return?.();
  expect(await ask(another, PUBLIC).next()).toMatchObject({ value: { kind: 'leaf-part' } });
});

it('a stranger that takes slowly keeps its place only while there are others', async () => {
  const { rig, ask, strangers, another } = await serve();
  const [slow, ...others] = strangers;
  if (slow === undefined) throw new TypeError('there are no strangers');
  const stepMs = (LEAF_PART_BYTES / (2 * LEAST_TAKE_RATE.bytesPerSecond)) * 1000;
  expect(stepMs).toBeGreaterThan(CROWDED_TAKE_RATE.graceMs);
  await slow.next();
  await rig.clock.advance(stepMs);
  expect(await slow.next()).toMatchObject({ value: { kind: 'leaf-part' } });
  for (const answer of others) await answer.next();
  await rig.clock.advance(stepMs);
  await expect(slow.next()).rejects.toMatchObject({ code: 'TRANSFER_NOT_TAKEN' });
  expect(await ask(another, PUBLIC).next()).toMatchObject({ value: { kind: 'leaf-part' } });
});
