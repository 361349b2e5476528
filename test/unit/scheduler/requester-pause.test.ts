import { describe, expect, it } from 'vitest';
import { type JobId, LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import type { CheckpointSchedule } from '../../../src/domain/job.ts';
import type { JobDraft, JobEvent } from '../../../src/scheduler/interface.ts';
import { eventually } from '../../support/eventually.ts';
import { until } from '../../support/manual-clock.ts';
import { RequesterRig } from '../../support/requester-rig.ts';
import type { ScriptedAttempt, ScriptedProvider } from '../../support/scripted-provider.ts';

const EVERY_TEN: CheckpointSchedule = { kind: 'steps', every: 10 };
const LARGE = { memoryBytes: 65_536, fuel: 100_000, wallTimeMs: 600_000, outputBytes: 10_000, logBytes: 10_000 };
const STEPPING: Partial<JobDraft> = {
  checkpoints: { schedule: EVERY_TEN, holder: null, sealed: false },
  resources: LARGE,
};

const stateOf = async (rig: RequesterRig, job: JobId) => (await rig.requester.show(job)).state;
const attemptsOf = async (rig: RequesterRig, job: JobId) => (await rig.requester.show(job)).attempts;
const isHeld = (rig: RequesterRig, job: JobId, step: number) =>
  eventually(async () => (await attemptsOf(rig, job)).some(({ checkpoint }) => checkpoint?.heldStep === step));
const isState = (rig: RequesterRig, job: JobId, state: string) =>
  eventually(async () => (await stateOf(rig, job)) === state);

function lastOf(provider: ScriptedProvider): ScriptedAttempt {
  const attempt = [...provider.attempts.values()].at(-1);
  if (attempt === undefined) throw new Error('no attempt');
  return attempt;
}

/** A running job with a snapshot held at step 10. */
async function runToTen(change: Partial<JobDraft> = {}) {
  const rig = await RequesterRig.start();
  const provider = await rig.addProvider({ holds: true });
  const job = await rig.submit({ ...STEPPING, ...change });
  await rig.leased(provider);
  await provider.checkpoint(provider.only, 10);
  await isHeld(rig, job, 10);
  return { rig, provider, job };
}

/** Makes the checkpoint that it stops at, and stops. */
async function stopAt(provider: ScriptedProvider, step: number): Promise<void> {
  await until(() => provider.paused.includes(LeaseId(lastOf(provider).lease.id)));
  await provider.checkpoint(lastOf(provider), step);
  await provider.fail(lastOf(provider), 'PAUSED');
}

async function logsOf(rig: RequesterRig, job: JobId): Promise<string[]> {
  const texts: string[] = [];
  const options = { follow: false, signal: AbortSignal.timeout(5_000) };
  for await (const event of rig.requester.events(job, options)) {
    if ((event as JobEvent).kind === 'log') texts.push((event as Extract<JobEvent, { kind: 'log' }>).text);
  }
  return texts;
}

describe('pause', () => {
  it('ends the attempt at its next checkpoint, uncounted, and resume goes on from there', async () => {
    const { rig, provider, job } = await runToTen({ retries: 0 });
    expect(await rig.requester.pause(job)).toMatchObject({ state: 'running', desired: 'pause' });
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    await isHeld(rig, job, 20);
    expect((await attemptsOf(rig, job))[0]).toMatchObject({ state: 'paused', reason: 'PAUSED: scripted' });
    expect(rig.requester.counts().active).toBe(1);
    expect(await rig.requester.resume(job)).toMatchObject({ desired: 'run' });
    await rig.clock.advance(1_000);
    await until(() => provider.attempts.size === 2);
    const { resume, attempt: number } = lastOf(provider).lease.value;
    expect(number).toBe(1);
    expect(resume).toMatchObject({ lease: provider.only.lease.id, step: 20, holder: rig.identity.peer });
    expect(resume?.head).toEqual(provider.only.chain?.links[1]?.head);
    expect((await attemptsOf(rig, job))[1]?.resumedFrom).toEqual({ lease: provider.only.lease.id, step: 20 });
    await provider.checkpoint(lastOf(provider), 30);
    await provider.finish(lastOf(provider));
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    // The one that was paused is worth nothing to anybody any more, either.
    await rig.clock.advance(1_000);
    await until(() => provider.closed.length >= 2);
    expect(new Set(provider.closed)).toEqual(new Set(provider.attempts.keys()));
    const evidence = await rig.requester.evidence(job);
    expect(evidence.attempts[0]?.inherited?.map(({ checkpoints }) => checkpoints.length)).toEqual([3]);
  });

  it('of a job that seeks stops the search at once', async () => {
    const rig = await RequesterRig.start();
    const job = await rig.submit(STEPPING);
    expect(await rig.requester.pause(job)).toMatchObject({ state: 'paused', desired: 'pause' });
    const provider = await rig.addProvider({ holds: true });
    await rig.clock.advance(60_000);
    expect(provider.attempts.size).toBe(0);
    expect(rig.mesh.countSent(provider.peer, 'offer')).toBe(0);
    await rig.requester.resume(job);
    await rig.leased(provider);
  });

  it('while a lease is being written takes the lease back: it is never sent', async () => {
    const rig = await RequesterRig.start();
    const job = await rig.submit(STEPPING);
    rig.database.onWrite = (operations) => {
      if (!operations.some(({ key }) => key.endsWith('/lease'))) return;
      rig.database.onWrite = undefined;
      void rig.requester.pause(job);
    };
    const provider = await rig.addProvider({ holds: true });
    await isState(rig, job, 'paused');
    expect(provider.attempts.size).toBe(0);
    expect((await attemptsOf(rig, job))[0]).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('PAUSED'),
    });
    await rig.requester.resume(job);
    await rig.clock.advance(1_000);
    await rig.leased(provider);
  });

  it('again and again leaves its provider as good as any', async () => {
    const { rig, provider, job } = await runToTen();
    for (let round = 1; round <= 4; round += 1) {
      await rig.requester.pause(job);
      await stopAt(provider, 10 + round * 10);
      await isState(rig, job, 'paused');
      await rig.requester.resume(job);
      await rig.clock.advance(1_000);
      await until(() => provider.attempts.size === round + 1);
    }
  });

  it('asked for twice is asked for once, and resume of a job that runs changes nothing', async () => {
    const { rig, provider, job } = await runToTen();
    await rig.requester.resume(job);
    await Promise.all([rig.requester.pause(job), rig.requester.pause(job)]);
    expect(await rig.requester.pause(job)).toMatchObject({ desired: 'pause' });
    await until(() => provider.paused.length > 0);
    expect(provider.paused).toHaveLength(1);
    for (let sequence = 1; sequence <= 6; sequence += 1) {
      await provider.progress(provider.only, sequence);
      await eventually(async () => (await attemptsOf(rig, job))[0]?.progress?.fuel === sequence * 10);
      await rig.clock.advance(2_000);
    }
    expect(provider.paused.length).toBeGreaterThan(1);
  });

  it('is asked for again until the provider answers', async () => {
    const { rig, provider, job } = await runToTen();
    provider.script = { ...provider.script, silentOn: ['pause'] };
    await rig.requester.pause(job);
    for (let second = 0; second < 6; second += 1) {
      await rig.clock.advance(1_000);
      await provider.progress(provider.only, second + 1);
    }
    provider.script = { holds: true };
    await rig.clock.advance(3_000);
    await until(() => provider.paused.length > 0);
  });

  it('that comes too late lets the result stand', async () => {
    const { rig, provider, job } = await runToTen();
    await rig.requester.pause(job);
    await provider.finish(provider.only);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    await expect(rig.requester.pause(job)).rejects.toMatchObject({ code: 'SCHEDULER_JOB_ENDED' });
    await expect(rig.requester.resume(job)).rejects.toMatchObject({ code: 'SCHEDULER_JOB_ENDED' });
  });

  it('taken back before the attempt stopped still ends that attempt well', async () => {
    const { rig, provider, job } = await runToTen({ retries: 0 });
    await rig.requester.pause(job);
    await until(() => provider.paused.length > 0);
    await rig.requester.resume(job);
    await stopAt(provider, 20);
    await rig.clock.advance(1_000);
    await until(() => provider.attempts.size === 2);
    expect(lastOf(provider).lease.value.resume?.step).toBe(20);
  });

  it('that nobody asked for is a failure', async () => {
    const { rig, provider, job } = await runToTen({ retries: 0 });
    await provider.fail(provider.only, 'PAUSED');
    expect(await rig.end(job)).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED' } });
  });

  it('does not stop the deadline, nor a cancel', async () => {
    const first = await runToTen();
    await first.rig.requester.pause(first.job);
    await stopAt(first.provider, 20);
    await isState(first.rig, first.job, 'paused');
    await first.rig.clock.advance(600_001);
    expect(await first.rig.end(first.job)).toMatchObject({ state: 'expired', failure: { code: 'JOB_DEADLINE' } });
    const second = await runToTen();
    await second.rig.requester.pause(second.job);
    await stopAt(second.provider, 20);
    await isState(second.rig, second.job, 'paused');
    await second.rig.requester.cancel(second.job);
    expect(await second.rig.end(second.job)).toMatchObject({ state: 'cancelled' });
  });

  it('of replicas lets those that are done stand, and goes on with the others', async () => {
    const rig = await RequesterRig.start();
    const providers = [
      await rig.addProvider(),
      await rig.addProvider({ holds: true }),
      await rig.addProvider({ holds: true }),
    ];
    const job = await rig.submitReplicas(3, 2, STEPPING);
    await rig.leased(...providers);
    await eventually(async () => (await attemptsOf(rig, job)).some(({ state }) => state === 'committed'));
    await rig.requester.pause(job);
    for (const provider of providers.slice(1)) await stopAt(provider, 10);
    await isState(rig, job, 'paused');
    const explanation = await rig.requester.explain(job);
    expect(explanation.summary).toMatch(/paused.*step 10.*1 of 3 replicas are done/);
    expect(explanation.hints.join()).toContain('fogproof job resume');
    await eventually(async () => rig.snapshots.entries.size === 2);
    await rig.requester.resume(job);
    await rig.clock.advance(1_000);
    await until(() => providers.slice(1).every((provider) => provider.attempts.size === 2));
    for (const provider of providers.slice(1)) {
      const [before, after] = [...provider.attempts.values()];
      expect(after?.lease.value.replica).toBe(before?.lease.value.replica);
      expect(after?.lease.value.resume?.lease).toBe(before?.lease.id);
      if (after !== undefined) await provider.finish(after);
    }
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
  });

  it('waits for the snapshot before it goes on', async () => {
    const { rig, provider, job } = await runToTen();
    rig.snapshots.isHeldUp = true;
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    await rig.requester.resume(job);
    await rig.clock.advance(1_000);
    expect(provider.attempts.size).toBe(1);
    rig.snapshots.letGo();
    await until(() => provider.attempts.size === 2);
    expect(lastOf(provider).lease.value.resume?.step).toBe(20);
  });

  it('goes on from an older snapshot if the last one never comes', async () => {
    const { rig, provider, job } = await runToTen();
    rig.snapshots.isHeldUp = true;
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    // However long it is paused, nobody waits for it yet.
    await rig.clock.advance(100_000);
    await rig.requester.resume(job);
    await rig.clock.advance(40_000);
    rig.snapshots.progress();
    await rig.clock.advance(40_000);
    expect(provider.attempts.size).toBe(1);
    await rig.clock.advance(21_000);
    await until(() => provider.attempts.size === 2);
    expect(lastOf(provider).lease.value.resume?.step).toBe(10);
  });

  it('does not wait for ever on a provider that gives its snapshot drop by drop', async () => {
    const { rig, provider, job } = await runToTen({ deadlineMs: UnixMs(2e15) });
    rig.snapshots.isHeldUp = true;
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    await rig.requester.resume(job);
    for (let drop = 0; drop < 10; drop += 1) {
      expect(provider.attempts.size).toBe(1);
      await rig.clock.advance(59_000);
      rig.snapshots.progress();
    }
    await rig.clock.advance(11_000);
    await until(() => provider.attempts.size === 2);
    expect(lastOf(provider).lease.value.resume?.step).toBe(10);
  });
});

