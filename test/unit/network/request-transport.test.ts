import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BlobId, LeaseId } from '../../../src/domain/ids.ts';
import type { BlobRequest, JobRequest, JobResponse } from '../../../src/domain/messages.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { CANCEL_DEADLINE_MS, FRAME_DEADLINE_MS } from '../../../src/network/constants.ts';
import { NetworkError } from '../../../src/network/errors.ts';
import { FRAME_KINDS, NULL_BODY } from '../../../src/network/reqresp/frame-codec.ts';
import { PROTOCOLS } from '../../../src/network/reqresp/protocols.ts';
import {
  ALICE,
  BOB,
  createTransportPair,
  ManualClock,
  openRawRequester,
  RawPeer,
  type TransportEnd,
} from '../../support/stream-harness.ts';

const BLOB = BlobId(computeRawCid(new Uint8Array([1])).toString());
const LEASE = LeaseId(computeObjectCid(encodeCanonical('lease')).toString());
const blobRequest = (offset = 0): BlobRequest => ({ op: 'read', blob: BLOB, offset, maxBytes: 1024 });
const attach: JobRequest = { op: 'attach', leases: [{ lease: LEASE, fromSequence: 0 }] };
const done: JobResponse = { kind: 'done' };
const logEvent = (sequence: number, text = 'x'): JobResponse => ({
  kind: 'events',
  events: [{ lease: LEASE, sequence, atMs: 1 as never, event: { kind: 'log', stream: 'stdout', text } }],
});

