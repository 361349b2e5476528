import { describe, expect, it } from 'vitest';
import { until } from '../../support/manual-clock.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';

const HOLDS = { holds: true, acceptance: { resultsKeptForMs: 120_000 } } as const;

/** Two replicas that both have to agree; the second provider is cut off before the last step. */
async function cutAtReveal() {
  const rig = await RequesterRig.start();
  const [first, second] = [await rig.addProvider(HOLDS), await rig.addProvider(HOLDS)];
  const job = await rig.submitReplicas(2, 2);
  await rig.leased(first, second);
  await first.finish(first.only);
  second.script = { ...HOLDS, silentOn: ['reveal'] };
  await second.finish(second.only);
  await until(() => rig.mesh.countSent(second.peer, 'job:reveal') === 1);
  rig.mesh.cut(second.peer);
  second.script = HOLDS;
  return { rig, job, second };
}

describe('a provider that is cut off between its commitment and its reveal', () => {
  it('is waited for as long as it keeps its result: nobody can be put in its place', async () => {
    const { rig, job, second } = await cutAtReveal();
    await rig.clock.advance(60_000);
    expect((await rig.requester.show(job)).endedAtMs).toBeNull();
    rig.mesh.restore(second.peer);
    await rig.clock.advance(2_000);
    expect(await rig.end(job)).toMatchObject({ state: 'completed', result: { dissenting: [] } });
  });

  it('is not waited for beyond that', async () => {
    const { rig, job } = await cutAtReveal();
    await rig.clock.advance(125_000);
    expect(await rig.end(job)).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_QUORUM_LOST' } });
  });
});

describe('a provider that is cut off before it signs the set', () => {
  it('costs nothing if that is shorter than a lease', async () => {
    const rig = await RequesterRig.start();
    const [first, second] = [await rig.addProvider(HOLDS), await rig.addProvider(HOLDS)];
    const job = await rig.submitReplicas(2, 2);
    await rig.leased(first, second);
    await first.finish(first.only);
    second.script = { ...second.script, silentOn: ['sign-set'] };
    await second.finish(second.only);
    await until(() => first.only.setId !== undefined);
    rig.mesh.cut(second.peer);
    second.script = { holds: true };
    await rig.clock.advance(PARAMETERS.leaseDurationMs - 1_000);
    rig.mesh.restore(second.peer);
    await rig.clock.advance(2_000);
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    expect(view.attempts).toHaveLength(2);
  });
});
