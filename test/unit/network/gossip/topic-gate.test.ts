import type { GossipSub, Message, TopicValidatorFn } from '@libp2p/gossipsub';
import { peerIdFromString } from '@libp2p/peer-id';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { Identity } from '../../../../src/identity/interface.ts';
import { ACCEPT, type Verdict } from '../../../../src/lib/verdict.ts';
import { AnnouncementGossip } from '../../../../src/network/gossip/announcement-gossip.ts';
import { ObservationGossip } from '../../../../src/network/gossip/observation-gossip.ts';
import { type GatedMessage, TopicGate } from '../../../../src/network/gossip/topic-gate.ts';
import {
  JOB_TOPICS,
  TOPIC_NAMES,
  TOPICS,
  type TopicName,
  type TopicSpec,
  topicId,
} from '../../../../src/network/gossip/topics.ts';
import { createNetworkMetrics } from '../../../../src/network/metrics.ts';
import { PeerPenalties } from '../../../../src/network/peers/peer-penalties.ts';
import type { ObservationSource } from '../../../../src/reputation/interface.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { createTestIdentity, RecordingMetrics } from '../../../support/network.ts';
import { ManualClock } from '../../../support/stream-harness.ts';

let authors: Identity[];
beforeAll(async () => {
  authors = await Promise.all(Array.from({ length: 40 }, () => createTestIdentity()));
});

const author = (index = 0): Identity => {
  const found = authors[index % authors.length];
  if (found === undefined) throw new RangeError('there are no authors');
  return found;
};

const signed = (data: Uint8Array, from = author()): Message => ({
  type: 'signed',
  from: peerIdFromString(from.peer),
  topic: 'any',
  data,
  sequenceNumber: 1n,
  signature: new Uint8Array(),
  key: from.privateKey.publicKey,
});

let clock: ManualClock;
let metrics: RecordingMetrics;
let penalties: PeerPenalties;
let penalised: PeerKey[];
let judged: GatedMessage[];
let isServed: boolean;
beforeEach(() => {
  clock = new ManualClock();
  metrics = new RecordingMetrics();
  penalties = new PeerPenalties(clock);
  penalised = [];
  judged = [];
  isServed = true;
});

const createModules = () => ({
  clock,
  penalties,
  metrics: createNetworkMetrics(metrics),
  onPenalty: (peer: PeerKey) => void penalised.push(peer),
  logger: new NoopLogger(),
});

function createGate(topic: TopicName, verdict: Verdict = ACCEPT): TopicGate {
  const judge = async (message: GatedMessage): Promise<Verdict> => {
    judged.push(message);
    return verdict;
  };
  return new TopicGate(createModules(), { networkId: 'test', topic, isServed: () => isServed, judge });
}

/** The validator that gossipsub would ask. */
function attach(gate: TopicGate, topic: TopicName): TopicValidatorFn {
  const topicValidators = new Map<string, TopicValidatorFn>();
  gate.attach({ topicValidators } as unknown as GossipSub);
  const validator = topicValidators.get(topicId('test', topic));
  if (validator === undefined) throw new TypeError('there is no validator');
  return validator;
}

const SMALL = Uint8Array.of(1);