function serveBlobs(end: TransportEnd): void {
  end.transport.handle('blob', async function* (request) {
    yield { kind: 'chunk', sizeBytes: request.op === 'read' ? request.offset : 0, bytes: new Uint8Array(4) };
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof NetworkError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Lets everything that is ready run: streams in memory move by timers of 0 ms. */
async function settle(): Promise<void> {
  for (let round = 0; round < 10; round++) await new Promise((resolve) => setTimeout(resolve, 0));
}

describe('a kept stream', () => {
  it('carries hundreds of requests at once, each with its own answer', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    serveBlobs(bob);
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, index) => alice.transport.request(BOB, 'blob', blobRequest(index))),
    );
    expect(answers.map((answer) => answer.kind === 'chunk' && answer.sizeBytes)).toEqual(answers.map((_, i) => i));
    expect(alice.opened).toHaveLength(1);
    expect(alice.breaches.concat(bob.breaches)).toEqual([]);
  });

  it('is opened anew after it was lost, and fails what was under way', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    const started = Promise.withResolvers<void>();
    bob.transport.handle('blob', async function* (_request, { signal }) {
      started.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield { kind: 'not-found' };
    });
    const lost = codeOf(alice.transport.request(BOB, 'blob', blobRequest()));
    await started.promise;
    alice.opened[0]?.abort(new Error('cable pulled'));
    expect(await lost).toBe('NETWORK_CONNECTION_LOST');
    const again = alice.transport.request(BOB, 'blob', blobRequest(), { timeoutMs: 50 });
    expect(await codeOf(again)).toBe('NETWORK_TIMEOUT');
    expect(alice.opened).toHaveLength(2);
  });

  it('streams answers in order and ends them', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    bob.transport.handle('job', async function* () {
      for (let sequence = 1; sequence <= 500; sequence++) yield logEvent(sequence);
    });
    const sequences: number[] = [];
    for await (const response of alice.transport.stream(BOB, 'job', attach)) {
      if (response.kind === 'events') sequences.push(response.events[0]?.sequence ?? 0);
    }
    expect(sequences).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
  });

  it('holds a fast answerer back until its answers are taken', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    let made = 0;
    bob.transport.handle('job', async function* () {
      for (let sequence = 1; sequence <= 200; sequence++) {
        made = sequence;
        yield logEvent(sequence, 'y'.repeat(60_000));
      }
    });
    let taken = 0;
    for await (const _response of alice.transport.stream(BOB, 'job', attach)) {
      taken += 1;
      if (taken === 1) await settle();
      const ahead = PROTOCOLS.job.windowBytes / 60_000 + 3;
      expect(made - taken).toBeLessThanOrEqual(ahead);
    }
    expect(taken).toBe(200);
  });

  it('cancels at the other side when the loop is left, and frees the slot', async () => {
    const { alice, bob } = createTransportPair({
      clock: new SystemClock(),
      limits: { job: { maxInFlight: 1 } },
    });
    const cancelled = Promise.withResolvers<void>();
    bob.transport.handle('job', async function* (request, { signal }) {
      if (request.op !== 'attach') {
        yield done;
        return;
      }
      signal.addEventListener('abort', () => cancelled.resolve());
      for (let sequence = 1; !signal.aborted; sequence++) {
        yield logEvent(sequence);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    for await (const _response of alice.transport.stream(BOB, 'job', attach)) break;
    await cancelled.promise;
    const next = await alice.transport.request(BOB, 'job', { op: 'close', leases: [LEASE] });
    expect(next).toEqual(done);
    expect(alice.breaches.concat(bob.breaches)).toEqual([]);
  });

  it('paces an honest requester below the rate of the other side', async () => {
    const clock = new ManualClock();
    const { alice, bob } = createTransportPair({ clock, limits: { blob: { burst: 10, requestsPerSecond: 10 } } });
    serveBlobs(bob);
    let answered = 0;
    const asked = Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await alice.transport.request(BOB, 'blob', blobRequest(index), { timeoutMs: 60_000 });
        answered += 1;
      }),
    );
    await settle();
    expect(answered).toBe(9);
    for (let round = 0; round < 40 && answered < 30; round++) {
      clock.advance(100);
      await settle();
    }
    await asked;
    expect(bob.breaches).toEqual([]);
    alice.transport.stop();
    bob.transport.stop();
    expect(clock.pending).toBe(0);
  });

  it('leaves no listener on the signal of the caller', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    serveBlobs(bob);
    bob.transport.handle('job', async function* () {
      yield logEvent(1);
    });
    const { signal } = new AbortController();
    for (let round = 0; round < 20; round++) {
      await alice.transport.request(BOB, 'blob', blobRequest(), { signal });
      for await (const _response of alice.transport.stream(BOB, 'job', attach, { signal }));
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('passes an abort of the caller through untouched', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    bob.transport.handle('blob', async function* (_request, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield { kind: 'not-found' };
    });
    const controller = new AbortController();
    const answer = alice.transport.request(BOB, 'blob', blobRequest(), { signal: controller.signal });
    const reason = new DOMException('enough', 'AbortError');
    controller.abort(reason);
    await expect(answer).rejects.toBe(reason);
  });

  it('ends a wait without an answer by its deadline', async () => {
    const clock = new ManualClock();
    const { alice, bob } = createTransportPair({ clock });
    const asked = Promise.withResolvers<void>();
    bob.transport.handle('blob', async function* (_request, { signal }) {
      asked.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield { kind: 'not-found' };
    });
    const answer = codeOf(alice.transport.request(BOB, 'blob', blobRequest()));
    await asked.promise;
    clock.advance(PROTOCOLS.blob.firstResponseMs);
    expect(await answer).toBe('NETWORK_TIMEOUT');
  });

  it('gives the code of a failed handler and nothing else', async () => {
    const { alice, bob } = createTransportPair({ clock: new SystemClock() });
    bob.transport.handle('blob', async function* () {
      yield await Promise.reject(new NetworkError({ code: 'NETWORK_BUSY', peer: 'x', protocol: 'y', waiting: 1 }));
    });
    bob.transport.handle('offer', async function* () {
      yield await Promise.reject(new Error('secret path /home/me'));
    });
    expect(await codeOf(alice.transport.request(BOB, 'blob', blobRequest()))).toBe('NETWORK_REMOTE_BUSY');
    const raw = await openRawRequester(bob, ALICE, 'offer');
    raw.sendFrame(FRAME_KINDS.request, 1, encodeCanonical({ nonsense: true }));
    expect(new TextDecoder().decode((await raw.nextFrame()).body)).toContain('NETWORK_BAD_MESSAGE');
    const failed = alice.transport.request(BOB, 'job', attach);
    await expect(failed).rejects.toMatchObject({ info: { remoteCode: 'NETWORK_NO_HANDLER' } });
  });

  it('answers a request to oneself without a socket', async () => {
    const { alice } = createTransportPair({ clock: new SystemClock() });
    let asker = '';
    alice.transport.handle('blob', async function* (request, { peer }) {
      asker = peer;
      yield { kind: 'chunk', sizeBytes: request.op === 'read' ? request.offset : 0, bytes: new Uint8Array(1) };
    });
    const answer = await alice.transport.request(ALICE, 'blob', blobRequest(9));
    expect(answer).toMatchObject({ sizeBytes: 9 });
    expect(asker).toBe(ALICE);
    expect(alice.opened).toHaveLength(0);
  });

  it('refuses to send what does not fit the protocol', async () => {
    const { alice } = createTransportPair({ clock: new SystemClock() });
    const bad = { op: 'read' as const, blob: BLOB, offset: -1, maxBytes: 1 };
    expect(await codeOf(alice.transport.request(BOB, 'blob', bad))).toBe('NETWORK_BAD_MESSAGE');
    const close: JobRequest = { op: 'close', leases: Array.from({ length: 4096 }, () => LEASE) };
    const small = createTransportPair({ clock: new SystemClock(), limits: { job: { maxRequestBytes: 1000 } } });
    expect(await codeOf(small.alice.transport.request(BOB, 'job', close))).toBe('NETWORK_TOO_LARGE');
  });
});

