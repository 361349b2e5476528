import { noise } from '@chainsafe/libp2p-noise';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, describe, expect, it } from 'vitest';
import { BlobId, LeaseId, PeerKey } from '../../../src/domain/ids.ts';
import type { JobRequest, JobResponse } from '../../../src/domain/messages.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import { FRAME_KINDS } from '../../../src/network/reqresp/frame-codec.ts';
import { PROTOCOLS } from '../../../src/network/reqresp/protocols.ts';
import {
  FastClock,
  startTestNode,
  TEST_CONTENT,
  type TestNode,
  type TestNodeSetup,
  until,
} from '../../support/network.ts';
import { RawPeer } from '../../support/stream-harness.ts';

const closing: AsyncDisposable[] = [];
afterEach(async () => {
  for (const node of closing.splice(0).reverse()) await node[Symbol.asyncDispose]();
});

async function start(setup: TestNodeSetup = {}): Promise<TestNode> {
  const node = await startTestNode(setup);
  closing.push(node);
  return node;
}

async function startPair(setup: TestNodeSetup = {}): Promise<{ asker: TestNode; answerer: TestNode }> {
  const answerer = await start(setup);
  const asker = await start(setup);
  await asker.network.connect(answerer.address());
  return { asker, answerer };
}

/** A plain libp2p host that keeps none of our rules. */
async function startRogue(encrypter: 'tls' | 'noise' = 'tls') {
  const rogue = await createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [encrypter === 'tls' ? tls() : (noise() as unknown as ReturnType<typeof tls>)],
    streamMuxers: [yamux()],
  });
  closing.push({
    [Symbol.asyncDispose]: async () => {
      await rogue.stop();
    },
  });
  return rogue;
}

const BLOB = BlobId(computeRawCid(new Uint8Array([1])).toString());
const LEASE = LeaseId(computeObjectCid(encodeCanonical('lease')).toString());
const attach: JobRequest = { op: 'attach', leases: [{ lease: LEASE, fromSequence: 0 }] };
const blobRequest = { op: 'read' as const, blob: BLOB, offset: 0, maxBytes: 512 * 1024 };
const logEvent = (sequence: number, text: string): JobResponse => ({
  kind: 'events',
  events: [{ lease: LEASE, sequence, atMs: 1 as never, event: { kind: 'log', stream: 'stdout', text } }],
});

const hasRecord = (node: TestNode, other: TestNode): boolean =>
  (node.network.peers.get(other.identity.peer)?.record ?? null) !== null;

