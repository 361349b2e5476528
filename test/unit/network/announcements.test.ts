import type { GossipSub, SignedMessage } from '@libp2p/gossipsub';
import { peerIdFromString } from '@libp2p/peer-id';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ANNOUNCEMENT, type Announcement } from '../../../src/domain/announcement.ts';
import { CAPABILITY_CLASSES, type CapabilityClass } from '../../../src/domain/capability.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { NODE_RECORD } from '../../../src/domain/node-record.ts';
import type { Signed } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { DaemonError } from '../../../src/lib/errors.ts';
import { AnnouncementGossip } from '../../../src/network/gossip/announcement-gossip.ts';
import { ANNOUNCEMENT_RULES, judgeAnnouncement } from '../../../src/network/gossip/announcement-rules.ts';
import {
  decodeAnnouncementWire,
  encodeAnnouncementWire,
  MAX_ANNOUNCEMENT_WIRE_BYTES,
  openAnnouncement,
} from '../../../src/network/gossip/announcement-wire.ts';
import { SeenUntil } from '../../../src/network/gossip/seen-until.ts';
import { ANNOUNCEMENT_RATE, jobTopic, TOPICS, topicId } from '../../../src/network/gossip/topics.ts';
import { createNetworkMetrics } from '../../../src/network/metrics.ts';
import { PeerPenalties } from '../../../src/network/peers/peer-penalties.ts';
import { signObjects } from '../../../src/proofs/signed-object.ts';
import { ANNOUNCE_PACE } from '../../../src/scheduler/requester/announcing/constants.ts';
import { buildAnnouncement, signAnnouncement } from '../../support/announcement-builder.ts';
import { createTestIdentity, RecordingLogger, RecordingMetrics } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';
import { ManualClock } from '../../support/stream-harness.ts';

let requester: Identity;
let other: Identity;
let clock: ManualClock;
beforeAll(async () => {
  [requester, other] = await Promise.all([createTestIdentity(), createTestIdentity()]);
});
beforeEach(() => {
  clock = new ManualClock();
});

const sign = (changes: Partial<Announcement> = {}, signer = requester) =>
  signAnnouncement(signer, clock.nowMs(), changes);

describe('what an announcement says', () => {
  const judge = (announcement: Signed<Announcement>, publisher = requester) =>
    judgeAnnouncement(announcement, {
      networkId: 'test',
      capabilityClass: 'cpu',
      publisher: publisher.peer,
      nowMs: clock.nowMs(),
    });
  const from = (startMs: number, lifeMs: number) => ({
    issuedAtMs: UnixMs(clock.nowMs() + startMs),
    expiresAtMs: UnixMs(clock.nowMs() + startMs + lifeMs),
  });

  it('is accepted where all is as it should be', async () => {
    expect(judge(await sign())).toEqual({ kind: 'accept' });
    expect(judge(await sign(from(0, 60_000)))).toEqual({ kind: 'accept' });
  });

  it.each<[string, () => Partial<Announcement>]>([
    ['NETWORK_ANNOUNCEMENT_WRONG_SIGNER', () => ({ requester: other.peer })],
    ['NETWORK_ANNOUNCEMENT_OTHER_NETWORK', () => ({ network: 'elsewhere' })],
    ['NETWORK_ANNOUNCEMENT_WRONG_TOPIC', () => ({ capabilityClass: 'tee' })],
    ['NETWORK_ANNOUNCEMENT_BAD_LIFETIME', () => from(0, 0)],
    ['NETWORK_ANNOUNCEMENT_BAD_LIFETIME', () => from(0, 60_001)],
    ['NETWORK_ANNOUNCEMENT_EXPIRED', () => from(-40_001, 10_000)],
    ['NETWORK_ANNOUNCEMENT_NOT_YET', () => from(30_001, 10_000)],
  ])('is refused with %s', async (code, changes) => {
    const { kind } = ANNOUNCEMENT_RULES[code as keyof typeof ANNOUNCEMENT_RULES];
    expect(judge(await sign(changes()))).toMatchObject({ kind, code });
  });

  it('is tolerated within 30 s of clock difference', async () => {
    expect(judge(await sign(from(-39_999, 10_000)))).toEqual({ kind: 'accept' });
    expect(judge(await sign(from(29_999, 10_000)))).toEqual({ kind: 'accept' });
  });

  it('is refused when another than its requester publishes it', async () => {
    expect(judge(await sign(), other)).toMatchObject({
      kind: 'reject',
      code: 'NETWORK_ANNOUNCEMENT_WRONG_PUBLISHER',
    });
  });
});

