import { multiaddr } from '@multiformats/multiaddr';
import { afterEach, describe, expect, it } from 'vitest';
import type { Announcement } from '../../../src/domain/announcement.ts';
import type { CapabilityClass } from '../../../src/domain/capability.ts';
import type { Signed } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { DhtRecordRules } from '../../../src/network/discovery/dht-record-rules.ts';
import { encodeAnnouncementWire } from '../../../src/network/gossip/announcement-wire.ts';
import { ANNOUNCEMENT_RATE, topicId } from '../../../src/network/gossip/topics.ts';
import { createHost, type Host } from '../../../src/network/host/create-host.ts';
import { DialPolicy } from '../../../src/network/host/dial-policy.ts';
import type { NetworkOptions } from '../../../src/network/options.ts';
import { signAnnouncement } from '../../support/announcement-builder.ts';
import {
  createTestIdentity,
  startTestNode,
  TEST_CONTENT,
  type TestNode,
  type TestNodeSetup,
  until,
} from '../../support/network.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one[Symbol.asyncDispose]()));
});

interface Listening extends TestNode {
  readonly heard: Signed<Announcement>[];
}

async function start(bootstrap: readonly TestNode[], setup: TestNodeSetup = {}): Promise<TestNode> {
  const addresses = bootstrap.map((node) => node.address());
  const node = await startTestNode({ ...setup, options: { ...setup.options, bootstrap: addresses } });
  open.push(node);
  for (const other of bootstrap) {
    await until(node, () => node.network.peers.get(other.identity.peer)?.isConnected === true);
  }
  return node;
}

async function startTaker(
  bootstrap: readonly TestNode[],
  classes: readonly CapabilityClass[] = ['cpu'],
): Promise<Listening> {
  const node = await start(bootstrap);
  const heard: Signed<Announcement>[] = [];
  node.network.announcements.listen(classes, (announcement) => heard.push(announcement));
  return { ...node, heard };
}

const sign = (node: { readonly identity: Identity }, changes: Partial<Announcement> = {}) =>
  signAnnouncement(node.identity, Date.now(), changes);

const verdicts = (node: TestNode, code: string) =>
  node.metrics.read('fogproof_network_gossip_verdicts_total', { topic: 'jobs/cpu', code });

const inMesh = (node: TestNode, count: number) => () =>
  (node.network.status().gossip['jobs/cpu']?.meshPeers ?? 0) >= count;

/** A peer that sends what it likes. */
async function startHost(target: TestNode): Promise<{ readonly host: Host; readonly identity: Identity }> {
  const identity = await createTestIdentity();
  const options: NetworkOptions = {
    networkId: 'test',
    preset: 'local',
    listen: [],
    announce: [],
    bootstrap: [],
    mdns: false,
    preSharedKey: null,
    recordTtlMs: 600_000,
    software: 'test',
  };
  const host = await createHost(
    {
      privateKey: identity.privateKey,
      dhtRules: new DhtRecordRules(new SystemClock(), 'test'),
      onIdentitySeen: () => undefined,
      onMdnsPeer: () => undefined,
      penaltyOf: () => 0,
      isChosen: () => false,
      isBanned: () => false,
      dialPolicy: new DialPolicy(options),
      routerGuard: { attach: () => undefined },
    },
    options,
  );
  await host.start();
  open.push({ [Symbol.asyncDispose]: async () => host.stop() });
  // Who does not speak `records` is of another network and disconnected.
  await host.handle('/fogproof/test/records/1', (stream) => void stream.close());
  await host.dial(multiaddr(target.address()));
  await until(target, () => host.services.pubsub.getSubscribers(topicId('test', 'jobs/cpu')).length > 0);
  return { host, identity };
}

