import { afterEach, describe, expect, it } from 'vitest';
import { type BothSides, describeDraft, startBothSides, waitForEnd } from '../../support/both-sides.ts';
import { MODULE } from '../../support/provider-rig.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function open(providerCount: number): Promise<BothSides> {
  return stack.use(await startBothSides(providerCount));
}

describe('requester and provider together', () => {
  it('bring one job to its result', async () => {
    const sides = await open(1);
    const { requester, blobs } = sides;
    const { job } = await requester.submit(describeDraft(1));
    const view = await waitForEnd(sides, job);
    expect(view).toMatchObject({ state: 'completed', result: { outcome: { kind: 'completed' } } });
    const [output] = view.result?.outputs ?? [];
    expect(output && new TextDecoder().decode(await blobs.get(output.blob, 100))).toBe('42');
  });

  it('agree on three replicas through commitment and reveal, with large outputs', async () => {
    const sides = await open(3);
    const { requester, rigs, blobs } = sides;
    const bytes = new Uint8Array(200_000).fill(7);
    for (const { executor } of rigs) {
      executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/big', bytes }] });
    }
    const { job } = await requester.submit(describeDraft(3));
    const view = await waitForEnd(sides, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
    const [output] = view.result?.outputs ?? [];
    expect(output && (await blobs.get(output.blob, 1e6))).toEqual(bytes);
    const evidence = await requester.evidence(job);
    expect(evidence.attempts).toHaveLength(3);
    expect(evidence.commitmentSet?.commitments).toHaveLength(3);
  });

  it('agree without a provider whose executor crashes', async () => {
    const sides = await open(4);
    const { requester, rigs } = sides;
    const [broken] = rigs;
    if (broken === undefined) throw new TypeError();
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'gone' } as const;
    broken.executor.behaviour = (execution) => execution.finish({ outcome, outputs: [] });
    const { job } = await requester.submit(describeDraft(4));
    // Four replicas need four providers: the broken one cannot be replaced, three agree all the same.
    const view = await waitForEnd(sides, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
  });

  it('outvote a provider that computes something else', async () => {
    const sides = await open(3);
    const { requester, rigs } = sides;
    const [liar] = rigs;
    if (liar === undefined) throw new TypeError();
    liar.executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/out.txt', bytes: MODULE }] });
    const { job } = await requester.submit(describeDraft(3));
    const view = await waitForEnd(sides, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(2);
    expect(view.result?.dissenting).toHaveLength(1);
  });

  it('bring a batch to its results', async () => {
    const sides = await open(1);
    const { requester, rigs } = sides;
    const jobs = await requester.submitMany(Array.from({ length: 700 }, () => describeDraft(1)));
    const views = await Promise.all(jobs.map((job) => waitForEnd(sides, job)));
    expect(new Set(views.map(({ state }) => state))).toEqual(new Set(['completed']));
    expect(rigs[0]?.provider.status()).toMatchObject({ completed: 700, failed: 0, slots: { reserved: 0, running: 0 } });
  });
});