describe('an announcement on the wire', () => {
  it('comes back as it was, alone and out of a batch', async () => {
    const alone = await sign();
    const values = [buildAnnouncement(requester, clock.nowMs()), buildAnnouncement(requester, clock.nowMs())];
    for (const announcement of [alone, ...(await signObjects(ANNOUNCEMENT, values, requester))]) {
      const bytes = encodeAnnouncementWire(announcement.wire);
      expect(bytes.length).toBeLessThanOrEqual(MAX_ANNOUNCEMENT_WIRE_BYTES);
      expect(await openAnnouncement(bytes)).toMatchObject({
        kind: 'opened',
        announcement: { value: announcement.value },
      });
    }
  });

  it('is a coded error if it is garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeAnnouncementWire(bytes);
          return false;
        } catch (error) {
          return error instanceof DaemonError;
        }
      }),
    );
  });

  it('is malformed with any byte changed, cut off or added, and nothing is thrown', async () => {
    const bytes = encodeAnnouncementWire((await sign()).wire);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const changed = bytes.map((byte, index) => (index === place ? byte ^ change : byte));
        for (const wrong of [changed, bytes.subarray(0, place), Uint8Array.of(...bytes, change)]) {
          expect(await openAnnouncement(wrong)).toEqual({ kind: 'refused', code: 'NETWORK_ANNOUNCEMENT_MALFORMED' });
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is malformed where it is a signed object of another kind, or one with a field too many', async () => {
    const record = await signNodeRecord(requester, clock.nowMs());
    const foreign = encodeAnnouncementWire(record.wire);
    expect(record.value.type).toBe(NODE_RECORD.type);
    expect(await openAnnouncement(foreign)).toMatchObject({ kind: 'refused' });
    const { wire } = await sign();
    const extended = encodeCanonical({ ...wire, more: 1 });
    expect(await openAnnouncement(extended)).toMatchObject({ kind: 'refused' });
  });
});

describe('the memory of what was seen', () => {
  it('holds each id until its time, and of too many the newest', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ id: fc.nat(30), lifeMs: fc.nat(20), stepMs: fc.nat(3) })), (steps) => {
        const seen = new SeenUntil({ capacity: 8 });
        const model: { id: string; untilMs: number }[] = [];
        let nowMs = 0;
        for (const { id: number, lifeMs, stepMs } of steps) {
          nowMs += stepMs;
          const id = String(number);
          const isNew = seen.add(id, { untilMs: nowMs + lifeMs, nowMs });
          const known = model.findIndex((entry) => entry.id === id);
          // What the model of the last eight knows as live is never new.
          if (known >= 0 && (model[known]?.untilMs ?? 0) > nowMs && model.length - known <= 8)
            expect(isNew).toBe(false);
          if (isNew) {
            if (known >= 0) model.splice(known, 1);
            model.push({ id, untilMs: nowMs + lifeMs });
          }
          expect(seen.size).toBeLessThanOrEqual(8);
        }
      }),
    );
  });
});

/** gossipsub, as far as the validator and the subscriptions go. */
class FakePubsub {
  readonly topics = new Set<string>();
  readonly topicValidators = new Map<string, unknown>();
  readonly published: { readonly topic: string; readonly data: Uint8Array }[] = [];
  subscribers: unknown[] = [{}];
  addEventListener(): void {}
  subscribe(topic: string): void {
    this.topics.add(topic);
  }
  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }
  getSubscribers(): unknown[] {
    return this.subscribers;
  }
  async publish(topic: string, data: Uint8Array) {
    this.published.push({ topic, data });
    return { recipients: this.subscribers };
  }
}

