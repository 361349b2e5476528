import { describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { JobStore } from '../../../src/scheduler/job-store.ts';
import { settleTasks, until } from '../../support/manual-clock.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';
import type { Script, ScriptedProvider } from '../../support/scripted-provider.ts';

const TERM_MS = PARAMETERS.leaseDurationMs;
const HELD = { holds: true } as const;

async function rigWith(...scripts: readonly Script[]): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  for (const [index, script] of scripts.entries()) {
    await rig.addProvider(script, { pricesPerHour: [{ capabilityClass: 'cpu', price: `${index}` }] });
  }
  return rig;
}

function at(rig: RequesterRig, index: number): ScriptedProvider {
  const provider = rig.providers[index];
  if (provider === undefined) throw new TypeError('no such provider');
  return provider;
}

/** A job on the first provider, which is then cut off; and, if there is another, its replacement. */
async function cutOff(rig: RequesterRig, draft: Partial<JobDraft> = {}) {
  const job = await rig.submit(draft);
  const gone = at(rig, 0);
  await rig.leased(gone);
  await settleTasks();
  rig.mesh.cut(gone.peer);
  return { job, gone };
}

/** Half terms of a lease pass, in each of which these providers renew the leases that they have. */
async function renew(rig: RequesterRig, providers: ScriptedProvider | readonly ScriptedProvider[], times: number) {
  for (let turn = 0; turn < times; turn += 1) {
    await rig.clock.advance(TERM_MS / 2);
    for (const provider of [providers].flat()) {
      for (const attempt of provider.attempts.values()) {
        const sequence = attempt.events.filter(({ event }) => event.kind === 'progress').length + 1;
        if (!attempt.isOver) await provider.progress(attempt, sequence);
      }
    }
  }
}

async function lateObjects(rig: RequesterRig, job: Awaited<ReturnType<RequesterRig['submit']>>): Promise<number> {
  const objects = await new JobStore({ database: rig.database }).loadObjects(job);
  return objects.filter(({ kind }) => kind === 'late').length;
}

describe('a partition', () => {
  it('that is shorter than the lease costs nothing', async () => {
    const rig = await rigWith(HELD, HELD);
    const { job, gone } = await cutOff(rig);
    await rig.clock.advance(TERM_MS - 1_000);
    expect((await rig.requester.show(job)).attempts.map(({ state }) => state)).toEqual(['unreachable']);
    rig.mesh.restore(gone.peer);
    await gone.finish(gone.only);
    await rig.clock.advance(2_000);
    const view = await rig.end(job);
    expect(view).toMatchObject({
      state: 'completed',
      attempts: [{ provider: gone.peer, state: 'revealed', attempt: 0 }],
    });
    expect(at(rig, 1).attempts.size).toBe(0);
    expect(gone.attempts.size).toBe(1);
  });

  it('that outlasts the lease costs nothing where nobody else took the job: it is taken up again', async () => {
    const rig = await rigWith(HELD);
    const { job, gone } = await cutOff(rig);
    await renew(rig, gone, 6);
    expect((await rig.requester.show(job)).attempts[0]?.state).toBe('lost');
    rig.mesh.restore(gone.peer);
    await rig.clock.advance(1_000);
    await renew(rig, gone, 1);
    await until(() => gone.attempts.size === 1);
    await rig.clock.advance(500);
    expect(await rig.requester.show(job)).toMatchObject({
      state: 'running',
      attempts: [{ state: 'running', reason: null }],
    });
    await gone.finish(gone.only);
    const view = await rig.end(job);
    expect(view.attempts).toHaveLength(1);
    expect(view.state).toBe('completed');
  });
});