describe.each(TOPIC_NAMES)('the gate of %s', (topic) => {
  const spec: TopicSpec = TOPICS[topic];
  const { gate: codes, maxBytes, neighbourRate, publisherRate } = spec;

  it('lets a message in that is in order, with its author and who passed it on', async () => {
    const gate = createGate(topic);
    expect(await gate.judge('neighbour', signed(SMALL))).toEqual(ACCEPT);
    expect(judged).toEqual([{ data: SMALL, publisher: author().peer, source: 'neighbour' }]);
  });

  it('refuses by size before anything is decoded, to the byte', async () => {
    const gate = createGate(topic);
    expect(await gate.judge('neighbour', signed(new Uint8Array(maxBytes)))).toEqual(ACCEPT);
    const refused = await gate.judge('neighbour', signed(new Uint8Array(maxBytes + 1)));
    expect(refused).toMatchObject({ kind: 'reject', code: codes.tooLarge });
    expect(judged).toHaveLength(1);
  });

  it('refuses who is not signed', async () => {
    const gate = createGate(topic);
    const unsigned: Message = { type: 'unsigned', topic: 'any', data: SMALL };
    expect(await gate.judge('neighbour', unsigned)).toMatchObject({ kind: 'reject', code: codes.malformed });
    expect(judged).toEqual([]);
  });

  it("holds an author to its rate whoever passes its messages on, and charges only the author's own hand", async () => {
    const gate = createGate(topic);
    const sources = ['first', 'second', 'third', author(1).peer];
    for (let round = 0; round < publisherRate.burst; round += 1) {
      expect(await gate.judge(sources[round % sources.length] ?? '', signed(SMALL))).toEqual(ACCEPT);
    }
    expect(await gate.judge('fourth', signed(SMALL))).toMatchObject({ kind: 'ignore', code: codes.publisherRate });
    expect(await gate.judge(author().peer, signed(SMALL))).toMatchObject({ kind: 'reject', code: codes.flood });
    expect(await gate.judge('first', signed(SMALL, author(1)))).toEqual(ACCEPT);
    clock.advance(1_000 / publisherRate.perSecond);
    expect(await gate.judge('first', signed(SMALL))).toEqual(ACCEPT);
  });

  it('holds a neighbour to its rate whoever wrote the messages, and no other neighbour with it', async () => {
    const gate = createGate(topic);
    for (let round = 0; round < neighbourRate.burst; round += 1) {
      await gate.judge('neighbour', signed(SMALL, author(round)));
    }
    const code = codes.neighbourRate;
    expect(await gate.judge('neighbour', signed(SMALL, author(39)))).toMatchObject({ kind: 'ignore', code });
    expect(await gate.judge('another', signed(SMALL, author(38)))).toEqual(ACCEPT);
  });

  it('counts each verdict, and what is rejected against who passed it on', async () => {
    const source = peerIdFromString(author(2).peer);
    const validate = attach(createGate(topic, { kind: 'reject', code: 'SOME_CODE', penalty: 20 }), topic);
    expect(await validate(source, signed(SMALL))).toBe('reject');
    const labels = { topic, verdict: 'reject', code: 'SOME_CODE' };
    expect(metrics.read('fogproof_network_gossip_verdicts_total', labels)).toBe(1);
    expect(penalties.penaltyOf(author(2).peer)).toBe(20);
    expect(penalised).toEqual([author(2).peer]);
  });

  it('tells gossipsub to forget what is only too much, and takes its penalty all the same', async () => {
    const validate = attach(createGate(topic), topic);
    const source = peerIdFromString(author().peer);
    for (let round = 0; round < publisherRate.burst; round += 1) await validate(source, signed(SMALL));
    expect(await validate(source, signed(SMALL))).toBe('ignore');
    expect(penalties.penaltyOf(author().peer)).toBe(spec.verdicts[codes.flood]?.penalty);
    const labels = { verdict: 'reject', code: codes.flood };
    expect(metrics.read('fogproof_network_gossip_verdicts_total', labels)).toBe(1);
  });

  it('lets nothing in while the topic is not served', async () => {
    isServed = false;
    const verdict = await createGate(topic).judge('neighbour', signed(SMALL));
    expect(verdict.kind === 'ignore' ? verdict.code : null).toBe(codes.unserved);
    expect(judged).toHaveLength(codes.unserved === null ? 1 : 0);
  });
});

describe('garbage on a topic', () => {
  const source: ObservationSource = {
    take: async () => ACCEPT,
  } as Partial<ObservationSource> as ObservationSource;

  it('gets a verdict of the table of its topic, and throws nothing', async () => {
    const jobs = new AnnouncementGossip(createModules(), { networkId: 'test' });
    jobs.listen(
      JOB_TOPICS.map(({ capabilityClass }) => capabilityClass),
      () => undefined,
    );
    const observations = new ObservationGossip({ ...createModules(), source: () => source }, { networkId: 'test' });
    const judges: readonly (readonly [TopicName, (message: Message) => Promise<Verdict>])[] = [
      ...JOB_TOPICS.map(
        ({ name, capabilityClass }) =>
          [name, (message: Message) => jobs.judge('neighbour', message, capabilityClass)] as const,
      ),
      ['observations', (message) => observations.judge('neighbour', message)],
    ];
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.nat(judges.length - 1), async (data, index) => {
        const [topic, judge] = judges[index] ?? ['records', async () => ACCEPT];
        clock.advance(10_000);
        const verdict = await judge(signed(data, author(index)));
        expect(verdict.kind).toBe('reject');
        expect(TOPICS[topic].verdicts).toHaveProperty(verdict.kind === 'accept' ? '' : verdict.code);
      }),
      { numRuns: 200 },
    );
  });
});

describe('own observations', () => {
  it('are published no faster than half of what peers let pass', async () => {
    let sent = 0;
    const pubsub = {
      topicValidators: new Map(),
      addEventListener: () => undefined,
      subscribe: () => undefined,
      unsubscribe: () => undefined,
      publish: async () => {
        sent += 1;
        return { recipients: [{}] };
      },
    };
    const gossip = new ObservationGossip({ ...createModules(), source: () => null }, { networkId: 'test' });
    gossip.attach(pubsub as unknown as GossipSub);
    const { burst, perSecond } = TOPICS.observations.publisherRate;
    for (let round = 0; round < burst; round += 1) await gossip.publish([]);
    expect(sent).toBe(burst / 2);
    expect(await gossip.publish([])).toEqual({ recipients: 0 });
    clock.advance(2_000 / perSecond);
    expect(await gossip.publish([])).toEqual({ recipients: 1 });
  });
});
