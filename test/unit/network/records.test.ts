import type { SignedMessage } from '@libp2p/gossipsub';
import { peerIdFromString } from '@libp2p/peer-id';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { NodeRecord } from '../../../src/domain/node-record.ts';
import type { Signed, SignedWire } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { DaemonError } from '../../../src/lib/errors.ts';
import { BackgroundTasks } from '../../../src/network/background-tasks.ts';
import { MAX_GOSSIP_BYTES } from '../../../src/network/constants.ts';
import { DhtRecordRules, dhtRecordKey } from '../../../src/network/discovery/dht-record-rules.ts';
import { RecordGossip } from '../../../src/network/gossip/record-gossip.ts';
import { TOPICS } from '../../../src/network/gossip/topics.ts';
import { createNetworkMetrics } from '../../../src/network/metrics.ts';
import { BoundedPeerBook } from '../../../src/network/peers/bounded-peer-book.ts';
import { PeerPenalties } from '../../../src/network/peers/peer-penalties.ts';
import { RecordIntake } from '../../../src/network/peers/record-intake.ts';
import { judgeRecord } from '../../../src/network/peers/record-rules.ts';
import { decodeRecordWire, encodeRecordWire } from '../../../src/network/peers/record-wire.ts';
import { createTestIdentity, RecordingLogger, RecordingMetrics } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';
import { ManualClock } from '../../support/stream-harness.ts';

let maker: Identity;
let other: Identity;
let self: Identity;
beforeAll(async () => {
  [maker, other, self] = await Promise.all([createTestIdentity(), createTestIdentity(), createTestIdentity()]);
});

const clock = new ManualClock();
const nowMs = clock.nowMs();
const sign = (changes: Partial<NodeRecord> = {}): Promise<Signed<NodeRecord>> => signNodeRecord(maker, nowMs, changes);

describe('a node record', () => {
  const context = { networkId: 'test', nowMs, knownSequence: 0 };

  it('is accepted when it is valid and new', async () => {
    expect(judgeRecord(await sign(), context)).toEqual({ kind: 'accept' });
  });

  it.each<[string, Partial<NodeRecord>]>([
    ['NETWORK_RECORD_OTHER_NETWORK', { network: 'elsewhere' }],
    ['NETWORK_RECORD_BAD_LIFETIME', { expiresAtMs: UnixMs(nowMs) }],
    ['NETWORK_RECORD_BAD_LIFETIME', { expiresAtMs: UnixMs(nowMs + 86_400_001) }],
    ['NETWORK_RECORD_BAD_ADDRESS', { addresses: ['not an address'] }],
    [
      'NETWORK_RECORD_BAD_ADDRESS',
      { addresses: ['/ip4/1.2.3.4/tcp/1/p2p/12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh'] },
    ],
    ['NETWORK_RECORD_BAD_VRF_KEY', { vrfPublicKey: new Uint8Array(32).fill(0xff) }],
    // The identity: of small order, so that its output would be the same for every input.
    ['NETWORK_RECORD_BAD_VRF_KEY', { vrfPublicKey: Uint8Array.of(1, ...new Uint8Array(31)) }],
    ['NETWORK_RECORD_EXPIRED', { issuedAtMs: UnixMs(nowMs - 90_000), expiresAtMs: UnixMs(nowMs - 30_001) }],
    ['NETWORK_RECORD_NOT_YET', { issuedAtMs: UnixMs(nowMs + 30_001), expiresAtMs: UnixMs(nowMs + 90_000) }],
  ])('is refused with %s', async (code, changes) => {
    expect(judgeRecord(await sign(changes), context)).toMatchObject({ code });
  });

  it('is tolerated within 30 s of clock difference', async () => {
    const late = { issuedAtMs: UnixMs(nowMs - 90_000), expiresAtMs: UnixMs(nowMs - 29_000) };
    expect(judgeRecord(await sign(late), context).kind).toBe('accept');
    const early = { issuedAtMs: UnixMs(nowMs + 29_000), expiresAtMs: UnixMs(nowMs + 90_000) };
    expect(judgeRecord(await sign(early), context).kind).toBe('accept');
  });

  it('of another signer than its peer is refused', async () => {
    const record = await sign({ peer: other.peer, addresses: [] });
    expect(judgeRecord(record, context)).toMatchObject({ kind: 'reject', code: 'NETWORK_RECORD_WRONG_SIGNER' });
  });

  it('is stale unless its sequence is above the known one', async () => {
    const record = await sign({ sequence: 7 });
    const judge = (knownSequence: number) => judgeRecord(record, { ...context, knownSequence });
    expect(judge(6)).toEqual({ kind: 'accept' });
    expect(judge(7)).toMatchObject({ kind: 'ignore', code: 'NETWORK_RECORD_STALE' });
    expect(judge(8)).toMatchObject({ kind: 'ignore', code: 'NETWORK_RECORD_STALE' });
  });

  it('on the wire comes back as it was; garbage is a coded error', async () => {
    const { wire } = await sign();
    expect(decodeRecordWire(encodeRecordWire(wire))).toEqual(wire);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeRecordWire(bytes);
          return false;
        } catch (error) {
          return error instanceof DaemonError;
        }
      }),
    );
  });
});

