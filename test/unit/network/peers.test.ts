import { beforeAll, describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { BAN_PENALTY, PENALTY_HALF_LIFE_MS, REMEMBERED_TTL_MS } from '../../../src/network/constants.ts';
import { Bootstrap } from '../../../src/network/discovery/bootstrap.ts';
import type { Dialer } from '../../../src/network/discovery/dialer.ts';
import { IdentityWatch } from '../../../src/network/discovery/identity-watch.ts';
import { NetworkError } from '../../../src/network/errors.ts';
import { createNetworkMetrics } from '../../../src/network/metrics.ts';
import { BoundedPeerBook } from '../../../src/network/peers/bounded-peer-book.ts';
import { compareInstances, createInstance } from '../../../src/network/peers/instance.ts';
import {
  ADDRESS_TTL_MS,
  FORGET_AFTER_FAILURES,
  KNOWN_PEER_CODEC,
  KnownPeers,
} from '../../../src/network/peers/known-peers.ts';
import { OwnRecord } from '../../../src/network/peers/own-record.ts';
import { PeerPenalties } from '../../../src/network/peers/peer-penalties.ts';
import { TokenBucket } from '../../../src/network/reqresp/token-bucket.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { createTestIdentity, RecordingLogger, RecordingMetrics, TEST_CONTENT } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';
import { ALICE, BOB, ManualClock } from '../../support/stream-harness.ts';

const random = new SystemRandom();
let identity: Identity;
let peers: PeerKey[];
beforeAll(async () => {
  identity = await createTestIdentity();
  peers = await Promise.all(Array.from({ length: 4 }, async () => (await createTestIdentity()).peer));
});

describe('the peer book', () => {
  const create = (clock = new ManualClock(), maxPeers = 3) =>
    new BoundedPeerBook({ clock, logger: new RecordingLogger() }, { maxPeers });

  it('drops the longest unseen that is not connected', () => {
    const clock = new ManualClock();
    const book = create(clock);
    const [first, second, third, fourth] = peers as [PeerKey, PeerKey, PeerKey, PeerKey];
    book.noteConnected(first, 'c', { direction: 'inbound', encryption: null, address: '/ip4/1.1.1.1/tcp/1' });
    for (const peer of [second, third, fourth]) {
      clock.advance(1);
      book.noteSeen(peer, 'gossip', []);
    }
    expect(book.list().map((info) => info.peer)).toEqual([first, third, fourth]);
  });

  it('drops one that fails before one that was not seen for longer', () => {
    const clock = new ManualClock();
    const book = create(clock);
    const [first, second, third, fourth] = peers as [PeerKey, PeerKey, PeerKey, PeerKey];
    for (const peer of [first, second, third]) {
      clock.advance(1);
      book.noteSeen(peer, 'gossip', []);
    }
    book.noteFailure(second);
    book.noteSeen(fourth, 'gossip', []);
    expect(book.list().map((info) => info.peer)).toEqual([first, third, fourth]);
  });

  it('lets no address group push out others, and keeps no address that may not be dialled', () => {
    const isUsable = (address: string): boolean => !address.startsWith('/ip4/10.');
    const modules = { clock: new ManualClock(), logger: new RecordingLogger(), isUsable };
    const book = new BoundedPeerBook(modules, { knownPerGroup: 1 });
    const [first, second, third] = peers as [PeerKey, PeerKey, PeerKey];
    book.noteSeen(first, 'gossip', ['/ip4/198.51.100.1/tcp/1', '/ip4/10.0.0.1/tcp/1']);
    book.noteSeen(second, 'gossip', ['/ip4/192.0.2.1/tcp/1']);
    book.noteSeen(third, 'gossip', ['/ip4/192.0.2.2/tcp/1']);
    expect(book.list().map((info) => info.peer)).toEqual([first, third]);
    expect(book.get(first)?.addresses).toEqual(['/ip4/198.51.100.1/tcp/1']);
  });

  it('lists providers with valid records, connected ones first', async () => {
    const clock = new ManualClock();
    const book = create(clock);
    const other = await createTestIdentity();
    const idle = await createTestIdentity();
    book.putRecord(await signNodeRecord(identity, clock.nowMs()), 'gossip');
    book.putRecord(await signNodeRecord(other, clock.nowMs()), 'gossip');
    const role = { provides: false, requests: true };
    book.putRecord(await signNodeRecord(idle, clock.nowMs(), { role }), 'gossip');
    book.noteConnected(other.peer, 'c', { direction: 'outbound', encryption: null, address: '/ip4/1.1.1.1/tcp/1' });
    expect(book.providers().map((record) => record.signer)).toEqual([other.peer, identity.peer]);
    clock.advance(600_001);
    expect(book.providers()).toEqual([]);
    expect(book.get(other.peer)?.record).toBeNull();
  });

  it('tells of changes until told to stop, whatever a listener throws', () => {
    const book = create();
    let calls = 0;
    book.onChange(() => {
      throw new TypeError('listener');
    });
    const subscription = book.onChange(() => {
      calls += 1;
    });
    book.noteSeen(ALICE, 'gossip', []);
    subscription[Symbol.dispose]();
    book.noteSeen(BOB, 'gossip', []);
    expect(calls).toBe(1);
  });
});

describe('penalties', () => {
  it('ban a peer and halve with time', () => {
    const clock = new ManualClock();
    const penalties = new PeerPenalties(clock);
    penalties.add(ALICE, BAN_PENALTY);
    expect(penalties.isBanned(ALICE)).toBe(true);
    clock.advance(PENALTY_HALF_LIFE_MS);
    expect(penalties.penaltyOf(ALICE)).toBeCloseTo(BAN_PENALTY / 2);
    expect(penalties.isBanned(ALICE)).toBe(false);
    expect(penalties.penaltyOf(BOB)).toBe(0);
  });
});

describe('a token bucket', () => {
  it('lets through its burst, then its rate', () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket(clock, { perSecond: 10, burst: 3 });
    expect([1, 2, 3, 4].map(() => bucket.take())).toEqual([true, true, true, false]);
    clock.advance(100);
    expect([1, 2].map(() => bucket.take())).toEqual([true, false]);
    clock.advance(60_000);
    expect([1, 2, 3, 4].map(() => bucket.take())).toEqual([true, true, true, false]);
  });
});

