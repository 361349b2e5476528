import { expect, it } from 'vitest';
import { BlobId } from '../../../src/domain/ids.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeRawCid } from '../../../src/lib/cid.ts';
import { FRAME_KINDS, NULL_BODY } from '../../../src/network/reqresp/frame-codec.ts';
import { PROTOCOL_NAMES, PROTOCOLS } from '../../../src/network/reqresp/protocols.ts';
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

it('a peer that asks for bulk and takes none of it loses its slot', async () => {
  const clock = new ManualClock();
  const limits = { blob: { maxInFlight: 1, windowBytes: 1, takeWithinMs: 5_000 } };
  const { bob } = createTransportPair({ clock, limits });
  let ended = 0;
  bob.transport.handle('blob', async function* () {
    try {
      for (;;) yield { kind: 'chunk', sizeBytes: 1, bytes: new Uint8Array(1) };
    } finally {
      ended += 1;
    }
  });
  const raw = await openRawRequester(bob, ALICE, 'blob');
  raw.sendFrame(FRAME_KINDS.request, 1, body);
  expect((await raw.nextFrame()).kind).toBe(FRAME_KINDS.response);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(4_999);
  expect(ended).toBe(0);
  clock.advance(1);
  expect(await raw.nextFrame()).toMatchObject({ kind: FRAME_KINDS.error, id: 1 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toBe(1);
  raw.sendFrame(FRAME_KINDS.request, 2, body);
  expect(await raw.nextFrame()).toMatchObject({ kind: FRAME_KINDS.response, id: 2 });
});

it('no answer of many frames waits for ever for a peer that takes none', () => {
  const long = PROTOCOL_NAMES.filter((name) => PROTOCOLS[name].answer === 'one or many responses');
  expect(long.filter((name) => PROTOCOLS[name].takeWithinMs === null)).toEqual([]);
});