describe('what cannot be paused', () => {
  it('a job without checkpoints', async () => {
    const rig = await RequesterRig.start();
    const job = await rig.submit();
    await expect(rig.requester.pause(job)).rejects.toMatchObject({
      code: 'SCHEDULER_NOT_PAUSABLE',
      hint: expect.stringContaining('checkpoints'),
    });
    expect(await rig.requester.resume(job)).toMatchObject({ state: 'seeking' });
  });

  it('a job of a batch, one that is cancelled, and one that nobody knows', async () => {
    const rig = await RequesterRig.start();
    const draft = await rig.draft(STEPPING);
    const [first] = await rig.requester.submitMany([draft, draft]);
    await expect(rig.requester.pause(first as JobId)).rejects.toMatchObject({ code: 'SCHEDULER_NOT_PAUSABLE' });
    const provider = await rig.addProvider({ holds: true, silentOn: ['cancel'] });
    const job = await rig.submit(STEPPING);
    await until(() => [...provider.attempts.values()].some(({ job: own }) => own.id === (job as string)));
    void rig.requester.cancel(job);
    await eventually(async () => (await rig.requester.show(job)).desired === 'cancel');
    await expect(rig.requester.pause(job)).rejects.toMatchObject({ code: 'SCHEDULER_NOT_PAUSABLE' });
    await expect(rig.requester.pause('nope' as JobId)).rejects.toMatchObject({ code: 'SCHEDULER_UNKNOWN_JOB' });
  });
});

