import { describe, expect, it } from 'vitest';
import type { Comparison } from '../../../src/domain/job.ts';
import type { JobDraft, JobView } from '../../../src/scheduler/interface.ts';
import { RequesterRig } from '../../support/requester-rig.ts';
import type { Script } from '../../support/scripted-provider.ts';

const TEXT: Comparison = { path: '/out.txt', element: 'text', absolute: '0.1', relative: '0' };
const ROUNDS: Pick<JobDraft, 'checkpoints'> = {
  checkpoints: { schedule: { kind: 'rounds', every: 1 }, holder: null, sealed: false },
};

async function rigWith(...scripts: readonly Script[]): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  for (const script of scripts) await rig.addProvider(script);
  return rig;
}

async function submitRounds(rig: RequesterRig, change: Partial<JobDraft> = {}): Promise<JobView> {
  const job = await rig.submitReplicas(3, 2, { ...ROUNDS, comparisons: [TEXT], ...change });
  return await rig.end(job);
}

/** The accepted text, and what each provider's attempt was held for, in order of the providers. */
async function describeEnd(rig: RequesterRig, view: JobView) {
  const { result } = view;
  const blob = result?.outputs[0]?.blob;
  const text = blob === undefined ? null : Buffer.from(await rig.blobs.get(blob, 100)).toString('utf8');
  const standings = rig.providers.map(({ peer }) => {
    const lease = view.attempts.find(({ provider }) => provider === peer)?.lease;
    if (lease === undefined || result === null) return 'none';
    if (result.dissenting.includes(lease)) return 'dissents';
    return result.withinTolerance?.leases.includes(lease) === true ? 'within' : 'agrees';
  });
  return { text, standings };
}

describe('replicas of a job with training rounds', () => {
  it('agree within its tolerances with one of them', async () => {
    const rig = await rigWith({ output: 'loss 1.00' }, { output: 'loss 1.08' }, { output: 'loss 1.16' });
    const view = await submitRounds(rig);
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 3 }, dissenting: [] } });
    expect(await describeEnd(rig, view)).toEqual({ text: 'loss 1.08', standings: ['within', 'agrees', 'within'] });
    expect(view.result?.withinTolerance?.largest).toMatchObject({ path: '/out.txt', index: 1, a: '1.08' });
    expect(Number(view.result?.withinTolerance?.largest?.share)).toBeCloseTo(0.8);
    expect(view.result?.outputRoot).toBe((await rig.requester.show(view.job)).result?.outputRoot);
  });

  it('leave out whoever is beyond them', async () => {
    const rig = await rigWith({ output: 'loss 1.00' }, { output: 'loss 3.00' }, { output: 'loss 1.00' });
    const view = await submitRounds(rig);
    expect(await describeEnd(rig, view)).toEqual({ text: 'loss 1.00', standings: ['agrees', 'dissents', 'agrees'] });
    expect(view.result?.withinTolerance).toBeUndefined();
  });

  it('disagree where no quorum is within them', async () => {
    const rig = await rigWith({ output: 'loss 1' }, { output: 'loss 2' }, { output: 'loss 3' });
    const view = await submitRounds(rig);
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_REPLICAS_DISAGREE' }, result: null });
  });

  it('may count other fuel, also without tolerances', async () => {
    const rig = await rigWith({ result: { fuel: 7 } }, { result: { fuel: 8 } }, { result: { fuel: 9 } });
    const view = await rig.end(await rig.submitReplicas(3, 2, ROUNDS));
    expect(view).toMatchObject({
      state: 'completed',
      result: { agreeing: { length: 3 }, withinTolerance: { leases: { length: 2 }, largest: null } },
    });
  });

  it('may not differ at all without tolerances', async () => {
    const rig = await rigWith({ output: 'loss 1.00' }, { output: 'loss 1.01' }, { output: 'loss 1.02' });
    expect(await rig.end(await rig.submitReplicas(3, 2, ROUNDS))).toMatchObject({ state: 'failed' });
  });

  it('agree without one whose files nobody hands out', async () => {
    const rig = await rigWith(
      { output: 'loss 1.00' },
      { output: 'loss 1.01', handsOutOutputs: 'by-blob' },
      { output: 'loss 1.02', handsOutOutputs: 'never' },
    );
    const view = await submitRounds(rig);
    expect(view.state).toBe('completed');
    expect((await describeEnd(rig, view)).standings.toSorted()).toEqual(['agrees', 'dissents', 'within']);
  });

  it('fail where too few files are handed out', async () => {
    const never = { handsOutOutputs: 'never' } as const;
    const rig = await rigWith(
      { output: 'loss 1.00' },
      { output: 'loss 1.01', ...never },
      { output: 'loss 1.02', ...never },
    );
    expect(await submitRounds(rig)).toMatchObject({ failure: { code: 'SCHEDULER_OUTPUTS_UNAVAILABLE' } });
  });

  it('keep what they agreed on over a restart', async () => {
    const rig = await rigWith({ output: 'loss 1.00' }, { output: 'loss 1.08' }, { output: 'loss 1.16' });
    const view = await submitRounds(rig);
    const again = await rig.restart();
    expect(await again.requester.show(view.job)).toEqual(view);
  });
});

describe('checkpoints of a job with training rounds', () => {
  it('may go back in fuel: who went on after a restart began anew', async () => {
    const rig = await rigWith({
      holds: true,
      checkpoint: (link) => ({ ...link, fuel: link.step === 2 ? 1 : link.fuel }),
    });
    const job = await rig.submit(ROUNDS);
    const [provider] = rig.providers;
    if (provider === undefined) throw new TypeError('no provider');
    await rig.leased(provider);
    for (const round of [1, 2]) await provider.checkpoint(provider.only, round);
    await provider.finish(provider.only);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    expect((await rig.requester.checkpoints(job)).map(({ step, fuel }) => [step, fuel])).toEqual([
      [0, 0],
      [1, 10],
      [2, 1],
    ]);
  });
});

describe('replicas of any other job', () => {
  it('have to be byte-identical, whatever it says of tolerances', async () => {
    const rig = await rigWith({ output: 'loss 1.00' }, { output: 'loss 1.01' }, { output: 'loss 1.02' });
    const view = await rig.end(await rig.submitReplicas(3, 2, { comparisons: [TEXT] }));
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_REPLICAS_DISAGREE' } });
  });
});