describe('known peers', () => {
  it('come back the latest first, without the long forgotten', async () => {
    const clock = new ManualClock();
    const database = new MemoryDatabase();
    const known = new KnownPeers({ database, clock });
    await known.remember(ALICE, ['/ip4/192.0.2.1/tcp/1']);
    clock.advance(1000);
    await known.remember(BOB, ['/ip4/192.0.2.2/tcp/1']);
    await known.remember(peers[0] as PeerKey, []);
    const again = new KnownPeers({ database: database.clone(), clock });
    expect((await again.load()).map((entry) => entry.peer)).toEqual([BOB, ALICE]);
    clock.advance(REMEMBERED_TTL_MS - 500);
    expect((await again.load()).map((entry) => entry.peer)).toEqual([BOB]);
  });

  it('that fail come after those that do not, and are forgotten when they have failed for a day', async () => {
    const clock = new ManualClock();
    const known = new KnownPeers({ database: new MemoryDatabase(), clock });
    await known.remember(ALICE, ['/ip4/192.0.2.1/tcp/1']);
    clock.advance(1000);
    await known.remember(BOB, ['/ip4/192.0.2.2/tcp/1']);
    await known.noteFailure(BOB);
    expect((await known.load()).map(({ peer }) => peer)).toEqual([ALICE, BOB]);
    for (let count = 1; count < FORGET_AFTER_FAILURES; count++) await known.noteFailure(BOB);
    expect(await known.load()).toHaveLength(2);
    clock.advance(24 * 3_600_000);
    expect((await known.load()).map(({ peer }) => peer)).toEqual([ALICE]);
    await known.noteFailure(peers[0] as PeerKey);
    expect(await known.load()).toHaveLength(1);
  });

  it('lose addresses that are neither told nor used for a week, but not the last', async () => {
    const clock = new ManualClock();
    const known = new KnownPeers({ database: new MemoryDatabase(), clock });
    await known.remember(ALICE, ['/ip4/192.0.2.1/tcp/1']);
    clock.advance(ADDRESS_TTL_MS);
    await known.remember(ALICE, ['/ip4/192.0.2.2/tcp/1']);
    expect((await known.load())[0]?.addresses).toEqual(['/ip4/192.0.2.2/tcp/1', '/ip4/192.0.2.1/tcp/1']);
    clock.advance(1);
    expect((await known.load())[0]?.addresses).toEqual(['/ip4/192.0.2.2/tcp/1']);
    clock.advance(ADDRESS_TTL_MS);
    expect((await known.load())[0]?.addresses).toEqual(['/ip4/192.0.2.2/tcp/1']);
  });

  it('are bounded for each address group', async () => {
    const known = new KnownPeers({ database: new MemoryDatabase(), clock: new ManualClock() }, { maxPerGroup: 1 });
    await known.remember(ALICE, ['/ip4/192.0.2.1/tcp/1']);
    await known.remember(BOB, ['/ip4/192.0.2.2/tcp/1']);
    await known.remember(peers[0] as PeerKey, ['/ip4/198.51.100.1/tcp/1']);
    expect(await known.load()).toHaveLength(2);
  });

  it('of an earlier version are read', async () => {
    const database = new MemoryDatabase();
    const entry = { addresses: ['/ip4/192.0.2.1/tcp/1'], lastSuccessMs: new ManualClock().nowMs() };
    await database.repository('known-peers', KNOWN_PEER_CODEC).put(ALICE, entry);
    expect(await new KnownPeers({ database, clock: new ManualClock() }).load()).toMatchObject([
      { peer: ALICE, ...entry },
    ]);
  });
});

