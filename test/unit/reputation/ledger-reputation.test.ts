import { beforeAll, describe, expect, it } from 'vitest';
import { type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import type { ObservationItem } from '../../../src/domain/observation.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import type { ObservationPublisher } from '../../../src/reputation/interface.ts';
import { LedgerReputation } from '../../../src/reputation/ledger-reputation.ts';
import { REPUTATION_DEFAULTS, type ReputationOptions } from '../../../src/reputation/options.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock, until } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { createTestIdentity, RecordingMetrics } from '../../support/network.ts';
import {
  draftOf,
  draftOfLost,
  draftOfRequester,
  HOUR_MS,
  ratingOf,
  signAttempt,
  signItem,
} from '../../support/observation-builder.ts';

const START = 500_000 * HOUR_MS;

class Publisher implements ObservationPublisher {
  readonly messages: (readonly ObservationItem[])[] = [];
  recipients = 1;

  async publish(items: readonly ObservationItem[]): Promise<{ recipients: number }> {
    this.messages.push(items);
    return { recipients: this.recipients };
  }

  get items(): readonly ObservationItem[] {
    return this.messages.flat();
  }
}

interface Setup {
  readonly identity?: Identity;
  readonly database?: MemoryDatabase;
  readonly clock?: ManualClock;
  readonly publisher?: Publisher;
  readonly options?: Partial<ReputationOptions>;
}

async function startNode(setup: Setup = {}) {
  const { database = new MemoryDatabase(), clock = new ManualClock(START), publisher = new Publisher() } = setup;
  const identity = setup.identity ?? (await createTestIdentity());
  const metrics = new RecordingMetrics();
  const reputation = new LedgerReputation(
    { identity, database, clock, logger: new NoopLogger(), metrics },
    { ...REPUTATION_DEFAULTS, networkId: 'test', epochMs: HOUR_MS, ...setup.options },
  );
  reputation.start(publisher);
  await reputation.digests();
  return { reputation, database, clock, publisher, identity, metrics };
}

let requester: Identity;
let provider: Identity;
beforeAll(async () => {
  [requester, provider] = await Promise.all([createTestIdentity(), createTestIdentity()]);
});

const attemptOf = (name: string, atMs = START) => signAttempt({ requester, provider }, { name, atMs });
const observationsOf = async (node: { reputation: LedgerReputation }, peer: PeerKey = provider.peer) =>
  (await node.reputation.show(peer, 'provider')).observations;

describe('own observations', () => {
  it('are signed together, on disk before they are published, and count here', async () => {
    const node = await startNode({ identity: requester });
    const order: string[] = [];
    node.database.onWrite = (operations, { durable }) => {
      if (operations.some(({ namespace, kind }) => namespace === 'observation-queue' && kind === 'put')) {
        order.push(`stored ${String(durable)} ${node.publisher.messages.length}`);
      }
    };
    const attempts = await Promise.all(['1', '2', '3'].map((name) => attemptOf(name)));
    await node.reputation.record(attempts.map((attempt) => draftOf(attempt)));
    await until(() => node.publisher.items.length === 3);
    expect(order).toEqual(['stored true 0']);
    const roots = node.publisher.items.map(({ observation }) => observation.kind);
    expect(roots).toEqual(['batch', 'batch', 'batch']);
    expect(await observationsOf(node)).toBe(3);
    expect(node.database.rows('observation-queue').size).toBe(0);
  });

  it('are made once for a lease, whatever is recorded again', async () => {
    const node = await startNode({ identity: requester });
    const draft = draftOf(await attemptOf('1'));
    await node.reputation.record([draft]);
    for (let index = 1; index <= 8; index += 1) {
      await node.reputation.record([{ ...draft, observedAtMs: UnixMs(draft.observedAtMs + index) }]);
    }
    await until(() => node.publisher.items.length > 0);
    expect(node.publisher.items).toHaveLength(1);
    expect(await observationsOf(node)).toBe(1);
  });

  it('are a rating beside what an attempt came to, each once for a lease', async () => {
    const node = await startNode({ identity: requester });
    const attempt = await attemptOf('1');
    expect(await node.reputation.findRating(draftOf(attempt).lease)).toBeNull();
    for (const rating of [4, 1, 5]) await node.reputation.record([draftOf(attempt), ratingOf(attempt, rating)]);
    await until(() => node.publisher.items.length > 0);
    expect(node.publisher.items).toHaveLength(2);
    expect(await node.reputation.findRating(draftOf(attempt).lease)).toBe(4);
    const { dimensions } = await node.reputation.show(provider.peer, 'provider');
    const ratings = dimensions.find(({ dimension }) => dimension === 'ratings');
    expect(ratings?.alpha).toBeCloseTo(1.0075, 4);
    expect(ratings?.beta).toBeCloseTo(1.0025, 4);
    const third = await startNode();
    for (const item of node.publisher.items) {
      expect(await third.reputation.take(item, requester.peer)).toEqual({ kind: 'accept' });
    }
    expect(await third.reputation.digests()).toEqual(await node.reputation.digests());
    expect(third.reputation.scoreOf(provider.peer)).toEqual(node.reputation.scoreOf(provider.peer));
  });

  it('rate as many attempts of one provider and epoch as count, those included that wait', async () => {
    const node = await startNode({ identity: requester, options: { cappedPerPair: 2 } });
    const attempt = await attemptOf('1');
    const { observedAtMs } = ratingOf(attempt, 5);
    const ask = (...others: number[]) => node.reputation.hasRatingRoom(provider.peer, observedAtMs, others.map(UnixMs));
    expect([await ask(observedAtMs), await ask(observedAtMs, observedAtMs)]).toEqual([true, false]);
    await node.reputation.record([draftOf(attempt), ratingOf(attempt, 5)]);
    expect([await ask(), await ask(observedAtMs), await ask(observedAtMs - HOUR_MS)]).toEqual([true, false, true]);
    // What attempts came to has places of its own.
    expect(node.reputation.hasRoom(provider.peer, 'provider', 'failure')).toBe(true);
  });

  it('are published until somebody hears them, also after a restart', async () => {
    const lonely = new Publisher();
    lonely.recipients = 0;
    const first = await startNode({ identity: requester, publisher: lonely });
    await first.reputation.record([draftOf(await attemptOf('1'))]);
    await until(() => lonely.messages.length > 0);
    await first.reputation.stop();
    expect(first.database.rows('observation-queue').size).toBe(1);
    const second = await startNode({ identity: requester, database: first.database });
    await until(() => second.publisher.items.length === 1);
    await until(() => second.database.rows('observation-queue').size === 0);
    expect(await observationsOf(second)).toBe(1);
  });

  it('are not made beyond what counts; the last places are for failures', async () => {
    const { reputation } = await startNode({ identity: requester });
    const ask = (kind: 'success' | 'failure') => reputation.hasRoom(provider.peer, 'provider', kind);
    expect(Array.from({ length: 20 }, () => ask('success')).filter(Boolean)).toHaveLength(7);
    expect(Array.from({ length: 20 }, () => ask('failure')).filter(Boolean)).toHaveLength(3);
    expect(reputation.hasRoom(provider.peer, 'requester', 'success')).toBe(true);
    expect(reputation.hasRoom(requester.peer, 'provider', 'success')).toBe(false);
  });

  it('have places again in the next epoch', async () => {
    const { reputation, clock } = await startNode({ identity: requester });
    while (reputation.hasRoom(provider.peer, 'provider', 'failure'));
    await clock.advance(HOUR_MS);
    expect(reputation.hasRoom(provider.peer, 'provider', 'success')).toBe(true);
  });
});

describe('observations of others', () => {
  it('count once, whoever brings them, and survive a restart', async () => {
    const node = await startNode();
    const item = await signItem(requester, draftOf(await attemptOf('1')));
    expect(await node.reputation.take(item, requester.peer)).toEqual({ kind: 'accept' });
    expect(await node.reputation.take(item, null)).toMatchObject({ kind: 'ignore', code: 'OBSERVATION_SEEN' });
    await node.reputation.stop();
    const again = await startNode({ database: node.database });
    expect(await observationsOf(again)).toBe(1);
    expect(await again.reputation.take(item, null)).toMatchObject({ code: 'OBSERVATION_SEEN' });
    const [digest] = await again.reputation.digests();
    const ids = await again.reputation.listIds(digest?.epoch ?? 0, null);
    const loaded: ObservationItem[] = [];
    for await (const one of again.reputation.load(ids)) loaded.push(one);
    expect(loaded).toEqual([item]);
  });

  it('are refused with their reason, which is counted', async () => {
    const node = await startNode();
    const item = await signItem(requester, draftOf(await attemptOf('1')), { network: 'elsewhere' });
    expect(await node.reputation.take(item, requester.peer)).toEqual({
      kind: 'reject',
      code: 'OBSERVATION_OTHER_NETWORK',
      penalty: 20,
    });
    expect(node.metrics.read('fogproof_reputation_judged_total', { code: 'OBSERVATION_OTHER_NETWORK' })).toBe(1);
    expect(await observationsOf(node)).toBe(0);
  });

  it('without evidence weigh nothing, and are told of as unchecked until it is shown', async () => {
    const node = await startNode();
    const item = await signItem(requester, draftOf(await attemptOf('1')));
    const bare = { ...item, evidence: [] };
    expect(await node.reputation.take(bare, requester.peer)).toMatchObject({ code: 'OBSERVATION_UNCHECKED' });
    expect(node.reputation.scoreOf(provider.peer).weight).toBe(0);
    expect(node.reputation.listUnchecked()).toMatchObject([{ observer: requester.peer }]);
    expect(await node.reputation.explain(provider.peer, 'provider', 10)).toMatchObject([
      { weight: 0, reason: expect.stringContaining('evidence did not come') },
    ]);
    expect(await node.reputation.take(item, null)).toEqual({ kind: 'accept' });
    expect(node.reputation.listUnchecked()).toEqual([]);
    expect(await node.reputation.explain(provider.peer, 'provider', 10)).toMatchObject([{ weight: 0.01 }]);
  });

  it('that claim a payment weigh no more: nobody can check it yet', async () => {
    const node = await startNode();
    const item = await signItem(requester, draftOf(await attemptOf('1')), { payment: '999999999999', stake: '1' });
    expect(await node.reputation.take(item, null)).toEqual({ kind: 'accept' });
    expect(await node.reputation.explain(provider.peer, 'provider', 10)).toMatchObject([
      { weight: 0.01, reason: 'nobody is known to have paid for the attempt' },
    ]);
  });

  it('of a pair beyond the cap are refused, and not asked for again', async () => {
    const node = await startNode({ options: { cappedPerPair: 2 } });
    const verdicts = [];
    for (const name of ['1', '2', '3']) {
      verdicts.push(await node.reputation.take(await signItem(requester, draftOf(await attemptOf(name))), null));
    }
    expect(await observationsOf(node)).toBe(2);
    const [digest] = await node.reputation.digests();
    const epoch = digest?.epoch ?? 0;
    const own = await node.reputation.listIds(epoch, null);
    const other = await startNode({ options: { cappedPerPair: 3 } });
    for (const name of ['1', '2', '3']) {
      await other.reputation.take(await signItem(requester, draftOf(await attemptOf(name))), null);
    }
    const all = await other.reputation.listIds(epoch, null);
    expect(all).toHaveLength(3);
    expect(own).toEqual([...all].sort().slice(0, 2));
    expect(await node.reputation.findMissing(epoch, all)).toEqual([]);
  });
});

describe('two nodes with the same observations', () => {
  it('have the same digests and scores, in whatever order they heard', async () => {
    const attempts = await Promise.all(['1', '2', '3', '4'].map((name) => attemptOf(name)));
    const [first, second, third, fourth] = attempts;
    if (first === undefined || second === undefined || third === undefined || fourth === undefined) throw new Error();
    const items = [
      await signItem(requester, draftOf(first)),
      await signItem(requester, draftOf(second)),
      await signItem(requester, draftOfLost(third)),
      await signItem(provider, draftOfRequester(fourth)),
    ];
    const [a, b] = [await startNode(), await startNode()];
    for (const item of items) await a.reputation.take(item, null);
    for (const item of items.toReversed()) await b.reputation.take(item, null);
    expect(await b.reputation.digests()).toEqual(await a.reputation.digests());
    await until(() => a.reputation.scoreOf(provider.peer).weight > 0 && b.reputation.scoreOf(provider.peer).weight > 0);
    expect(b.reputation.scoreOf(provider.peer)).toEqual(a.reputation.scoreOf(provider.peer));
    expect(b.reputation.scoreOf(requester.peer, 'requester')).toEqual(
      a.reputation.scoreOf(requester.peer, 'requester'),
    );
    expect((await a.reputation.list('provider', 10)).map(({ subject }) => subject)).toEqual([provider.peer]);
  });
});

describe('observations that are old', () => {
  it('are folded into sums that survive a restart, take no more, and fade', async () => {
    const options = { foldAfterMs: 2 * HOUR_MS, foldIntervalMs: 60_000 };
    const node = await startNode({ options });
    await node.reputation.take(await signItem(requester, draftOf(await attemptOf('1'))), null);
    const before = (await node.reputation.show(provider.peer, 'provider')).dimensions[0]?.alpha ?? 0;
    await node.clock.advance(3 * HOUR_MS + 60_000);
    await until(() => node.database.rows('observations').size === 0);
    await until(() => node.database.rows('reputation-snapshots').size === 1);
    const report = await node.reputation.show(provider.peer, 'provider');
    expect(report).toMatchObject({ observations: 0, foldedEpoch: 500_000 });
    expect(report.dimensions[0]?.alpha).toBeCloseTo(before, 4);
    expect(node.database.rows('observation-wires').size).toBe(0);
    const late = await signItem(requester, draftOf(await attemptOf('2')));
    expect(await node.reputation.take(late, null)).toMatchObject({ code: 'OBSERVATION_TOO_OLD' });
    await node.reputation.stop();
    const again = await startNode({ database: node.database, clock: node.clock, options });
    expect((await again.reputation.show(provider.peer, 'provider')).dimensions[0]?.alpha).toBeCloseTo(before, 4);
  });
});

describe('a store with damage', () => {
  it('is read without what is damaged', async () => {
    const node = await startNode();
    for (const name of ['1', '2']) {
      await node.reputation.take(await signItem(requester, draftOf(await attemptOf(name))), null);
    }
    await node.reputation.stop();
    const rows = node.database.rows('observations');
    const [key = ''] = rows.keys();
    rows.set(key, new Uint8Array([1, 2, 3]));
    const again = await startNode({ database: node.database });
    expect(await observationsOf(again)).toBe(1);
  });
});