describe('gossiped records', () => {
  let book: BoundedPeerBook;
  let gossip: RecordGossip;
  let ownSeen: Signed<NodeRecord>[];
  beforeEach(() => {
    const metrics = createNetworkMetrics(new RecordingMetrics());
    book = new BoundedPeerBook({ clock, logger: new RecordingLogger() });
    ownSeen = [];
    const intake = new RecordIntake(
      { book, clock, metrics, onOwnRecord: (record) => ownSeen.push(record), onAccepted: () => undefined },
      { networkId: 'test', self: self.peer },
    );
    const penalties = new PeerPenalties(clock);
    const background = new BackgroundTasks(new RecordingLogger(), () => false);
    // The validator is judged without a mesh around it.
    gossip = new RecordGossip(
      { pubsub: undefined as never, intake, penalties, clock, metrics, background, onPenalty: () => undefined },
      { networkId: 'test' },
    );
  });

  const message = (data: Uint8Array, from: Identity = maker): SignedMessage => ({
    type: 'signed',
    from: peerIdFromString(from.peer),
    topic: 'records',
    data,
    sequenceNumber: 1n,
    signature: new Uint8Array(),
    key: from.privateKey.publicKey,
  });
  const judge = (data: Uint8Array, from?: Identity) => gossip.judge('neighbour', message(data, from));

  it('enter the book once', async () => {
    const data = encodeRecordWire((await sign()).wire);
    expect(await judge(data)).toEqual({ kind: 'accept' });
    const old = encodeRecordWire((await sign({ sequence: nowMs - 1 })).wire);
    expect(await judge(old)).toMatchObject({ kind: 'ignore', code: 'NETWORK_RECORD_STALE' });
    expect(book.recordOf(maker.peer)?.value.sequence).toBe(nowMs);
    expect(book.providers()).toHaveLength(1);
  });

  it('are passed on although an exchange was faster', async () => {
    const record = await sign();
    book.putRecord(record, 'gossip');
    expect(await judge(encodeRecordWire(record.wire))).toEqual({ kind: 'accept' });
    const twin = await sign({ software: 'other' });
    expect(await judge(encodeRecordWire(twin.wire))).toMatchObject({ code: 'NETWORK_RECORD_STALE' });
  });

  it('are rejected when published by another peer than their own', async () => {
    const data = encodeRecordWire((await sign()).wire);
    expect(await judge(data, other)).toMatchObject({ kind: 'reject', code: 'NETWORK_RECORD_WRONG_PUBLISHER' });
    expect(book.recordOf(maker.peer)).toBeNull();
  });

  it('are rejected when a byte of them was changed', async () => {
    const { wire } = await sign();
    if (wire.kind !== 'envelope') throw new Error('expected an envelope');
    const envelope = wire.envelope.slice();
    envelope[100] = (envelope[100] ?? 0) ^ 1;
    const changed: SignedWire = { kind: 'envelope', envelope };
    expect(await judge(encodeRecordWire(changed))).toMatchObject({ kind: 'reject', code: 'NETWORK_RECORD_MALFORMED' });
  });

  it('are rejected when they are garbage or too large', async () => {
    expect(await judge(new Uint8Array([1, 2, 3]))).toMatchObject({ code: 'NETWORK_RECORD_MALFORMED' });
    expect(await judge(new Uint8Array(MAX_GOSSIP_BYTES + 1))).toMatchObject({ code: 'NETWORK_RECORD_TOO_LARGE' });
  });

  it('are ignored from a neighbour that sends too many', async () => {
    for (let round = 0; round < TOPICS.records.neighbourRate.burst; round++) await judge(new Uint8Array([1]));
    expect(await judge(new Uint8Array([1]))).toMatchObject({ kind: 'ignore', code: 'NETWORK_RECORD_RATE' });
  });

  it('of the own identity go to the watch and not to the book', async () => {
    const record = await signNodeRecord(self, nowMs);
    expect(await judge(encodeRecordWire(record.wire), self)).toEqual({ kind: 'accept' });
    expect(ownSeen).toHaveLength(1);
    expect(book.size).toBe(0);
  });
});

describe('records in the DHT', () => {
  const rules = () => new DhtRecordRules(clock, 'test');

  it('stand under their own peer only', async () => {
    const value = encodeRecordWire((await sign()).wire);
    await expect(rules().validate(dhtRecordKey(maker.peer), value)).resolves.toBeUndefined();
    await expect(rules().validate(dhtRecordKey(other.peer), value)).rejects.toThrow('WRONG_SIGNER');
    await expect(rules().validate(new TextEncoder().encode('/fogproof-record/a/b'), value)).rejects.toThrow();
  });

  it('are refused when expired, of another network, or older than one seen before', async () => {
    const key = dhtRecordKey(maker.peer);
    const encode = async (changes: Partial<NodeRecord>) => encodeRecordWire((await sign(changes)).wire);
    await expect(rules().validate(key, await encode({ network: 'elsewhere' }))).rejects.toThrow('OTHER_NETWORK');
    const old = { issuedAtMs: UnixMs(nowMs - 90_000), expiresAtMs: UnixMs(nowMs - 60_000) };
    await expect(rules().validate(key, await encode(old))).rejects.toThrow('EXPIRED');
    const same = rules();
    await same.validate(key, await encode({ sequence: 5 }));
    await expect(same.validate(key, await encode({ sequence: 5 }))).resolves.toBeUndefined();
    await expect(same.validate(key, await encode({ sequence: 4 }))).rejects.toThrow('STALE');
  });

  it('are chosen by the highest valid sequence', async () => {
    const encode = async (sequence: number) => encodeRecordWire((await sign({ sequence })).wire);
    const values = [await encode(3), new Uint8Array([0]), await encode(9), await encode(5)];
    expect(await rules().select(values)).toBe(2);
  });
});
