import { describe, expect, it } from 'vitest';
import { LeaseId } from '../../../src/domain/ids.ts';
import type { CheckpointSchedule } from '../../../src/domain/job.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { eventually } from '../../support/eventually.ts';
import { until } from '../../support/manual-clock.ts';
import { identityOf, RequesterRig } from '../../support/requester-rig.ts';
import type { ScriptedAttempt, ScriptedProvider } from '../../support/scripted-provider.ts';

const EVERY_TEN: CheckpointSchedule = { kind: 'steps', every: 10 };
const LARGE = { memoryBytes: 65_536, fuel: 100_000, wallTimeMs: 600_000, outputBytes: 10_000, logBytes: 10_000 };

interface Running {
  readonly rig: RequesterRig;
  readonly providers: readonly ScriptedProvider[];
  readonly job: Awaited<ReturnType<RequesterRig['submit']>>;
}

/** A job whose snapshots a third party holds, with some providers that do as the test says. */
async function start(count: number, change: { readonly sealed?: boolean } = {}): Promise<Running> {
  const rig = await RequesterRig.start();
  const providers: ScriptedProvider[] = [];
  for (let index = 0; index < count; index += 1) providers.push(await rig.addProvider({ holds: true }));
  const holder = (await identityOf(77)).peer;
  const draft: Partial<JobDraft> = {
    checkpoints: { schedule: EVERY_TEN, holder, sealed: change.sealed === true },
    resources: LARGE,
  };
  return { rig, providers, job: await rig.submit(draft) };
}

/** The newest attempt, once there are so many, with who runs it. */
async function attemptNumber({ rig, providers }: Running, number: number) {
  const list = (): ScriptedAttempt[] =>
    providers
      .flatMap(({ attempts }) => [...attempts.values()])
      .toSorted((a, b) => a.lease.value.attempt - b.lease.value.attempt);
  for (let turn = 0; turn < 20 && list().length < number; turn += 1) await rig.clock.advance(200);
  await until(() => list().length === number);
  const attempt = list().at(-1);
  const provider = providers.find(({ peer }) => peer === attempt?.lease.value.provider);
  if (attempt === undefined || provider === undefined) throw new Error('no attempt');
  return { attempt, provider };
}

const viewOf = async ({ rig, job }: Running, place = 0) => (await rig.requester.show(job)).attempts[place];
const isKnown = (running: Running, step: number) =>
  eventually(async () => (await viewOf(running))?.checkpoint?.step === step);
const isHeld = (running: Running, step: number) =>
  eventually(async () => (await viewOf(running))?.checkpoint?.heldStep === step);

/** Two checkpoints, of which the holder has the first. */
async function runToTwenty(count: number) {
  const running = await start(count);
  const first = await attemptNumber(running, 1);
  const { provider, attempt } = first;
  await provider.checkpoint(attempt, 10);
  provider.emit(attempt, { kind: 'held', index: 1 });
  await provider.checkpoint(attempt, 20);
  await isKnown(running, 20);
  await isHeld(running, 10);
  return { running, ...first };
}