describe('the own record', () => {
  const create = (database: MemoryDatabase, clock: ManualClock) =>
    new OwnRecord(
      { identity, database, clock, random, logger: new RecordingLogger() },
      { networkId: 'test', recordTtlMs: 60_000, software: 'x' },
    );

  it('has a sequence that never goes back, over restarts and a clock set back', async () => {
    const clock = new ManualClock();
    const database = new MemoryDatabase();
    const first = create(database, clock);
    await first.load();
    const records = await Promise.all([1, 2, 3].map(() => first.issue(TEST_CONTENT, [])));
    const [a, b, c] = records.map((record) => record.value.sequence) as [number, number, number];
    expect(a < b && b < c).toBe(true);
    clock.advance(-3_600_000);
    const second = create(database.clone(), clock);
    await second.load();
    expect((await second.issue(TEST_CONTENT, [])).value.sequence).toBeGreaterThan(c);
    expect(second.instance).not.toEqual(first.instance);
  });

  it('is on disk before anybody can see it', async () => {
    const database = new MemoryDatabase();
    const durable: (boolean | undefined)[] = [];
    database.onWrite = (_operations, options) => durable.push(options.durable);
    const own = create(database, new ManualClock());
    database.onWrite = () => {
      throw new TypeError('disk full');
    };
    await expect(own.issue(TEST_CONTENT, [])).rejects.toThrow('disk full');
    expect(own.current).toBeNull();
    database.onWrite = (_operations, options) => durable.push(options.durable);
    await own.issue(TEST_CONTENT, []);
    expect(durable).toEqual([true]);
  });

  it('stands above a sequence that was seen elsewhere', async () => {
    const clock = new ManualClock();
    const own = create(new MemoryDatabase(), clock);
    own.raiseSequence(clock.nowMs() + 50_000);
    expect((await own.issue(TEST_CONTENT, [])).value.sequence).toBe(clock.nowMs() + 50_001);
  });
});

describe('the watch over the own identity', () => {
  const setup = (probe: (watch: IdentityWatch) => void = () => undefined) => {
    const clock = new ManualClock();
    const startedAtMs = clock.nowMs();
    const answered: unknown[] = [];
    const probed: string[] = [];
    const watch: IdentityWatch = new IdentityWatch(
      {
        clock,
        logger: new RecordingLogger(),
        metrics: createNetworkMetrics(new RecordingMetrics()),
        ownAddresses: () => [`/ip4/127.0.0.1/tcp/1/p2p/${identity.peer}`],
        probe: async (address) => {
          probed.push(address);
          probe(watch);
        },
        answerLaterInstance: (record) => answered.push(record),
      },
      { self: identity.peer, instance: createInstance(startedAtMs, random), startedAtMs },
    );
    const settle = async () => {
      for (let round = 0; round < 5; round++) await Promise.resolve();
      clock.advance(1000);
      for (let round = 0; round < 5; round++) await Promise.resolve();
    };
    return { clock, watch, answered, probed, startedAtMs, settle };
  };
  const isDetected = (watch: IdentityWatch) =>
    Promise.race([watch.detected.then(() => true), new Promise((resolve) => setTimeout(resolve, 5, false))]);

  it('gives way to an earlier daemon that issued a record after our start', async () => {
    const { watch, startedAtMs } = setup();
    const instance = createInstance(startedAtMs - 1000, random);
    watch.noteRecord(await signNodeRecord(identity, startedAtMs + 1, { instance }));
    expect(await watch.detected).toEqual(['/ip4/192.0.2.1/tcp/4717']);
  });

  it('stays, and answers, when the other one started later', async () => {
    const { watch, startedAtMs, answered } = setup();
    const instance = createInstance(startedAtMs + 1, random);
    watch.noteRecord(await signNodeRecord(identity, startedAtMs + 1, { instance }));
    expect(await isDetected(watch)).toBe(false);
    expect(answered).toHaveLength(1);
    expect(watch.addresses).not.toBeNull();
  });

  it('does not mistake its own earlier run for another daemon', async () => {
    const { watch, startedAtMs, probed, settle } = setup();
    watch.noteRecord(await signNodeRecord(identity, startedAtMs - 1000));
    await settle();
    expect(probed).toEqual(['/ip4/192.0.2.1/tcp/4717']);
    expect(await isDetected(watch)).toBe(false);
  });

  it('finds the earlier daemon where its old record says it is', async () => {
    const { watch, startedAtMs, settle } = setup((found) => found.noteOwnHandshake('outbound'));
    watch.noteRecord(await signNodeRecord(identity, startedAtMs - 1000));
    await settle();
    expect(await watch.detected).toEqual(['/ip4/192.0.2.1/tcp/4717']);
  });

  it('is not fooled into meeting itself at an unknown address', async () => {
    const { watch, startedAtMs, settle } = setup((found) => {
      found.noteOwnHandshake('outbound');
      found.noteOwnHandshake('inbound');
    });
    watch.noteRecord(await signNodeRecord(identity, startedAtMs - 1000));
    await settle();
    expect(await isDetected(watch)).toBe(false);
  });

  it('does not dial its own addresses', async () => {
    const { watch, probed, settle } = setup();
    watch.noteAddresses(['/ip4/127.0.0.1/tcp/1']);
    await settle();
    expect(probed).toEqual([]);
  });

  it('knows which of two instances is the later', () => {
    const a = createInstance(1000, random);
    const b = createInstance(2000, random);
    expect(compareInstances(a, b)).toBeLessThan(0);
    expect(compareInstances(b, a)).toBeGreaterThan(0);
    expect(compareInstances(a, a)).toBe(0);
  });
});

