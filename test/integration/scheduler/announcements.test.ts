import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { describeLiveDraft, type LiveNode, type LiveNodeOptions, startLiveNode } from '../../support/live-node.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';

const signal = () => AbortSignal.timeout(30_000);

function executor(): ScriptedExecutor {
  const outputs = [{ path: '/out.txt', bytes: encodeUtf8('forty-two') }];
  return new ScriptedExecutor(['process'], (execution) => execution.finish({ outputs }));
}

async function poll(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it never held: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isNear = (node: LiveNode, other: LiveNode) => () => node.network.peers.get(other.peer)?.isConnected === true;

describe('work that no known peer takes', () => {
  const starter = (stack: AsyncDisposableStack) => async (options: LiveNodeOptions, near: readonly LiveNode[]) => {
    const bootstrap = near.map((node) => node.address());
    const node = stack.use(await startLiveNode({ ...options, bootstrap }));
    for (const other of near) await poll(isNear(node, other));
    return node;
  };

  it('is announced, and taken by a provider behind a node that takes none', async () => {
    await using stack = new AsyncDisposableStack();
    const start = starter(stack);
    const hub = await start({}, []);
    const provider = await start({ executor: executor() }, [hub]);
    // Its provider record in the DHT is what leads there.
    await poll(() => hub.network.peers.providers().length === 1);
    const requester = await start({ knowsNobody: true }, [hub]);
    expect(isNear(requester, provider)()).toBe(false);
    const { job } = await requester.requester.submit(await describeLiveDraft(requester));
    const view = await requester.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ provider: provider.peer }] });
    const { asked, announced, hints } = await requester.requester.explain(job);
    expect(asked).toMatchObject([{ provider: provider.peer, answer: { kind: 'offered' } }]);
    expect(announced).toMatchObject({ lastRecipients: 1, given: { wanted: 1, invalid: 0 }, failure: null });
    expect(hints).toEqual([]);
    expect(hub.metrics.read('fogproof_provider_announcements_total')).toBe(0);
  });

  it('is taken by one beyond those that pass it on, which dials the requester', async () => {
    await using stack = new AsyncDisposableStack();
    const start = starter(stack);
    const full = await start({ executor: executor(), provider: { allowRequesters: [] } }, []);
    const far = await start({ executor: executor() }, [full]);
    await poll(() => (full.network.status().gossip['jobs/cpu']?.meshPeers ?? 0) > 0);
    const requester = await start({ knowsNobody: true }, [full]);
    expect(isNear(far, requester)()).toBe(false);
    const { job } = await requester.requester.submit(await describeLiveDraft(requester));
    const view = await requester.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', attempts: [{ provider: far.peer }] });
    expect(full.metrics.read('fogproof_provider_announcements_total', { outcome: 'refused' })).toBeGreaterThan(0);
  });

  it('is wanted of one of two that race; the slot of the other is free at once', async () => {
    await using stack = new AsyncDisposableStack();
    const start = starter(stack);
    const hub = await start({}, []);
    const providers = [
      await start({ executor: executor(), provider: { slots: 1 }, parameters: { offerTtlMs: 60_000 } }, [hub]),
      await start({ executor: executor(), provider: { slots: 1 }, parameters: { offerTtlMs: 60_000 } }, [hub]),
    ];
    const requester = await start({ knowsNobody: true }, [hub, ...providers]);
    const draft = await describeLiveDraft(requester);
    const jobs = [];
    // A race is not always run: one may have heard that all is taken before its time came.
    for (let round = 0; round < 3; round += 1) {
      const { job } = await requester.requester.submit(draft);
      jobs.push((await requester.requester.wait(job, { signal: signal() })).state);
    }
    expect(jobs).toEqual(['completed', 'completed', 'completed']);
    const unwanted = () => sum(providers, 'unwanted') + sum(providers, 'open-gives') + sum(providers, 'no-share');
    await poll(() => unwanted() > 0 && providers.every(({ provider }) => provider.status().slots.reserved === 0));
    expect(sum(providers, 'unwanted')).toBeGreaterThan(0);
    expect(requester.metrics.read('fogproof_requester_offers_given_total', { answer: 'wanted' })).toBe(3);
  });

  it('of a whole batch is announced as one', async () => {
    await using stack = new AsyncDisposableStack();
    const start = starter(stack);
    const provider = await start({ executor: executor() }, []);
    const requester = await start({ knowsNobody: true }, [provider]);
    const draft = await describeLiveDraft(requester);
    const ids = await requester.requester.submitMany(Array.from({ length: 20 }, () => draft));
    const views = await Promise.all(ids.map((id) => requester.requester.wait(id, { signal: signal() })));
    expect(views.every(({ state }) => state === 'completed')).toBe(true);
    expect(requester.metrics.read('fogproof_requester_announcements_total', { result: 'sent' })).toBe(1);
  });
});

function sum(nodes: readonly LiveNode[], outcome: string): number {
  return nodes.reduce(
    (all, { metrics }) => all + metrics.read('fogproof_provider_announcements_total', { outcome }),
    0,
  );
}