/** Subscriptions, and provider records, are told a little after the connection stands. */
async function untilHeard(taker: Listening, announce: () => Promise<{ readonly recipients: number }>): Promise<void> {
  const before = taker.heard.length;
  for (let round = 0; round < 100 && taker.heard.length === before; round += 1) {
    const { recipients } = await announce();
    await until(taker, () => recipients === 0 || taker.heard.length > before);
    if (recipients === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const publish = (host: Host, data: Uint8Array) => host.services.pubsub.publish(topicId('test', 'jobs/cpu'), data);

describe('announcements over libp2p', () => {
  it('reach takers that the requester is not connected to, each once; it does not subscribe itself', async () => {
    const near = await startTaker([]);
    const far = await startTaker([near]);
    await until(near, inMesh(near, 1));
    const elsewhere = await startTaker([near], ['tee']);
    const requester = await start([near]);
    await until(near, () => near.network.peers.get(requester.identity.peer)?.isConnected === true);
    const announcement = await sign(requester);
    await untilHeard(near, () => requester.network.announcements.announce(announcement));
    await until(far, () => far.heard.length > 0);
    expect([near, far].map(({ heard }) => heard.map(({ id }) => id))).toEqual([[announcement.id], [announcement.id]]);
    expect(elsewhere.heard).toEqual([]);
    expect(requester.network.status().gossip).not.toHaveProperty('jobs/cpu');
    await requester.network.announcements.announce(announcement);
    const next = await sign(requester);
    await requester.network.announcements.announce(next);
    await until(far, () => far.heard.length > 1);
    expect(far.heard.map(({ id }) => id)).toEqual([announcement.id, next.id]);
    expect(verdicts(near, 'NETWORK_ANNOUNCEMENT_SEEN')).toBeGreaterThan(0);
  });

  it('find a way to takers through the DHT where nobody near takes jobs', async () => {
    const hub = await start([]);
    const taker = await startTaker([hub]);
    await until(hub, () => hub.network.status().dhtPeers > 0);
    await taker.network.updateRecord(TEST_CONTENT);
    const requester = await start([hub]);
    await until(requester, () => requester.network.status().dhtPeers > 0);
    await untilHeard(taker, async () => requester.network.announcements.announce(await sign(requester)));
    expect(taker.heard[0]?.signer).toBe(requester.identity.peer);
  });

  it('that are late are not passed on; that are forged or garbage cost who sends them its connection', async () => {
    const near = await startTaker([]);
    const far = await startTaker([near]);
    await until(near, inMesh(near, 1));
    const { host, identity } = await startHost(near);
    const victim = await createTestIdentity();
    const late = await signAnnouncement(identity, Date.now() - 120_000);
    await publish(host, encodeAnnouncementWire(late.wire));
    await until(near, () => verdicts(near, 'NETWORK_ANNOUNCEMENT_EXPIRED') === 1);
    const forged = await signAnnouncement(victim, Date.now());
    await publish(host, encodeAnnouncementWire(forged.wire));
    await until(near, () => verdicts(near, 'NETWORK_ANNOUNCEMENT_WRONG_PUBLISHER') === 1);
    expect(near.network.status().connections).toBe(2);
    await publish(host, Uint8Array.of(0xa0));
    await until(near, () => verdicts(near, 'NETWORK_ANNOUNCEMENT_MALFORMED') === 1);
    await until(near, () => near.network.status().connections === 1);
    expect(near.metrics.read('fogproof_network_bans_total')).toBe(1);
    expect([near, far].map(({ heard }) => heard.length)).toEqual([0, 0]);
  });

  it('of a peer that floods are cut off, and those of others are heard all the same', async () => {
    const near = await startTaker([]);
    const far = await startTaker([near]);
    await until(near, inMesh(near, 1));
    const { host, identity } = await startHost(near);
    const { burst } = ANNOUNCEMENT_RATE;
    for (let round = 0; round < burst + 120; round += 1) {
      const { wire } = await signAnnouncement(identity, Date.now());
      await publish(host, encodeAnnouncementWire(wire));
    }
    await until(near, () => near.network.peers.get(identity.peer)?.isConnected !== true);
    // The bucket fills by 2 a second while they are sent.
    expect(near.heard.length).toBeLessThan(burst + 12);
    expect(far.heard.length).toBeLessThan(burst + 12);
    const before = far.heard.length;
    const honest = await start([near]);
    await untilHeard(far, async () => honest.network.announcements.announce(await sign(honest)));
    expect(far.heard.length).toBeGreaterThan(before);
    expect(far.heard.at(-1)?.signer).toBe(honest.identity.peer);
  });
});