describe('a result that is delivered after its lease ended here', () => {
  it('counts where it was finished inside the lease, which its provider had renewed', async () => {
    const rig = await rigWith(HELD, HELD);
    const { job, gone } = await cutOff(rig);
    await renew(rig, [gone, at(rig, 1)], 6);
    await gone.finish(gone.only);
    rig.mesh.restore(gone.peer);
    await rig.clock.advance(3_000);
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    expect(view.attempts.map(({ state, reason }) => [state, reason?.split(':')[0]])).toEqual([
      ['revealed', undefined],
      ['cancelled', 'SUPERSEDED'],
    ]);
    expect(view.result?.agreeing).toEqual([view.attempts[0]?.lease]);
    // Its replacement is told to stop, and the evidence shows that the lease stood.
    expect(at(rig, 1).cancelled).toEqual([view.attempts[1]?.lease]);
    const evidence = await rig.requester.evidence(job);
    expect(evidence.attempts).toHaveLength(1);
    expect(evidence.attempts[0]?.lastProgress).toBeDefined();
  });

  it('does not where it was finished after the lease had run out, and is kept as evidence', async () => {
    const rig = await rigWith(HELD, HELD);
    const { job, gone } = await cutOff(rig);
    await renew(rig, gone, 2);
    await renew(rig, at(rig, 1), 3);
    await gone.finish(gone.only);
    rig.mesh.restore(gone.peer);
    await rig.clock.advance(2_500);
    expect((await rig.requester.show(job)).state).toBe('running');
    expect(await lateObjects(rig, job)).toBe(1);
    await at(rig, 1).finish(at(rig, 1).only);
    const view = await rig.end(job);
    expect(view.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect((await rig.requester.evidence(job)).attempts).toHaveLength(1);
  });

  it.each([
    ['renewed it less often than so long a run takes', { sequence: 1 }],
    ['signs a renewal of the future', { ahead: 600_000 }],
  ])('does not where its provider %s', async (_, { sequence, ahead = 0 }: { sequence?: number; ahead?: number }) => {
    const rig = await rigWith(HELD, HELD);
    const { job, gone } = await cutOff(rig);
    await renew(rig, at(rig, 1), 16);
    gone.script = { ...gone.script, progress: { atMs: UnixMs(rig.clock.nowMs() + ahead) } };
    await gone.progress(gone.only, sequence ?? 20);
    await gone.finish(gone.only);
    rig.mesh.restore(gone.peer);
    await rig.clock.advance(2_500);
    expect((await rig.requester.show(job)).state).toBe('running');
    expect(await lateObjects(rig, job)).toBe(1);
  });

  it('changes nothing where another attempt has given its result: the first that is accepted stands', async () => {
    const rig = await rigWith(HELD, HELD, HELD, HELD);
    const job = await rig.submitReplicas(3, 2);
    const [gone, second, third, fourth] = [0, 1, 2, 3].map((index) => at(rig, index));
    if (!gone || !second || !third || !fourth) throw new TypeError();
    await rig.leased(gone, second, third);
    await settleTasks();
    rig.mesh.cut(gone.peer);
    await renew(rig, rig.providers, 4);
    await fourth.finish(fourth.only);
    await gone.finish(gone.only);
    rig.mesh.restore(gone.peer);
    await renew(rig, [second, third], 2);
    const replicaOf = (await rig.requester.show(job)).attempts.find(({ provider }) => provider === gone.peer)?.replica;
    await settleTasks();
    expect(await lateObjects(rig, job)).toBe(1);
    for (const provider of [second, third]) await provider.finish(provider.only);
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    expect(view.attempts.filter(({ replica, state }) => replica === replicaOf && state === 'revealed')).toHaveLength(1);
    expect(view.attempts.find(({ provider }) => provider === gone.peer)?.state).toBe('lost');
  });

  it('counts as a commitment too, where its replica is still open', async () => {
    const rig = await rigWith(HELD, HELD, HELD);
    const job = await rig.submitReplicas(3, 2);
    const [gone, second, third] = [0, 1, 2].map((index) => at(rig, index));
    if (!gone || !second || !third) throw new TypeError();
    await rig.leased(gone, second, third);
    await settleTasks();
    rig.mesh.cut(gone.peer);
    await renew(rig, rig.providers, 3);
    expect((await rig.requester.show(job)).attempts[0]?.state).toBe('lost');
    await gone.finish(gone.only);
    rig.mesh.restore(gone.peer);
    await renew(rig, [second, third], 2);
    expect((await rig.requester.show(job)).attempts[0]?.state).toBe('committed');
    for (const provider of [second, third]) await provider.finish(provider.only);
    const view = await rig.end(job);
    expect(view.result?.agreeing).toHaveLength(3);
    expect(view.attempts).toHaveLength(3);
  });

  it('is no result of a job that is to be cancelled', async () => {
    const rig = await rigWith(HELD);
    const { job, gone } = await cutOff(rig);
    await renew(rig, gone, 4);
    await gone.finish(gone.only);
    const cancelling = rig.requester.cancel(job);
    rig.mesh.restore(gone.peer);
    await rig.clock.advance(5_000);
    await cancelling;
    expect((await rig.end(job)).state).toBe('cancelled');
  });
});

describe('a requester that was away', () => {
  async function away(draft: Partial<JobDraft> = {}, script: Script = HELD) {
    const rig = await rigWith(script);
    const job = await rig.submit(draft);
    await rig.leased(at(rig, 0));
    await settleTasks();
    await rig.requester.stop();
    return { rig, job, provider: at(rig, 0) };
  }

  it('collects what was finished meanwhile, long after the lease has ended by its own clock', async () => {
    const { rig, job, provider } = await away();
    await renew(rig, provider, 40);
    await provider.finish(provider.only);
    await rig.clock.advance(20 * TERM_MS);
    const back = await rig.restart();
    const view = await back.end(job);
    expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed' }] });
    expect(provider.attempts.size).toBe(1);
  });

  it('collects it after the deadline of the job too, where it was finished before', async () => {
    const { rig, job, provider } = await away({ deadlineMs: UnixMs(1_800_000_000_000 + 30_000) });
    await renew(rig, provider, 8);
    await provider.finish(provider.only);
    await rig.clock.advance(60_000);
    const back = await rig.restart();
    expect((await back.end(job)).state).toBe('completed');
  });

  it('waits after the deadline for a provider that cannot be reached at once', async () => {
    const { rig, job, provider } = await away(
      { deadlineMs: UnixMs(1_800_000_000_000 + 30_000) },
      { ...HELD, acceptance: { resultsKeptForMs: 600_000 } },
    );
    await renew(rig, provider, 8);
    await provider.finish(provider.only);
    await rig.clock.advance(60_000);
    rig.mesh.cut(provider.peer);
    const back = await rig.restart();
    await back.clock.advance(120_000);
    expect((await back.requester.show(job)).endedAtMs).toBeNull();
    expect((await back.requester.explain(job)).summary).toMatch(/deadline has passed: .*is collected/);
    back.mesh.restore(provider.peer);
    await back.clock.advance(3_000);
    expect((await back.end(job)).state).toBe('completed');
  });

  it('gives the job up where nothing was kept for it, or nobody comes back, and says so plainly', async () => {
    const gone = await away(
      { deadlineMs: UnixMs(1_800_000_000_000 + 30_000) },
      { ...HELD, acceptance: { resultsKeptForMs: 60_000 } },
    );
    await gone.rig.clock.advance(200_000);
    gone.provider.attempts.clear();
    const back = await gone.rig.restart();
    await back.clock.advance(2_000);
    const view = await back.end(gone.job);
    expect(view).toMatchObject({ state: 'expired', failure: { code: 'JOB_DEADLINE' } });
    expect(view.failure?.message).toMatch(/not kept any more: it had signed to keep it for 1 m/);
    expect(view.attempts[0]?.reason).toMatch(/^RESULT_NOT_KEPT/);
  });

  it('begins anew while there is time, and names a provider that broke its word', async () => {
    const { rig, job, provider } = await away({}, { ...HELD, acceptance: { resultsKeptForMs: 600_000 } });
    await rig.clock.advance(20_000);
    provider.attempts.clear();
    const back = await rig.restart();
    provider.script = {};
    await back.clock.advance(10_000);
    const view = await back.end(job);
    expect(view.state).toBe('completed');
    expect(view.attempts[0]?.reason).toMatch(/^LEASE_FORGOTTEN: .*had signed to keep the result for 10 m/);
  });

  it('refuses what was finished after the lease had run out', async () => {
    const { rig, job, provider } = await away();
    await renew(rig, provider, 2);
    await rig.clock.advance(10 * TERM_MS);
    await provider.finish(provider.only);
    const back = await rig.restart();
    await back.clock.advance(100);
    const [attempt] = (await back.requester.show(job)).attempts;
    expect(attempt).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^FINISHED_AFTER_LEASE: .*run out/),
    });
    expect(await lateObjects(back, job)).toBe(1);
  });

  it('shows how long its provider keeps the result, also after a restart', async () => {
    const { rig, job } = await away({}, { ...HELD, acceptance: { resultsKeptForMs: 600_000 } });
    const back = await rig.restart();
    expect((await back.requester.show(job)).attempts[0]?.resultsKeptForMs).toBe(600_000);
  });
});
