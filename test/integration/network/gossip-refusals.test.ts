import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_GOSSIP_BYTES } from '../../../src/network/constants.ts';
import { encodeAnnouncementWire } from '../../../src/network/gossip/announcement-wire.ts';
import { MAX_ROUTER_FRAME_BYTES, ROUTER_RATE } from '../../../src/network/gossip/router/constants.ts';
import { TOPICS, topicId } from '../../../src/network/gossip/topics.ts';
import { signAnnouncement } from '../../support/announcement-builder.ts';
import { type RawBehaviour, RawGossip, signMessage } from '../../support/gossip-attacker.ts';
import { GossipNode, whenever } from '../../support/gossip-node.ts';
import { createTestIdentity } from '../../support/network.ts';

/** A negotiation runs out after 10 s; those of eight peers side by side. */
const HALF_OPEN_MS = 30_000;

let stack: AsyncDisposableStack;
let node: GossipNode;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  node = stack.use(await GossipNode.start());
});
afterEach(async () => {
  await stack.disposeAsync();
});

const attack = async (behaviour?: RawBehaviour) => stack.use(await RawGossip.dial(node, behaviour));
const join = async (classes: ('cpu' | 'tee')[] = ['cpu']) => stack.use(await GossipNode.start({ classes }));
const counted = (code: string, count = 1) => whenever(code, () => node.count(code) >= count);
const encode = async (attacker: Pick<RawGossip, 'identity'>) =>
  encodeAnnouncementWire((await signAnnouncement(attacker.identity, Date.now())).wire);

/** A node whose messages `node` still hears. */
async function expectHearing(from: GossipNode): Promise<void> {
  const announcement = await from.announce();
  await whenever('an honest announcement is heard', () => node.hasHeard(announcement));
}

describe('on a gossip stream', () => {
  it('a message sent again is not heard again: as it was, and signed anew', async () => {
    const attacker = await attack();
    const data = await encode(attacker);
    const message = await attacker.signMessage({ data });
    attacker.send({ messages: [message, message] });
    attacker.send({ messages: [message] });
    attacker.send({ messages: [await attacker.signMessage({ data })] });
    await counted('NETWORK_ANNOUNCEMENT_SEEN');
    expect(node.heard).toHaveLength(1);
    expect(node.isConnected(attacker.identity.peer)).toBe(true);
  });

  it('forged messages are counted as such, and the second ends the connection', async () => {
    const attacker = await attack();
    const victim = await createTestIdentity();
    const data = await encode({ identity: victim });
    const genuine = await signMessage(victim, { data });
    const signature = genuine.signature?.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
    if (signature === undefined) throw new TypeError('it is not signed');
    attacker.send({ messages: [{ ...genuine, signature }] });
    await counted('GOSSIP_FORGED');
    const { seqno: _without, ...unnumbered } = genuine;
    attacker.send({ messages: [unnumbered] });
    await counted('GOSSIP_FORGED', 2);
    await whenever('the forger is gone', () => !node.isConnected(attacker.identity.peer));
    expect(node.count('GOSSIP_GRAYLISTED')).toBe(1);
    expect(node.heard).toEqual([]);
  });

  it('frames that are no RPC are counted, and end the connection in the end', async () => {
    const attacker = await attack();
    for (let round = 0; round < 11; round += 1) attacker.sendFrame(Uint8Array.of(0xff, 0xff, round));
    await counted('GOSSIP_UNDECODABLE', 11);
    await whenever('it is gone', () => !node.isConnected(attacker.identity.peer));
  });

  it('a frame above 1 MiB ends the stream before it is read; one of many messages below is taken', async () => {
    const attacker = await attack();
    const honest = await join();
    await node.connect(honest);
    const { maxBytes } = TOPICS['jobs/cpu'];
    const large = await Promise.all(
      Array.from({ length: 80 }, () =>
        attacker.signMessage({ data: new Uint8Array(maxBytes), topic: topicId('test', 'jobs/tee') }),
      ),
    );
    attacker.send({ messages: large });
    await counted('NETWORK_ANNOUNCEMENT_UNSERVED', 80);
    attacker.sendFrame(new Uint8Array(MAX_ROUTER_FRAME_BYTES + 1));
    await counted('GOSSIP_FRAME_TOO_LARGE');
    await expectHearing(honest);
  });

  it('messages above the size of their topic, of topics that do not exist, and of other networks are not heard', async () => {
    const attacker = await attack();
    const data = await encode(attacker);
    attacker.send({ messages: [await attacker.signMessage({ data, topic: '/fogproof/elsewhere/jobs/cpu/1' })] });
    attacker.send({ messages: [await attacker.signMessage({ data: new Uint8Array(20_000) })] });
    await counted('NETWORK_ANNOUNCEMENT_TOO_LARGE');
    expect(node.heard).toEqual([]);
  });

  it('a flood is cut short, even one of duplicates, and ends the connection', async () => {
    const attacker = await attack();
    const message = await attacker.signMessage({ data: await encode(attacker) });
    const frame = Array.from({ length: 500 }, () => message);
    for (let sent = 0; sent < ROUTER_RATE.burst; sent += frame.length) attacker.send({ messages: frame });
    for (let more = 0; more < 150; more += 1) attacker.send({ messages: frame.slice(0, 20) });
    await counted('GOSSIP_FLOOD', 100);
    await whenever('the flooder is gone', () => !node.isConnected(attacker.identity.peer));
    expect(node.heard).toHaveLength(1);
  });

  it('a flood on one class leaves the others alone', async () => {
    const both = stack.use(await GossipNode.start({ classes: ['cpu', 'tee'] }));
    const honest = await join();
    await both.connect(honest);
    const attacker = stack.use(await RawGossip.dial(both));
    const topic = topicId('test', 'jobs/tee');
    const { burst } = TOPICS['jobs/tee'].neighbourRate;
    const author = await createTestIdentity();
    const late = await signAnnouncement(author, Date.now() - 120_000, { capabilityClass: 'tee' });
    const data = encodeAnnouncementWire(late.wire);
    const messages = Array.from({ length: 2 * burst }, () => signMessage(author, { data, topic }));
    // Passed on, not its own: ignored, so that nothing but the rate is against it.
    attacker.send({ messages: (await Promise.all(messages)).slice(0, burst) });
    attacker.send({ messages: (await Promise.all(messages)).slice(burst) });
    await whenever('the topic is flooded', () => both.count('NETWORK_ANNOUNCEMENT_RATE', { topic: 'jobs/tee' }) > 0);
    attacker.send({ messages: [await attacker.signMessage({ data: await encode(attacker) })] });
    const announcement = await honest.announce();
    await whenever('the other class is heard', () => both.hasHeard(announcement));
    await whenever('even of that neighbour', () => both.heard.some(({ signer }) => signer === attacker.identity.peer));
    expect(both.count('NETWORK_ANNOUNCEMENT_RATE', { topic: 'jobs/cpu' })).toBe(0);
  });

  it('who takes no jobs subscribes to none of their topics, and passes none on', async () => {
    const idle = stack.use(await GossipNode.start({ classes: [] }));
    expect(idle.host.services.pubsub.getTopics()).toEqual([]);
    const attacker = stack.use(await RawGossip.dial(idle));
    attacker.send({ messages: [await attacker.signMessage({ data: await encode(attacker) })] });
    await whenever('it is judged', () => idle.count('NETWORK_ANNOUNCEMENT_UNSERVED') === 1);
  });
});