describe('a restart of the requester', () => {
  it('while it is paused leaves it paused', async () => {
    const { rig, provider, job } = await runToTen();
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    await isHeld(rig, job, 20);
    const restarted = await rig.restart();
    expect(await restarted.requester.show(job)).toMatchObject({ state: 'paused', desired: 'pause' });
    expect((await attemptsOf(restarted, job))[0]?.checkpoint).toMatchObject({ step: 20, heldStep: 20 });
    await restarted.requester.resume(job);
    await until(() => provider.attempts.size === 2);
    expect(lastOf(provider).lease.value.resume?.step).toBe(20);
  });

  it('while it is being paused asks again', async () => {
    const { rig, provider, job } = await runToTen();
    await rig.requester.pause(job);
    await until(() => provider.paused.length === 1);
    const restarted = await rig.restart();
    await until(() => provider.paused.length === 2);
    await stopAt(provider, 20);
    await isState(restarted, job, 'paused');
  });

  it('with a snapshot under way fetches it again', async () => {
    const { rig, provider, job } = await runToTen();
    rig.snapshots.isHeldUp = true;
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    rig.snapshots.isHeldUp = false;
    const restarted = await rig.restart();
    await isHeld(restarted, job, 20);
  });

  it('with a resume under way goes on', async () => {
    const { rig, provider, job } = await runToTen();
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isHeld(rig, job, 20);
    provider.script = { holds: true, silentOn: ['offer'] };
    await rig.requester.resume(job);
    provider.script = { holds: true };
    const restarted = await rig.restart();
    await until(() => provider.attempts.size === 2);
    await provider.checkpoint(lastOf(provider), 30);
    await provider.finish(lastOf(provider));
    expect(await restarted.end(job)).toMatchObject({ state: 'completed' });
  });

  it('while it runs follows on where it was', async () => {
    const { rig, provider, job } = await runToTen();
    const restarted = await rig.restart();
    await provider.checkpoint(provider.only, 20);
    await isHeld(restarted, job, 20);
    await provider.finish(provider.only);
    expect(await restarted.end(job)).toMatchObject({ state: 'completed' });
    expect((await restarted.requester.checkpoints(job)).map(({ step }) => step)).toEqual([0, 10, 20]);
  });
});

