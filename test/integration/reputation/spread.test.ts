import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { LedgerReputation } from '../../../src/reputation/ledger-reputation.ts';
import { REPUTATION_DEFAULTS } from '../../../src/reputation/options.ts';
import { describeLiveDraft, knowsProviders, startLiveNode } from '../../support/live-node.ts';
import { FastClock, startTestNode, type TestNode } from '../../support/network.ts';
import { draftOf, HOUR_MS, signAttempt } from '../../support/observation-builder.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';

const executor = () => {
  const outputs = [{ path: '/out.txt', bytes: encodeUtf8('forty-two') }];
  return new ScriptedExecutor(['process'], (execution) => execution.finish({ outputs }));
};

const countOf = async (node: { reputation: LedgerReputation }, peer: PeerKey, role: 'provider' | 'requester') =>
  (await node.reputation.show(peer, role)).observations;

/** Looks every 20 ms, as observations tell nobody that they have come. */
async function eventually(holds: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = AbortSignal.timeout(timeoutMs);
  while (!(await holds())) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('observations in a network', () => {
  it('of both sides of a job reach a third node by gossip', async () => {
    await using stack = new AsyncDisposableStack();
    const requester = stack.use(await startLiveNode({ observes: true }));
    const bootstrap = [requester.address()];
    const provider = stack.use(await startLiveNode({ observes: true, executor: executor(), bootstrap }));
    const third = stack.use(await startLiveNode({ observes: true, bootstrap }));
    await knowsProviders(requester, 1);
    const { job } = await requester.requester.submit(await describeLiveDraft(requester));
    await requester.requester.wait(job, { signal: AbortSignal.timeout(20_000) });
    await eventually(async () => (await countOf(third, provider.peer, 'provider')) === 1);
    await eventually(async () => (await countOf(third, requester.peer, 'requester')) === 1);
    const [observation] = await third.reputation.explain(provider.peer, 'provider', 10);
    expect(observation).toMatchObject({ observer: requester.peer, job, weight: 0.01 });
    await eventually(async () => third.reputation.scoreOf(provider.peer).lowerBound > 0.025);
  });

  it('with a rating of the provider beside what the attempt came to, which changes the same everywhere', async () => {
    await using stack = new AsyncDisposableStack();
    // Long enough an epoch for a rating to be thought over: it is signed after a twelfth of it.
    const parameters = { beaconRoundMs: 1_000, epochRounds: 48 };
    const requester = stack.use(await startLiveNode({ observes: true, parameters }));
    const bootstrap = [requester.address()];
    const shared = { observes: true, bootstrap, parameters };
    const provider = stack.use(await startLiveNode({ ...shared, executor: executor() }));
    const third = stack.use(await startLiveNode(shared));
    await knowsProviders(requester, 1);
    const { job } = await requester.requester.submit(await describeLiveDraft(requester));
    const view = await requester.requester.wait(job, { signal: AbortSignal.timeout(20_000) });
    await requester.ratings.rate(view, { stars: 1, replica: null });
    const { ratings } = await requester.ratings.rate(view, { stars: 5, replica: 0 });
    expect(ratings).toMatchObject([{ provider: provider.peer, stars: 5, replaced: 1 }]);
    await eventually(async () => (await countOf(third, provider.peer, 'provider')) === 2, 25_000);
    const told = await third.reputation.explain(provider.peer, 'provider', 10);
    expect(new Set(told.map(({ rating }) => rating))).toEqual(new Set([5, null]));
    const again = requester.ratings.rate(view, { stars: 2, replica: null });
    await expect(again).rejects.toMatchObject({ code: 'SCHEDULER_RATED_ALREADY' });
    // Within one epoch there is no decay between the two questions.
    await eventually(async () => {
      const scores = [third, requester].map(({ reputation }) => reputation.scoreOf(provider.peer));
      return scores[0]?.lowerBound === scores[1]?.lowerBound;
    });
    const report = await third.reputation.show(provider.peer, 'provider');
    expect(report.dimensions.find(({ dimension }) => dimension === 'ratings')?.mean).toBeGreaterThan(0.5);
  });

  it('that a node missed while it was cut off come by comparing', async () => {
    await using stack = new AsyncDisposableStack();
    // Rounds of comparison come 300 times sooner.
    const start = async (): Promise<TestNode & { reputation: LedgerReputation }> => {
      const node = stack.use(await startTestNode({ clock: new FastClock(300) }));
      const reputation = stack.use(
        new LedgerReputation(node, { ...REPUTATION_DEFAULTS, networkId: 'test', epochMs: HOUR_MS }),
      );
      reputation.start(node.network.observations);
      stack.use(node.network.observations.serve(reputation));
      return Object.assign(node, { reputation });
    };
    const [requester, provider, third] = await Promise.all([start(), start(), start()]);
    await requester.network.connect(provider.address());
    const parties = { requester: requester.identity, provider: provider.identity };
    const attempts = await Promise.all(['1', '2', '3'].map((name) => signAttempt(parties, { name, atMs: Date.now() })));
    await requester.reputation.record(attempts.map((attempt) => draftOf(attempt)));
    await eventually(async () => (await countOf(provider, provider.identity.peer, 'provider')) === 3);
    expect(await countOf(third, provider.identity.peer, 'provider')).toBe(0);
    // Only the provider is met, who did not publish them.
    await requester.network.stop();
    await third.network.connect(provider.address());
    await eventually(async () => (await countOf(third, provider.identity.peer, 'provider')) === 3);
    expect(await third.reputation.digests()).toEqual(await provider.reputation.digests());
    expect(third.metrics.read('fogproof_reputation_judged_total', { source: 'gossip' })).toBe(0);
  });
});
