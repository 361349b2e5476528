import { describe, expect, it } from 'vitest';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import { MAX_SOURCES } from '../../../../src/scheduler/transfer/constants.ts';
import {
  type Behaviour,
  bytesOfLeaves,
  fetchRequest,
  isSame,
  type TransferPeer,
  TransferRig,
} from '../../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(4);
const BLOB = computeBlobId(BYTES);

/** It is still fetching the blob itself, and has nothing of it yet. */
const empty: Behaviour = async function* (request, honest) {
  if (request.op === 'stat') yield { kind: 'stat', sizeBytes: BYTES.length, leaves: new Uint8Array(1) };
  else yield* honest();
};

/** Sends a byte a second of what it is asked for. */
const dripping = (rig: TransferRig): Behaviour =>
  async function* (request, honest, { signal }) {
    if (request.op !== 'leaves') return yield* honest();
    for (let sent = 0; sent < 10_000 && !signal.aborted; sent++) {
      await new Promise<void>((resolve) => void rig.clock.schedule(1_000, resolve));
      yield { kind: 'leaf-part', leaf: request.first, bytes: new Uint8Array(1) };
    }
  };

async function addPeers(rig: TransferRig, count: number, behave: Behaviour): Promise<readonly TransferPeer[]> {
  const peers: TransferPeer[] = [];
  for (let number = 0; number < count; number++) {
    const peer = await rig.addPeer(10 + number, BYTES);
    peer.behave = behave;
    peers.push(peer);
  }
  return peers;
}

describe('places of a transfer', () => {
  it.each([
    ['have nothing yet', () => empty],
    ['drip', dripping],
  ])('are not held by sources that %s while another waits', async (_name, behaviour) => {
    const rig = await TransferRig.create({ leastRate: { bytesPerSecond: 0, graceMs: 0 } });
    const holders = await addPeers(rig, MAX_SOURCES, behaviour(rig));
    const honest = await rig.addPeer(2, BYTES);
    const startedMs = rig.clock.monotonicMs();
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, ...holders, honest)), 500);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
    expect(rig.clock.monotonicMs() - startedMs).toBeLessThan(30_000);
  });

  it('come round to all, with more time each turn, so that slow sources alone suffice', async () => {
    const rig = await TransferRig.create({ maxSources: 1, stallMs: 1_000 });
    const slow: Behaviour = async function* (_request, honest) {
      for await (const part of honest()) {
        if (part.kind === 'leaf-part') await new Promise<void>((resolve) => void rig.clock.schedule(900, resolve));
        yield part;
      }
    };
    const peers = await addPeers(rig, 3, slow);
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, ...peers)), 100);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });
});

describe('a transfer of which nobody has anything', () => {
  it('fails after a while, and says so', async () => {
    const rig = await TransferRig.create({ quietMs: 20_000 });
    const [source] = await addPeers(rig, 1, empty);
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source as TransferPeer));
    await expect(rig.settle(fetching, 500, 200)).rejects.toMatchObject({
      code: 'TRANSFER_NO_SOURCE',
      message: expect.stringContaining('nobody has what is missing'),
    });
    expect(rig.clock.pending).toBe(0);
  });

  it('goes on while more sources are looked for', async () => {
    const rig = await TransferRig.create({ quietMs: 20_000 });
    const [source] = await addPeers(rig, 1, empty);
    const honest = await rig.addPeer(2, BYTES);
    const found = Promise.withResolvers<typeof honest.peer>();
    async function* find() {
      yield (source as TransferPeer).peer;
      yield await found.promise;
    }
    const fetching = rig.transfers.fetchBlob({ blob: BLOB, sizeBytes: BYTES.length, sources: find() });
    await rig.clock.advance(60_000);
    found.resolve(honest.peer);
    await rig.settle(fetching);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });
});