describe('bootstrap', () => {
  const address = `/ip4/192.0.2.1/tcp/4717/p2p/${ALICE}`;
  const setup = (dial: () => Promise<PeerKey>, addresses = [address]) => {
    const clock = new ManualClock();
    const own: string[] = [];
    const connected = new Set<PeerKey>();
    let dials = 0;
    const dialer: Pick<Dialer, 'dialAddress'> = {
      dialAddress: () => {
        dials += 1;
        return dial();
      },
    };
    const bootstrap = new Bootstrap(
      {
        dialer: dialer as Dialer,
        clock,
        random,
        logger: new RecordingLogger(),
        isConnected: (peer) => connected.has(peer),
        onConnected: (peer) => connected.add(peer),
        onOwnIdentity: (found) => own.push(found),
      },
      { self: BOB, addresses },
    );
    const settle = async () => {
      for (let round = 0; round < 10; round++) await Promise.resolve();
    };
    return { clock, bootstrap, settle, own, connected, dials: () => dials };
  };
  const refuse = () =>
    Promise.reject(new NetworkError({ code: 'NETWORK_UNREACHABLE', target: 'x', reason: 'connection refused' }));

  it('names each refused peer with its reason, and tries again with growing waits', async () => {
    const { bootstrap, clock, settle, dials } = setup(refuse);
    expect(bootstrap.isDegraded).toBe(false);
    bootstrap.start();
    await settle();
    expect(bootstrap.reports()).toEqual([{ address, outcome: 'refused', reason: 'connection refused' }]);
    expect(bootstrap.isDegraded).toBe(true);
    clock.advance(500);
    await settle();
    clock.advance(500);
    await settle();
    expect(dials()).toBe(2);
    clock.advance(500);
    await settle();
    expect(dials()).toBe(3);
    bootstrap.stop();
    expect(clock.pending).toBe(0);
  });

  it('is no longer degraded when a peer answers, and dials it again when it is lost', async () => {
    const { bootstrap, clock, settle, connected, dials } = setup(async () => ALICE);
    bootstrap.start();
    await settle();
    expect(bootstrap.isDegraded).toBe(false);
    connected.delete(ALICE);
    bootstrap.noteDisconnected(ALICE);
    expect(bootstrap.isDegraded).toBe(true);
    clock.advance(500);
    await settle();
    expect(dials()).toBe(2);
    bootstrap.stop();
  });

  it('refuses what is no address, and its own', async () => {
    const own = `/ip4/192.0.2.1/tcp/1/p2p/${BOB}`;
    const { bootstrap, settle, own: seen, dials } = setup(refuse, ['nonsense', own]);
    bootstrap.start();
    await settle();
    expect(dials()).toBe(0);
    expect(bootstrap.reports().map((report) => report.outcome)).toEqual(['refused', 'refused']);
    expect(seen).toEqual([own]);
    bootstrap.stop();
  });
});