describe('requests between hosts', () => {
  it('share one kept stream per peer and protocol', async () => {
    const { asker, answerer } = await startPair();
    answerer.network.handle('blob', async function* () {
      yield { kind: 'not-found' };
    });
    const ask = () => asker.network.request(answerer.identity.peer, 'blob', blobRequest);
    for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 100 }, ask));
    const labels = { protocol: 'blob', direction: 'outbound' };
    expect(asker.metrics.read('fogproof_network_streams_opened_total', labels)).toBe(1);
    expect(asker.metrics.read('fogproof_network_request_seconds', { protocol: 'blob' })).toBe(300);
    expect(answerer.metrics.read('fogproof_network_violations_total')).toBe(0);
  });

  it('carry the largest frames', async () => {
    const { asker, answerer } = await startPair();
    const bytes = new Uint8Array(512 * 1024).map((_, index) => index % 251);
    answerer.network.handle('blob', async function* () {
      yield { kind: 'chunk', sizeBytes: bytes.length, bytes };
    });
    const ask = () => asker.network.request(answerer.identity.peer, 'blob', blobRequest);
    for (const answer of await Promise.all(Array.from({ length: 24 }, ask))) {
      expect(answer.kind === 'chunk' && Buffer.compare(answer.bytes, bytes)).toBe(0);
    }
  });

  it('stream answers with backpressure over a real connection, and cancel', async () => {
    const { asker, answerer } = await startPair();
    let made = 0;
    const cancelled = Promise.withResolvers<void>();
    answerer.network.handle('job', async function* (_request, { signal }) {
      signal.addEventListener('abort', () => cancelled.resolve());
      while (!signal.aborted) {
        made += 1;
        yield logEvent(made, 'x'.repeat(60_000));
      }
    });
    let taken = 0;
    for await (const response of asker.network.stream(answerer.identity.peer, 'job', attach)) {
      expect(response.kind === 'events' && response.events[0]?.sequence).toBe(++taken);
      if (taken === 5) await new Promise((resolve) => setTimeout(resolve, 200));
      expect(made - taken).toBeLessThanOrEqual(PROTOCOLS.job.windowBytes / 60_000 + 3);
      if (taken === 50) break;
    }
    await cancelled.promise;
  });

  it('connect on demand to a peer whose record was learnt', async () => {
    const hub = await start();
    const setup = { options: { bootstrap: [hub.address()] } };
    const a = await start(setup);
    const b = await start(setup);
    await b.network.updateRecord(TEST_CONTENT);
    await until(a, () => hasRecord(a, b));
    b.network.handle('blob', async function* () {
      yield { kind: 'not-found' };
    });
    expect(await a.network.request(b.identity.peer, 'blob', blobRequest)).toEqual({ kind: 'not-found' });
    expect(a.network.peers.get(b.identity.peer)?.isConnected).toBe(true);
  });

  it('reconnect after the other side came back', async () => {
    const answerer = await start();
    const asker = await start();
    await asker.network.connect(answerer.address());
    const serve = (node: TestNode) =>
      node.network.handle('blob', async function* () {
        yield { kind: 'not-found' };
      });
    serve(answerer);
    const ask = () => asker.network.request(answerer.identity.peer, 'blob', blobRequest);
    await ask();
    const listen = [answerer.address().replace(/\/p2p\/.*/, '')];
    await answerer.network.stop();
    await until(asker, () => asker.network.status().connections === 0);
    await expect(ask()).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    serve(await start({ identity: answerer.identity, options: { listen } }));
    expect(await ask()).toEqual({ kind: 'not-found' });
  });

  it('fail with a code when the peer is unknown', async () => {
    const node = await start();
    const nobody = PeerKey('12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh');
    const asked = node.network.request(nobody, 'blob', blobRequest, { timeoutMs: 1000 });
    await expect(asked).rejects.toMatchObject({ code: expect.stringMatching(/NETWORK_(UNREACHABLE|TIMEOUT)/) });
  });

  it('work over noise where a peer has no TLS', async () => {
    const node = await start();
    const rogue = await startRogue('noise');
    const connection = await rogue.dial(multiaddr(node.address()));
    expect(connection.encryption).toBe('/noise');
    const stream = await connection.newStream('/fogproof/test/records/1');
    const raw = new RawPeer(stream);
    raw.sendFrame(FRAME_KINDS.requestOne, 1, encodeCanonical({ op: 'get', peers: [node.identity.peer] }));
    expect((await raw.nextFrame()).kind).toBe(FRAME_KINDS.last);
  });
});

describe('a hostile peer', () => {
  const open = async (node: TestNode) => {
    const rogue = await startRogue();
    const connection = await rogue.dial(multiaddr(node.address()));
    return { rogue, open: async () => new RawPeer(await connection.newStream('/fogproof/test/records/1')) };
  };

  it.each<[string, Uint8Array, number]>([
    ['oversize', Uint8Array.from([0xff, 0, 0, 0]), 1],
    ['malformed', Uint8Array.from([0, 0, 0, 3, 1, 2, 3]), 1],
    ['slow', Uint8Array.from([0, 0, 1, 0, 0x83, 0]), 50],
  ])('that sends %s frames loses the stream and is counted', async (violation, bytes, factor) => {
    const node = await start({ clock: new FastClock(factor) });
    const honest = await start();
    await honest.network.connect(node.address());
    const rogue = await open(node);
    const raw = await rogue.open();
    raw.send(bytes);
    await raw.closed;
    expect(node.metrics.read('fogproof_network_violations_total', { violation })).toBe(1);
    const answer = await honest.network.request(node.identity.peer, 'records', { op: 'sample', limit: 1 });
    expect(answer).toEqual({ records: [] });
  });

  it('is disconnected and refused after a few breaches', async () => {
    const node = await start();
    const { rogue, open: openStream } = await open(node);
    const gone = new Promise((resolve) => rogue.addEventListener('peer:disconnect', resolve));
    for (let round = 0; round < 5; round++) {
      const raw = await openStream();
      raw.send(Uint8Array.from([0xff, 0, 0, 0]));
      await raw.closed;
    }
    await gone;
    expect(node.metrics.read('fogproof_network_bans_total')).toBe(1);
    const again = rogue
      .dial(multiaddr(node.address()))
      .then((connection) => connection.newStream('/fogproof/test/records/1'));
    await expect(again).rejects.toThrow();
    expect(node.network.status().connections).toBe(0);
  });
});
