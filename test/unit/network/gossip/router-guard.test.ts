import type { GossipSub } from '@libp2p/gossipsub';
import { gossipsub } from '@libp2p/gossipsub';
import type { Connection, PeerId } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ROUTER_RATE } from '../../../../src/network/gossip/router/constants.ts';
import { RouterGuard, type RouterInternals } from '../../../../src/network/gossip/router/router-guard.ts';
import { ROUTER_RULES } from '../../../../src/network/gossip/router/router-rules.ts';
import { createNetworkMetrics } from '../../../../src/network/metrics.ts';
import { PeerPenalties } from '../../../../src/network/peers/peer-penalties.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { eventually } from '../../../support/eventually.ts';
import { createTestIdentity, RecordingMetrics } from '../../../support/network.ts';
import { ManualClock } from '../../../support/stream-harness.ts';

const GUARDED = [
  'decodeRpc',
  'handleReceivedRpc',
  'validateReceivedMessage',
  'handlePeerReadStreamError',
  'createOutboundStream',
  'getScore',
  'dumpPeerScoreStats',
] as const satisfies readonly (keyof RouterInternals)[];

class FakeStream extends EventTarget {
  fail(name: string): void {
    this.dispatchEvent(Object.assign(new Event('close'), { error: Object.assign(new Error(name), { name }) }));
  }
}

/** What the guard takes hold of, as gossipsub has it. */
class FakeRouter extends EventTarget {
  readonly streamsOutbound = new Map<string, { readonly rawStream: FakeStream }>();
  readonly received: number[] = [];
  readonly opened: string[] = [];
  readonly waiting = new Map<string, () => void>();
  failures = 0;
  result: { code: string; reason?: string } = { code: 'valid' };
  scores: Record<string, number> = {};
  stats: Record<string, { behaviourPenalty: number; topics: Record<string, { invalidMessageDeliveries: number }> }> =
    {};
  peers: PeerId[] = [];

  decodeRpc(bytes: Uint8Array): { messages: unknown[] } {
    if (bytes[0] === 0xff) throw new TypeError('no RPC');
    return { messages: Array.from(bytes) };
  }
  async handleReceivedRpc(_from: PeerId, rpc: { messages: readonly unknown[] }): Promise<void> {
    this.received.push(rpc.messages.length);
  }
  async validateReceivedMessage() {
    return this.result;
  }
  handlePeerReadStreamError(): void {
    this.failures += 1;
  }
  async createOutboundStream(peer: PeerId): Promise<void> {
    this.opened.push(peer.toString());
    await new Promise<void>((resolve) => this.waiting.set(peer.toString(), resolve));
  }
  getScore(peer: string): number {
    return this.scores[peer] ?? 0;
  }
  dumpPeerScoreStats() {
    return this.stats;
  }
  getPeers(): PeerId[] {
    return this.peers;
  }
}

let peers: PeerId[];
beforeAll(async () => {
  const identities = await Promise.all(Array.from({ length: 3 }, () => createTestIdentity()));
  peers = identities.map(({ peer }) => peerIdFromString(peer));
});
const peer = (index = 0): PeerId => {
  const found = peers[index];
  if (found === undefined) throw new RangeError('no such peer');
  return found;
};

let clock: ManualClock;
let metrics: RecordingMetrics;
let penalties: PeerPenalties;
let router: FakeRouter;
let internals: RouterInternals;
let hungUp: string[];
beforeEach(() => {
  clock = new ManualClock();
  metrics = new RecordingMetrics();
  penalties = new PeerPenalties(clock);
  router = new FakeRouter();
  hungUp = [];
  const guard = new RouterGuard({
    clock,
    penalties,
    metrics: createNetworkMetrics(metrics),
    logger: new NoopLogger(),
    onPenalty: () => undefined,
  });
  guard.attach(router as unknown as GossipSub, async (gone) => void hungUp.push(gone.toString()));
  internals = router as unknown as RouterInternals;
});

const count = (code: keyof typeof ROUTER_RULES): number =>
  metrics.read('fogproof_network_gossip_verdicts_total', { topic: 'router', verdict: ROUTER_RULES[code].kind, code });
const receive = (bytes: Uint8Array, from = peer()) => internals.handleReceivedRpc(from, internals.decodeRpc(bytes));
const CONNECTION = { status: 'open' } as Connection;

