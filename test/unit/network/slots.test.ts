import { expect, it } from 'vitest';
import { BlobId } from '../../../src/domain/ids.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeRawCid } from '../../../src/lib/cid.ts';
import { FRAME_KINDS, NULL_BODY } from '../../../src/network/reqresp/frame-codec.ts';
import { ALICE, BOB, createTransportPair, ManualClock, openRawRequester } from '../../support/stream-harness.ts';

const cid = computeRawCid(new Uint8Array([1]));
const body = encodeCanonical({ op: 'read', blob: cid, offset: 0, maxBytes: 1 });

it('a peer that cancels over and over cannot pile up handlers that do not end', async () => {
  const { bob } = createTransportPair({ clock: new ManualClock(), limits: { blob: { maxInFlight: 2 } } });
  let running = 0;
  bob.transport.handle('blob', async function* () {
    running += 1;
    await new Promise(() => undefined);
    yield { kind: 'not-found' };
  });
  const raw = await openRawRequester(bob, ALICE, 'blob');
  for (let id = 1; id <= 20; id++) {
    raw.sendFrame(FRAME_KINDS.requestOne, id, body);
    raw.sendFrame(FRAME_KINDS.cancel, id, NULL_BODY);
    await raw.nextFrame();
  }
  expect(running).toBe(4);
  expect(bob.breaches.at(-1)?.violation).toBe('too-many');
});

it('a handler that cleans up slowly does not hold the slot of an answered request', async () => {
  const { alice, bob } = createTransportPair({ clock: new ManualClock(), limits: { blob: { maxInFlight: 1 } } });
  const cleanup = Promise.withResolvers<void>();
  bob.transport.handle('blob', async function* () {
    try {
      yield { kind: 'not-found' };
    } finally {
      await cleanup.promise;
    }
  });
  const request = { op: 'read' as const, blob: BlobId(cid.toString()), offset: 0, maxBytes: 1 };
  await alice.transport.request(BOB, 'blob', request);
  await alice.transport.request(BOB, 'blob', request);
  expect(bob.breaches).toEqual([]);
  cleanup.resolve();
});
