import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { describeLiveDraft, knowsProviders, type LiveNode, startLiveNode } from '../../support/live-node.ts';
import { ScriptedExecutor } from '../../support/provider-executor.ts';

const signal = () => AbortSignal.timeout(30_000);

function executor(output = 'forty-two'): ScriptedExecutor {
  const outputs = [{ path: '/out.txt', bytes: encodeUtf8(output) }];
  return new ScriptedExecutor(['process'], (execution) => execution.finish({ outputs }));
}

async function startMesh(stack: AsyncDisposableStack, executors: readonly ScriptedExecutor[]) {
  const requester = stack.use(await startLiveNode());
  const bootstrap = [requester.address()];
  const providers: LiveNode[] = [];
  for (const one of executors) providers.push(stack.use(await startLiveNode({ executor: one, bootstrap })));
  await knowsProviders(requester, executors.length);
  return { requester, providers };
}

describe('requester and providers over loopback, with their databases', () => {
  it('one replica, with an output too large to ride with the receipt', async () => {
    await using stack = new AsyncDisposableStack();
    const { requester } = await startMesh(stack, [executor('x'.repeat(2_000_000))]);
    const { job } = await requester.requester.submit(await describeLiveDraft(requester));
    const view = await requester.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', failure: null });
    const [output] = view.result?.outputs ?? [];
    expect(output && (await requester.blobs.stat(output.blob))?.sizeBytes).toBe(2_000_000);
  });

  it('three replicas, one of them a liar', async () => {
    await using stack = new AsyncDisposableStack();
    const { requester, providers } = await startMesh(stack, [executor('a lie'), executor(), executor()]);
    const replication = { replicas: 3, quorum: 2, diversity: 'peer' as const };
    const { job } = await requester.requester.submit(await describeLiveDraft(requester, { replication }));
    const view = await requester.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 2 }, dissenting: { length: 1 } } });
    const liar = view.attempts.find(({ lease }) => view.result?.dissenting.includes(lease));
    expect(liar?.provider).toBe(providers[0]?.peer);
    expect((await requester.requester.evidence(job)).attempts).toHaveLength(3);
  });

  it('a batch of a thousand', async () => {
    await using stack = new AsyncDisposableStack();
    const { requester } = await startMesh(stack, [executor()]);
    const draft = await describeLiveDraft(requester);
    const ids = await requester.requester.submitMany(Array.from({ length: 1_000 }, () => draft));
    const views = await Promise.all(ids.map((id) => requester.requester.wait(id, { signal: signal() })));
    expect(views.filter(({ state }) => state === 'completed')).toHaveLength(1_000);
    expect(Math.max(...views.map(({ attempts }) => attempts.length))).toBe(1);
  });
});