describe('what a job prints', () => {
  const log = (text: string, ordinal?: number) =>
    ({ kind: 'log', stream: 'stdout', text, ...(ordinal === undefined ? {} : { ordinal }) }) as const;

  it('is there once, in order, across pauses and restarts', async () => {
    const { rig, provider, job } = await runToTen();
    for (const [index, text] of ['one', 'two'].entries()) provider.emit(provider.only, log(text, index + 1));
    await eventually(async () => (await logsOf(rig, job)).length === 2);
    await rig.requester.pause(job);
    await stopAt(provider, 20);
    await isState(rig, job, 'paused');
    await isHeld(rig, job, 20);
    const restarted = await rig.restart();
    await restarted.requester.resume(job);
    await until(() => provider.attempts.size === 2);
    for (const [index, text] of ['two', 'three'].entries()) provider.emit(lastOf(provider), log(text, index + 2));
    await eventually(async () => (await logsOf(restarted, job)).length === 3);
    expect(await logsOf(restarted, job)).toEqual(['one', 'two', 'three']);
  });

  it('in parts waits for its last part, and what has no place is shown as it comes', async () => {
    const { rig, provider, job } = await runToTen();
    const part = 'x'.repeat(65_536);
    provider.emit(provider.only, log('a remark'));
    provider.emit(provider.only, log(part));
    provider.emit(provider.only, log('end', 1));
    provider.emit(provider.only, log(part));
    provider.emit(provider.only, log('end', 1));
    provider.emit(provider.only, log('last', 2));
    await eventually(async () => (await logsOf(rig, job)).includes('last'));
    expect((await logsOf(rig, job)).map((text) => text.slice(0, 8))).toEqual(['a remark', 'xxxxxxxx', 'end', 'last']);
  });

  it('in rounds is each attempt’s own', async () => {
    const rounds = { schedule: { kind: 'rounds', every: 10 }, holder: null, sealed: false } as const;
    const { rig, provider, job } = await runToTen({ checkpoints: rounds });
    provider.emit(provider.only, log('one', 1));
    await provider.fail(provider.only, 'EXECUTOR_CRASHED');
    await rig.clock.advance(1_000);
    await until(() => provider.attempts.size === 2);
    provider.emit(lastOf(provider), log('one', 1));
    await eventually(async () => (await logsOf(rig, job)).length === 2);
  });
});