describe('a responder', () => {
  const setup = async (limits = {}) => {
    const clock = new ManualClock();
    const { bob } = createTransportPair({ clock, limits });
    serveBlobs(bob);
    return { clock, bob, raw: await openRawRequester(bob, ALICE, 'blob') };
  };
  const body = encodeCanonical({ op: 'read', blob: computeRawCid(new Uint8Array([1])), offset: 0, maxBytes: 1 });

  it('answers a well-formed request', async () => {
    const { bob, raw } = await setup();
    raw.sendFrame(FRAME_KINDS.requestOne, 1, body);
    expect((await raw.nextFrame()).kind).toBe(FRAME_KINDS.last);
    expect(bob.breaches).toEqual([]);
  });

  it('resets on a frame longer than the protocol allows', async () => {
    const { bob, raw } = await setup();
    raw.send(Uint8Array.from([0, 0x10, 0, 0]));
    await raw.closed;
    expect(bob.breaches).toEqual([{ peer: ALICE, protocol: 'blob', violation: 'oversize' }]);
  });

  it('resets on bytes that are no frame, and on a body that is no canonical dag-cbor', async () => {
    const first = await setup();
    first.raw.send(Uint8Array.from([0, 0, 0, 2, 0xff, 0xff]));
    await first.raw.closed;
    expect(first.bob.breaches[0]?.violation).toBe('malformed');
    const second = await setup();
    second.raw.sendFrame(FRAME_KINDS.requestOne, 1, Uint8Array.from([0x18, 1]));
    await second.raw.closed;
    expect(second.bob.breaches[0]?.violation).toBe('malformed');
  });

  it('resets when half a frame is followed by silence', async () => {
    const { bob, raw, clock } = await setup();
    raw.send(Uint8Array.from([0, 0, 0, 100, 0x83]));
    await settle();
    clock.advance(FRAME_DEADLINE_MS - 1);
    expect(bob.breaches).toEqual([]);
    clock.advance(1);
    await raw.closed;
    expect(bob.breaches[0]?.violation).toBe('slow');
  });

  it('resets on a reused request id', async () => {
    const { bob, raw } = await setup();
    raw.sendFrame(FRAME_KINDS.requestOne, 5, body);
    raw.sendFrame(FRAME_KINDS.requestOne, 5, body);
    await raw.closed;
    expect(bob.breaches[0]?.violation).toBe('duplicate-id');
  });

  it('resets on credit or cancel for a request that was never made', async () => {
    const { bob, raw } = await setup();
    raw.sendFrame(FRAME_KINDS.cancel, 3, NULL_BODY);
    await raw.closed;
    expect(bob.breaches[0]?.violation).toBe('unknown-id');
  });

  it('resets on a frame that only responders send', async () => {
    const { bob, raw } = await setup();
    raw.sendFrame(FRAME_KINDS.response, 1, NULL_BODY);
    await raw.closed;
    expect(bob.breaches[0]?.violation).toBe('malformed');
  });

  it('refuses requests above the rate, over all streams of the peer, and keeps the stream', async () => {
    const { bob, raw, clock } = await setup({ blob: { burst: 2, requestsPerSecond: 1 } });
    for (const id of [1, 2, 3]) raw.sendFrame(FRAME_KINDS.requestOne, id, body);
    const kinds = [await raw.nextFrame(), await raw.nextFrame(), await raw.nextFrame()];
    expect(kinds.filter((frame) => frame.kind === FRAME_KINDS.error).map((frame) => frame.id)).toEqual([3]);
    const second = await openRawRequester(bob, ALICE, 'blob');
    second.sendFrame(FRAME_KINDS.requestOne, 1, body);
    expect((await second.nextFrame()).kind).toBe(FRAME_KINDS.error);
    clock.advance(1000);
    second.sendFrame(FRAME_KINDS.requestOne, 2, body);
    expect((await second.nextFrame()).kind).toBe(FRAME_KINDS.last);
    expect(bob.breaches.map((breach) => breach.violation)).toEqual(['rate-limited', 'rate-limited']);
  });

  it('refuses more requests at once than the protocol allows', async () => {
    const clock = new ManualClock();
    const { bob } = createTransportPair({ clock, limits: { blob: { maxInFlight: 2 } } });
    bob.transport.handle('blob', async function* (_request, { signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield { kind: 'not-found' };
    });
    const raw = await openRawRequester(bob, ALICE, 'blob');
    for (const id of [1, 2, 3]) raw.sendFrame(FRAME_KINDS.requestOne, id, body);
    expect(await raw.nextFrame()).toMatchObject({ kind: FRAME_KINDS.error, id: 3 });
    expect(bob.breaches[0]?.violation).toBe('too-many');
  });

  it('keeps a handler within the credit of a requester that takes nothing', async () => {
    const { bob } = createTransportPair({ clock: new ManualClock() });
    let made = 0;
    bob.transport.handle('job', async function* () {
      for (;;) {
        made += 1;
        yield logEvent(made, 'z'.repeat(60_000));
      }
    });
    const raw = await openRawRequester(bob, ALICE, 'job');
    raw.sendFrame(
      FRAME_KINDS.request,
      1,
      encodeCanonical({
        op: 'attach',
        leases: [{ lease: computeObjectCid(encodeCanonical('lease')), fromSequence: 0 }],
      }),
    );
    await settle();
    expect(made).toBeGreaterThan(5);
    expect(made).toBeLessThanOrEqual(PROTOCOLS.job.windowBytes / 60_000 + 3);
    raw.stream.abort(new Error('over'));
  });
});

describe('a requester', () => {
  const setup = async () => {
    const clock = new ManualClock();
    const { alice, bob } = createTransportPair({ clock });
    const raws: RawPeer[] = [];
    bob.transport.accept = (stream) => void raws.push(new RawPeer(stream));
    const answer = alice.transport.request(BOB, 'blob', blobRequest());
    const code = codeOf(answer);
    await settle();
    const raw = raws[0];
    if (raw === undefined) throw new Error('no stream was opened');
    return { clock, alice, answer, code, raw };
  };
  const notFound = encodeCanonical({ kind: 'not-found' });

  it('takes the answer to its request', async () => {
    const { raw, answer } = await setup();
    raw.sendFrame(FRAME_KINDS.last, 1, notFound);
    expect(await answer).toEqual({ kind: 'not-found' });
  });

  it('resets on an answer to a request that was never made', async () => {
    const { raw, code, alice } = await setup();
    raw.sendFrame(FRAME_KINDS.last, 2, notFound);
    expect(await code).toBe('NETWORK_PROTOCOL_VIOLATION');
    expect(alice.breaches[0]?.violation).toBe('unknown-id');
  });

  it('resets on a second answer', async () => {
    const { raw, answer, alice } = await setup();
    raw.sendFrame(FRAME_KINDS.last, 1, notFound);
    raw.sendFrame(FRAME_KINDS.last, 1, notFound);
    await answer;
    await raw.closed;
    expect(alice.breaches[0]?.violation).toBe('unknown-id');
  });

  it('refuses an answer that does not fit the schema, and keeps the stream', async () => {
    const { raw, code, alice } = await setup();
    raw.sendFrame(FRAME_KINDS.last, 1, encodeCanonical({ kind: 'surprise' }));
    expect(await code).toBe('NETWORK_PROTOCOL_VIOLATION');
    expect(alice.breaches[0]?.violation).toBe('bad-message');
    const next = alice.transport.request(BOB, 'blob', blobRequest());
    await settle();
    raw.sendFrame(FRAME_KINDS.last, 2, notFound);
    expect(await next).toEqual({ kind: 'not-found' });
  });

  it('resets on an answer that is no dag-cbor', async () => {
    const { raw, code, alice } = await setup();
    raw.sendFrame(FRAME_KINDS.last, 1, Uint8Array.from([0xff]));
    expect(await code).toBe('NETWORK_PROTOCOL_VIOLATION');
    await raw.closed;
    expect(alice.breaches[0]?.violation).toBe('malformed');
  });

  it('resets when a cancelled request is never confirmed', async () => {
    const { raw, code, alice, clock } = await setup();
    clock.advance(PROTOCOLS.blob.firstResponseMs);
    expect(await code).toBe('NETWORK_TIMEOUT');
    clock.advance(CANCEL_DEADLINE_MS);
    await raw.closed;
    expect(alice.breaches[0]?.violation).toBe('no-confirmation');
  });

  it('resets when a stream of answers exceeds its credit', async () => {
    const { alice, bob } = createTransportPair({ clock: new ManualClock() });
    bob.transport.accept = (stream) => {
      const raw = new RawPeer(stream);
      const events = encodeCanonical({
        kind: 'events',
        events: [
          {
            lease: computeObjectCid(encodeCanonical('lease')),
            sequence: 1,
            atMs: 1,
            event: { kind: 'log', stream: 'log', text: 'w'.repeat(65_000) },
          },
        ],
      });
      void raw.nextFrame().then(() => {
        for (let round = 0; round < 12; round++) raw.sendFrame(FRAME_KINDS.response, 1, events);
      });
    };
    const iterator = alice.transport.stream(BOB, 'job', attach)[Symbol.asyncIterator]();
    await iterator.next();
    await settle();
    expect(alice.breaches[0]?.violation).toBe('over-window');
    await iterator.return?.(undefined);
  });

  it('does not repeat a code that is none', async () => {
    const { raw, answer } = await setup();
    raw.sendFrame(FRAME_KINDS.error, 1, encodeCanonical('<script>'));
    await expect(answer).rejects.toMatchObject({ info: { remoteCode: 'UNKNOWN' } });
  });
});