describe('a snapshot that a third party holds', () => {
  it('counts as held once the provider says that the holder has it, and not as soon as it is announced', async () => {
    const { running, provider, attempt } = await runToTwenty(1);
    expect((await viewOf(running))?.checkpoint).toMatchObject({ step: 20, heldStep: 10 });
    provider.emit(attempt, { kind: 'held', index: 2 });
    await isHeld(running, 20);
    const views = await running.rig.requester.checkpoints(running.job);
    expect(views.map(({ snapshot }) => snapshot)).toEqual(['none', 'held', 'held']);
    expect(running.rig.snapshots.requests).toEqual([]);
  });

  it('is remembered over a restart', async () => {
    const { running } = await runToTwenty(1);
    const rig = await running.rig.restart();
    expect((await viewOf({ ...running, rig }))?.checkpoint).toMatchObject({ step: 20, heldStep: 10 });
  });

  it.each<[string, number, 'snapshot' | 'bare']>([
    ['that was never told of', 7, 'snapshot'],
    ['that has no snapshot', 3, 'bare'],
    ['that is older than what is held', 0, 'snapshot'],
  ])('is not believed of a checkpoint %s', async (_, index, withSnapshot) => {
    const { running, provider, attempt } = await runToTwenty(1);
    await provider.checkpoint(attempt, 30, withSnapshot);
    provider.emit(attempt, { kind: 'held', index });
    await provider.progress(attempt, 1);
    await eventually(async () => (await viewOf(running))?.progress !== null);
    expect((await viewOf(running))?.checkpoint).toMatchObject({ step: 30, heldStep: 10 });
    expect((await viewOf(running))?.state).toBe('running');
  });

  it('is what another provider goes on from, not what was announced later', async () => {
    const { running, provider, attempt } = await runToTwenty(2);
    running.rig.mesh.cut(provider.peer);
    await running.rig.clock.advance(5_000);
    const second = await attemptNumber(running, 2);
    expect(second.provider).not.toBe(provider);
    expect(second.attempt.lease.value.resume).toMatchObject({ lease: attempt.lease.id, step: 10 });
  });

  it('that the holder has not after all costs one attempt: the next begins earlier', async () => {
    const { running, provider, attempt } = await runToTwenty(3);
    // A lie: the holder was never given it.
    provider.emit(attempt, { kind: 'held', index: 2 });
    await isHeld(running, 20);
    running.rig.mesh.cut(provider.peer);
    await running.rig.clock.advance(5_000);
    const second = await attemptNumber(running, 2);
    expect(second.attempt.lease.value.resume).toMatchObject({ step: 20 });
    await second.provider.fail(second.attempt, 'INPUT_UNAVAILABLE');
    const third = await attemptNumber(running, 3);
    expect(third.attempt.lease.value.resume).toMatchObject({ lease: attempt.lease.id, step: 10 });
    await third.provider.finish(third.attempt);
    expect(await running.rig.end(running.job)).toMatchObject({ state: 'completed' });
  });
});

describe('a snapshot that only its maker has', () => {
  it('is what its maker goes on from after a pause', async () => {
    const { running, provider, attempt } = await runToTwenty(1);
    const { rig, job } = running;
    await rig.requester.pause(job);
    await until(() => provider.paused.includes(LeaseId(attempt.lease.id)));
    await provider.checkpoint(attempt, 30);
    await provider.fail(attempt, 'PAUSED');
    await eventually(async () => (await rig.requester.show(job)).state === 'paused');
    await rig.requester.resume(job);
    const second = await attemptNumber(running, 2);
    expect(second.attempt.lease.value.resume).toMatchObject({ lease: attempt.lease.id, step: 30 });
    // What the new attempt comes to is newer than what is left of the one before.
    await second.provider.checkpoint(second.attempt, 40);
    second.provider.emit(second.attempt, { kind: 'held', index: 1 });
    await eventually(async () => (await viewOf(running, 1))?.checkpoint?.heldStep === 40);
    await second.provider.fail(second.attempt, 'WALL_TIME');
    const third = await attemptNumber(running, 3);
    expect(third.attempt.lease.value.resume).toMatchObject({ lease: second.attempt.lease.id, step: 40 });
  });
});

describe('the word of a provider', () => {
  it('counts for nothing where the requester itself is the holder', async () => {
    const rig = await RequesterRig.start();
    rig.snapshots.isHeldUp = true;
    const provider = await rig.addProvider({ holds: true });
    const checkpoints = { schedule: EVERY_TEN, holder: null, sealed: false };
    const job = await rig.submit({ checkpoints, resources: LARGE });
    await rig.leased(provider);
    const running = { rig, providers: [provider], job };
    await provider.checkpoint(provider.only, 10);
    provider.emit(provider.only, { kind: 'held', index: 1 });
    await provider.progress(provider.only, 1);
    await eventually(async () => (await viewOf(running))?.progress !== null);
    expect((await viewOf(running))?.checkpoint).toMatchObject({ step: 10, heldStep: null });
  });
});

describe('a lease', () => {
  it.each([
    [true, true],
    [false, undefined],
  ])('tells the holder whether snapshots are sealed: %s', async (sealed, said) => {
    const running = await start(1, { sealed });
    const { attempt } = await attemptNumber(running, 1);
    expect(attempt.lease.value.snapshotsSealed).toBe(said);
  });
});