describe('gossiped announcements', () => {
  let gossip: AnnouncementGossip;
  let heard: Signed<Announcement>[];
  let pubsub: FakePubsub;
  let sought: CapabilityClass[];
  beforeEach(() => {
    heard = [];
    sought = [];
    pubsub = new FakePubsub();
    gossip = new AnnouncementGossip(
      {
        penalties: new PeerPenalties(clock),
        clock,
        metrics: createNetworkMetrics(new RecordingMetrics()),
        logger: new RecordingLogger(),
        onPenalty: () => undefined,
      },
      { networkId: 'test' },
    );
    gossip.attach({
      pubsub: pubsub as unknown as GossipSub,
      seekTakers: async (capabilityClass) => void sought.push(capabilityClass),
    });
  });
  const listen = () => gossip.listen(['cpu'], (announcement) => heard.push(announcement));

  const message = (data: Uint8Array, from: Identity): SignedMessage => ({
    type: 'signed',
    from: peerIdFromString(from.peer),
    topic: topicId('test', 'jobs/cpu'),
    data,
    sequenceNumber: 1n,
    signature: new Uint8Array(),
    key: from.privateKey.publicKey,
  });
  const judge = (data: Uint8Array, { from = requester, source = 'neighbour' } = {}) =>
    gossip.judge(source, message(data, from), 'cpu');
  const encode = async (changes: Partial<Announcement> = {}, signer = requester) =>
    encodeAnnouncementWire((await sign(changes, signer)).wire);

  it('are told once, however often they come', async () => {
    listen();
    const data = await encode();
    expect(await judge(data)).toEqual({ kind: 'accept' });
    for (const source of ['neighbour', 'another']) {
      expect(await judge(data, { source })).toMatchObject({ kind: 'ignore', code: 'NETWORK_ANNOUNCEMENT_SEEN' });
    }
    expect(heard).toHaveLength(1);
  });

  it('are remembered for as long as they could be accepted again', async () => {
    listen();
    const data = await encode();
    await judge(data);
    clock.advance(39_999);
    expect(await judge(data)).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_SEEN' });
    clock.advance(3);
    expect(await judge(data)).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_EXPIRED' });
    expect(heard).toHaveLength(1);
  });

  it('are rejected when they are garbage, too large or published by another, and never told', async () => {
    listen();
    expect(await judge(Uint8Array.of(1, 2, 3))).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_MALFORMED', penalty: 20 });
    const large = new Uint8Array(MAX_ANNOUNCEMENT_WIRE_BYTES + 1);
    expect(await judge(large)).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_TOO_LARGE', penalty: 10 });
    expect(await judge(await encode(), { from: other })).toMatchObject({
      code: 'NETWORK_ANNOUNCEMENT_WRONG_PUBLISHER',
      penalty: 20,
    });
    const unsigned = { ...message(await encode(), requester), type: 'unsigned' as const };
    expect(await gossip.judge('neighbour', unsigned, 'cpu')).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_MALFORMED' });
    expect(heard).toHaveLength(0);
  });

  it('of a requester that floods cost it, but not who passes them on', async () => {
    listen();
    const garbage = Uint8Array.of(1);
    const { burst } = ANNOUNCEMENT_RATE;
    for (let round = 0; round < burst; round += 1) await judge(garbage);
    expect(await judge(garbage)).toMatchObject({ kind: 'ignore', code: 'NETWORK_ANNOUNCEMENT_REQUESTER_RATE' });
    expect(await judge(garbage, { source: requester.peer })).toMatchObject({
      kind: 'reject',
      code: 'NETWORK_ANNOUNCEMENT_FLOOD',
    });
    expect(await judge(await encode({}, other), { from: other })).toEqual({ kind: 'accept' });
    clock.advance(1_000);
    expect(await judge(await encode())).toEqual({ kind: 'accept' });
  });

  it('of a neighbour above its rate are ignored whoever published them', async () => {
    listen();
    const publishers = await Promise.all(Array.from({ length: 14 }, () => createTestIdentity()));
    const { burst } = TOPICS['jobs/cpu'].neighbourRate;
    for (let round = 0; round < burst; round += 1) {
      await judge(Uint8Array.of(1), { from: publishers[round % publishers.length] ?? other });
    }
    expect(await judge(await encode())).toMatchObject({ kind: 'ignore', code: 'NETWORK_ANNOUNCEMENT_RATE' });
    expect(await judge(await encode(), { source: 'another' })).toEqual({ kind: 'accept' });
  });

  it('of classes that are not served are ignored; a class is left with its last listener', async () => {
    const data = await encode();
    expect(await judge(data)).toMatchObject({ kind: 'ignore', code: 'NETWORK_ANNOUNCEMENT_UNSERVED' });
    expect([...pubsub.topics]).toEqual([]);
    const first = listen();
    const second = gossip.listen(['cpu', 'tee'], () => undefined);
    expect([...pubsub.topics].sort()).toEqual([topicId('test', 'jobs/cpu'), topicId('test', 'jobs/tee')]);
    second[Symbol.dispose]();
    second[Symbol.dispose]();
    expect([...pubsub.topics]).toEqual([topicId('test', 'jobs/cpu')]);
    first[Symbol.dispose]();
    expect([...pubsub.topics]).toEqual([]);
    expect(await judge(data)).toMatchObject({ code: 'NETWORK_ANNOUNCEMENT_UNSERVED' });
  });

  it('are judged on every topic of jobs, whether it is subscribed to or not', () => {
    const topics = CAPABILITY_CLASSES.map((capabilityClass) => topicId('test', jobTopic(capabilityClass)));
    expect([...pubsub.topicValidators.keys()]).toEqual(topics);
  });

  it('go to who is subscribed; where nobody is, takers are sought first', async () => {
    expect(await gossip.announce(await sign())).toEqual({ recipients: 1 });
    expect(sought).toEqual([]);
    pubsub.subscribers = [];
    expect(await gossip.announce(await sign({ capabilityClass: 'tee' }))).toEqual({ recipients: 0 });
    expect(sought).toEqual(['tee']);
    expect(pubsub.published.map(({ topic }) => topic)).toEqual(
      ['jobs/cpu', 'jobs/tee'].map((name) => `/fogproof/test/${name}/1`),
    );
  });

  it('are not published while the network does not run', async () => {
    gossip.detach();
    await expect(gossip.announce(await sign())).rejects.toMatchObject({ code: 'NETWORK_NOT_RUNNING' });
  });

  it('are announced no faster by a node than half of what peers let pass', () => {
    expect(ANNOUNCE_PACE.perSecond * 2).toBeLessThanOrEqual(ANNOUNCEMENT_RATE.perSecond);
    expect(ANNOUNCE_PACE.burst * 2).toBeLessThanOrEqual(ANNOUNCEMENT_RATE.burst);
  });
});