describe('a peer that does not take part', () => {
  it('in numbers, and half-open, keeps nobody else waiting, is counted and disconnected', async () => {
    const swarm = await Promise.all(Array.from({ length: 8 }, () => attack({ isHalfOpen: true })));
    const honest = await join();
    // One after the other, each of the eight would hold the others up for the 10 s of a negotiation: longer than this waits.
    await node.connect(honest);
    await expectHearing(honest);
    const countHalfOpen = (): number => node.count('GOSSIP_HALF_OPEN', { verdict: 'reject' });
    await whenever('each is counted', () => countHalfOpen() >= swarm.length, HALF_OPEN_MS);
    await whenever('all are gone', () => swarm.every(({ identity }) => !node.isConnected(identity.peer)));
    expect(countHalfOpen()).toBe(swarm.length);
    expect(node.isConnected(honest.identity.peer)).toBe(true);
    await expectHearing(honest);
  });

  it('by reading too slowly, is disconnected and counted, and others are heard in time', async () => {
    const reader = await attack({ onInbound: (stream) => stream.pause() });
    const honest = await join();
    await node.connect(honest);
    const { pubsub } = node.host.services;
    // A topic of its own, so that nobody else is sent what fills the queue.
    const topic = topicId('test', 'jobs/tee');
    reader.send({ subscriptions: [{ subscribe: true, topic }] });
    await whenever('it listens', () => pubsub.getSubscribers(topic).length === 1);
    const filler = new Uint8Array(MAX_GOSSIP_BYTES);
    // The window of its stream, then the queue towards it.
    for (let sent = 0; sent < 400 && node.count('GOSSIP_SLOW_READER') === 0; sent += 1) {
      await pubsub.publish(topic, filler);
      if (sent % 40 === 0) await expectHearing(honest);
    }
    await counted('GOSSIP_SLOW_READER');
    await whenever('it is gone', () => !node.isConnected(reader.identity.peer));
    await expectHearing(honest);
  });
});