describe('the guard of the router', () => {
  it('finds on gossipsub what it takes hold of', () => {
    const log = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined });
    const components = { logger: { forComponent: () => log } };
    const real = gossipsub()(components as never) as unknown as RouterInternals;
    for (const name of GUARDED) expect(typeof real[name], name).toBe('function');
    expect(real.streamsOutbound).toBeInstanceOf(Map);
  });

  it('knows who sent a frame that is none', async () => {
    await receive(Uint8Array.of(0xff));
    expect(count('GOSSIP_UNDECODABLE')).toBe(1);
    expect(penalties.penaltyOf(peer().toString())).toBe(ROUTER_RULES.GOSSIP_UNDECODABLE.penalty);
    expect(router.received).toEqual([]);
    await receive(new Uint8Array(3));
    expect(router.received).toEqual([3]);
  });

  it('knows who sent a frame that is too long, and lets its stream end', () => {
    internals.handlePeerReadStreamError(Object.assign(new Error('x'), { name: 'InvalidDataLengthError' }), peer());
    internals.handlePeerReadStreamError(new Error('reset'), peer());
    expect([count('GOSSIP_FRAME_TOO_LARGE'), router.failures]).toEqual([1, 2]);
  });

  it('knows who sent what is forged; what is invalid for other reasons is counted elsewhere', async () => {
    for (const result of [
      { code: 'invalid', reason: 'error' },
      { code: 'invalid', reason: 'reject' },
      { code: 'valid' },
    ]) {
      router.result = result;
      expect(await internals.validateReceivedMessage(peer(), {})).toEqual(result);
    }
    expect(count('GOSSIP_FORGED')).toBe(1);
  });

  it('drops the messages of a flood before they get further, of that neighbour only, for a while', async () => {
    const { burst, perSecond } = ROUTER_RATE;
    await receive(new Uint8Array(burst - 10));
    await receive(new Uint8Array(30));
    await receive(new Uint8Array(30));
    await receive(new Uint8Array(30), peer(1));
    clock.advance(1_000);
    await receive(new Uint8Array(perSecond + 1));
    expect(router.received).toEqual([burst - 10, 10, 0, 30, perSecond]);
    expect(count('GOSSIP_FLOOD')).toBe(3);
  });

  it('does not hear who is banned already', async () => {
    penalties.add(peer().toString(), 100);
    await receive(new Uint8Array(1));
    expect([router.received, count('GOSSIP_BANNED')]).toEqual([[], 1]);
  });

  it('opens streams of different peers side by side, and those of one in turn', async () => {
    const [one, two] = [peer(0).toString(), peer(1).toString()];
    await internals.createOutboundStream(peer(0), CONNECTION);
    await internals.createOutboundStream(peer(0), CONNECTION);
    await internals.createOutboundStream(peer(1), CONNECTION);
    await eventually(async () => router.opened.length === 2);
    expect(router.opened).toEqual([one, two]);
    router.streamsOutbound.set(one, { rawStream: new FakeStream() });
    router.waiting.get(one)?.();
    await eventually(async () => router.opened.length === 3);
    expect(router.opened).toEqual([one, two, one]);
    expect(hungUp).toEqual([]);
  });

  it('disconnects who lets no stream be opened, unless it is gone anyway', async () => {
    await internals.createOutboundStream(peer(0), CONNECTION);
    await internals.createOutboundStream(peer(1), { status: 'closed' } as Connection);
    await eventually(async () => router.waiting.size === 2);
    for (const fail of router.waiting.values()) fail();
    await eventually(async () => hungUp.length > 0);
    expect([hungUp, count('GOSSIP_HALF_OPEN')]).toEqual([[peer(0).toString()], 1]);
  });

  it('disconnects whose queue is full, once; other ends of a stream are none of its business', async () => {
    const streams = [new FakeStream(), new FakeStream()];
    for (const [index, rawStream] of streams.entries()) {
      router.streamsOutbound.set(peer(index).toString(), { rawStream });
      for (let time = 0; time < 2; time += 1) {
        await internals.createOutboundStream(peer(index), CONNECTION);
        await eventually(async () => router.waiting.has(peer(index).toString()));
        router.waiting.get(peer(index).toString())?.();
        router.waiting.delete(peer(index).toString());
      }
    }
    await eventually(async () => router.opened.length === 4);
    await new Promise((resolve) => setImmediate(resolve));
    streams[0]?.fail('StreamBufferError');
    streams[1]?.fail('StreamResetError');
    expect([hungUp, count('GOSSIP_SLOW_READER')]).toEqual([[peer(0).toString()], 1]);
  });

  it('bans who is on the graylist by its deeds, not by its address, and once', () => {
    router.peers = peers;
    const [one, two, three] = peers.map(String);
    router.scores = { [one ?? '']: -101, [two ?? '']: -101, [three ?? '']: -99 };
    const bad = { behaviourPenalty: 0, topics: { any: { invalidMessageDeliveries: 2 } } };
    router.stats = { [one ?? '']: bad, [two ?? '']: { behaviourPenalty: 0, topics: {} }, [three ?? '']: bad };
    router.dispatchEvent(new Event('gossipsub:heartbeat'));
    router.dispatchEvent(new Event('gossipsub:heartbeat'));
    expect(count('GOSSIP_GRAYLISTED')).toBe(1);
    expect(peers.map((one) => penalties.isBanned(one.toString()))).toEqual([true, false, false]);
  });

  it('bans who breaks promises until it is on the graylist', () => {
    router.peers = [peer()];
    router.scores = { [peer().toString()]: -101 };
    router.stats = { [peer().toString()]: { behaviourPenalty: 9, topics: {} } };
    router.dispatchEvent(new Event('gossipsub:heartbeat'));
    expect(penalties.isBanned(peer().toString())).toBe(true);
  });
});
