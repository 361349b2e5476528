import { describe, expect, it } from 'vitest';
import { CHECKPOINT } from '../../../src/domain/checkpoint.ts';
import { type JobId, LeaseId } from '../../../src/domain/ids.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { SnapshotError } from '../../../src/scheduler/snapshots/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { until } from '../../support/manual-clock.ts';
import { RequesterRig } from '../../support/requester-rig.ts';
import { describeSnapshot } from '../../support/scripted-chain-links.ts';
import type { ScriptedAttempt, ScriptedProvider } from '../../support/scripted-provider.ts';

const STEPPING: Partial<JobDraft> = {
  checkpoints: { schedule: { kind: 'steps', every: 10 }, holder: null, sealed: false },
  resources: { memoryBytes: 65_536, fuel: 100_000, wallTimeMs: 600_000, outputBytes: 10_000, logBytes: 10_000 },
};

async function startWith(count: number) {
  const rig = await RequesterRig.start();
  const providers: ScriptedProvider[] = [];
  for (let index = 0; index < count; index += 1) providers.push(await rig.addProvider({ holds: true }));
  return { rig, providers };
}

/** Every attempt that any provider was given, in order. */
const listAttempts = (providers: readonly ScriptedProvider[]): ScriptedAttempt[] =>
  providers
    .flatMap((provider) => [...provider.attempts.values()])
    .toSorted((a, b) => a.lease.value.attempt - b.lease.value.attempt);

function runnerOf(providers: readonly ScriptedProvider[], attempt: ScriptedAttempt): ScriptedProvider {
  const runner = providers.find(({ peer }) => peer === attempt.lease.value.provider);
  if (runner === undefined) throw new Error('nobody runs it');
  return runner;
}

/** The newest attempt of a single replica, once there are so many. */
async function attemptNumber(rig: RequesterRig, providers: readonly ScriptedProvider[], number: number) {
  for (let turn = 0; turn < 20 && listAttempts(providers).length < number; turn += 1) await rig.clock.advance(200);
  await until(() => listAttempts(providers).length === number);
  const attempt = listAttempts(providers).at(-1);
  if (attempt === undefined) throw new Error('no attempt');
  return { attempt, provider: runnerOf(providers, attempt) };
}

const isHeld = (rig: RequesterRig, job: JobId, lease: string, step: number) =>
  eventually(async () =>
    (await rig.requester.show(job)).attempts.some(
      (attempt) => attempt.lease === lease && attempt.checkpoint?.heldStep === step,
    ),
  );

describe('an attempt that ended without a result', () => {
  it('whose provider died is gone on with elsewhere, from the newest snapshot held', async () => {
    const { rig, providers } = await startWith(2);
    const job = await rig.submit(STEPPING);
    const first = await attemptNumber(rig, providers, 1);
    for (const step of [10, 20]) await first.provider.checkpoint(first.attempt, step);
    await isHeld(rig, job, first.attempt.lease.id, 20);
    rig.mesh.cut(first.provider.peer);
    await rig.clock.advance(5_000);
    const second = await attemptNumber(rig, providers, 2);
    expect(second.provider).not.toBe(first.provider);
    const head = first.attempt.chain?.links[1]?.head;
    const snapshot = describeSnapshot(first.attempt.lease, 20);
    expect(second.attempt.lease.value.resume).toMatchObject({
      lease: first.attempt.lease.id,
      step: 20,
      head,
      snapshot,
    });
    expect(rig.grants.isAllowed(second.provider.peer, snapshot.blob)).toBe(true);
    await second.provider.checkpoint(second.attempt, 30);
    await second.provider.finish(second.attempt);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    expect(rig.grants.isAllowed(second.provider.peer, snapshot.blob)).toBe(false);
    const [inherited] = (await rig.requester.evidence(job)).attempts[0]?.inherited ?? [];
    expect(inherited?.lease).toEqual(first.attempt.lease.wire);
    expect(inherited?.checkpoints).toHaveLength(3);
  });

  it('is not gone on from what was not held', async () => {
    const { rig, providers } = await startWith(2);
    rig.snapshots.isHeldUp = true;
    const job = await rig.submit(STEPPING);
    const first = await attemptNumber(rig, providers, 1);
    await first.provider.checkpoint(first.attempt, 10);
    await eventually(async () => (await rig.requester.checkpoints(job)).length === 2);
    rig.mesh.cut(first.provider.peer);
    await rig.clock.advance(5_000);
    const second = await attemptNumber(rig, providers, 2);
    expect(second.attempt.lease.value.resume).toBeUndefined();
  });

  it('is not gone on from what is gone from the disk', async () => {
    const { rig, providers } = await startWith(1);
    const job = await rig.submit(STEPPING);
    const first = await attemptNumber(rig, providers, 1);
    for (const step of [10, 20]) {
      await first.provider.checkpoint(first.attempt, step);
      await isHeld(rig, job, first.attempt.lease.id, step);
    }
    rig.snapshots.entries.delete(`holder/${first.attempt.lease.id}/20`);
    await first.provider.fail(first.attempt, 'EXECUTOR_CRASHED');
    const second = await attemptNumber(rig, providers, 2);
    expect(second.attempt.lease.value.resume?.step).toBe(10);
  });

  it.each(['INPUT_UNAVAILABLE', 'STATE_MISMATCH'] as const)(
    'with %s makes the next use an older point, then none',
    async (code) => {
      const { rig, providers } = await startWith(4);
      const job = await rig.submit({ ...STEPPING, retries: 5 });
      const first = await attemptNumber(rig, providers, 1);
      for (const step of [10, 20]) {
        await first.provider.checkpoint(first.attempt, step);
        await isHeld(rig, job, first.attempt.lease.id, step);
      }
      await first.provider.fail(first.attempt, 'EXECUTOR_CRASHED');
      const steps: (number | undefined)[] = [];
      for (let number = 2; number <= 4; number += 1) {
        const { attempt, provider } = await attemptNumber(rig, providers, number);
        steps.push(attempt.lease.value.resume?.step);
        if (number < 4) await provider.fail(attempt, code);
      }
      expect(steps).toEqual([20, 10, undefined]);
    },
  );

  it('and was caught at something false is not gone on from', async () => {
    const { rig, providers } = await startWith(2);
    const job = await rig.submit(STEPPING);
    const first = await attemptNumber(rig, providers, 1);
    await first.provider.checkpoint(first.attempt, 10);
    await isHeld(rig, job, first.attempt.lease.id, 10);
    await first.provider.checkpoint(first.attempt, 11);
    const second = await attemptNumber(rig, providers, 2);
    expect(second.attempt.lease.value.resume).toBeUndefined();
  });

  it('from one point twice with the executors failing makes the next use an older point', async () => {
    const { rig, providers } = await startWith(5);
    const job = await rig.submit({ ...STEPPING, retries: 5 });
    const first = await attemptNumber(rig, providers, 1);
    for (const step of [10, 20]) {
      await first.provider.checkpoint(first.attempt, step);
      await isHeld(rig, job, first.attempt.lease.id, step);
    }
    await first.provider.fail(first.attempt, 'EXECUTOR_CRASHED');
    const steps: (number | undefined)[] = [];
    for (let number = 2; number <= 4; number += 1) {
      const { attempt, provider } = await attemptNumber(rig, providers, number);
      steps.push(attempt.lease.value.resume?.step);
      await provider.fail(attempt, 'EXECUTOR_UNAVAILABLE');
    }
    expect(steps).toEqual([20, 20, 10]);
  });

  it('goes on after three in a line, each from where the one before came to', async () => {
    const { rig, providers } = await startWith(4);
    const job = await rig.submit(STEPPING);
    for (let number = 1; number <= 3; number += 1) {
      const { attempt, provider } = await attemptNumber(rig, providers, number);
      expect(attempt.lease.value.resume?.step).toBe(number === 1 ? undefined : (number - 1) * 10);
      await provider.checkpoint(attempt, number * 10);
      await isHeld(rig, job, attempt.lease.id, number * 10);
      await provider.fail(attempt, 'EXECUTOR_CRASHED');
    }
    const { attempt, provider } = await attemptNumber(rig, providers, 4);
    await provider.finish(attempt);
    await rig.end(job);
    const inherited = (await rig.requester.evidence(job)).attempts[0]?.inherited ?? [];
    expect(inherited.map(({ checkpoints }) => checkpoints.length)).toEqual([2, 2, 2]);
    const leases = listAttempts(providers).map(({ lease }) => lease.wire);
    expect(inherited.map(({ lease }) => lease)).toEqual(leases.slice(0, 3));
  });

  it('of one replica is never gone on from by another', async () => {
    const { rig, providers } = await startWith(5);
    const job = await rig.submitReplicas(3, 2, STEPPING);
    await until(() => listAttempts(providers).length === 3);
    const first = listAttempts(providers).find(({ lease }) => lease.value.replica === 0);
    if (first === undefined) throw new Error('no replica 0');
    const runner = runnerOf(providers, first);
    await runner.checkpoint(first, 10);
    await isHeld(rig, job, first.lease.id, 10);
    const second = listAttempts(providers).find(({ lease }) => lease.value.replica === 1);
    if (second === undefined) throw new Error('no replica 1');
    await runnerOf(providers, second).fail(second, 'EXECUTOR_CRASHED');
    await attemptNumber(rig, providers, 4);
    const next = listAttempts(providers).find(({ lease }) => lease.value.replica === 1 && lease.value.attempt === 1);
    expect(next?.lease.value.resume).toBeUndefined();
    await runner.fail(first, 'EXECUTOR_CRASHED');
    await attemptNumber(rig, providers, 5);
    const again = listAttempts(providers).find(({ lease }) => lease.value.replica === 0 && lease.value.attempt === 1);
    expect(again?.lease.value.resume?.lease).toBe(first.lease.id);
  });

  it('with a failing fetch holds what comes next', async () => {
    const { rig, providers } = await startWith(1);
    const job = await rig.submit(STEPPING);
    const { attempt, provider } = await attemptNumber(rig, providers, 1);
    rig.snapshots.failures = [new SnapshotError({ code: 'SNAPSHOT_NOT_SERVED', snapshot: 'x', peer: provider.peer })];
    await provider.checkpoint(attempt, 10);
    await until(() => rig.snapshots.requests.length === 1);
    await rig.clock.advance(600);
    await isHeld(rig, job, attempt.lease.id, 10);
    expect(rig.snapshots.requests.map(({ key }) => key.lease)).toEqual([LeaseId(attempt.lease.id), attempt.lease.id]);
  });

  it('and left a snapshot behind that nobody knows of has it released after a restart', async () => {
    const { rig, providers } = await startWith(1);
    const job = await rig.submit(STEPPING);
    const { attempt, provider } = await attemptNumber(rig, providers, 1);
    for (const step of [10, 20]) await provider.checkpoint(attempt, step);
    await isHeld(rig, job, attempt.lease.id, 20);
    const [known] = rig.snapshots.entries.values();
    if (known === undefined) throw new Error('none is held');
    rig.snapshots.entries.set('orphan', { ...known, step: 5 });
    await rig.restart();
    await until(() => rig.snapshots.released.some(({ step }) => step === 5));
  });

  it('is in the evidence with its first checkpoint and as many of the last as there may be', async () => {
    const { rig, providers } = await startWith(2);
    const job = await rig.submit(STEPPING);
    const first = await attemptNumber(rig, providers, 1);
    for (let step = 10; step <= 700; step += 10) {
      await first.provider.checkpoint(first.attempt, step, step === 680 ? 'snapshot' : 'bare');
    }
    await isHeld(rig, job, first.attempt.lease.id, 680);
    await first.provider.fail(first.attempt, 'EXECUTOR_CRASHED');
    const second = await attemptNumber(rig, providers, 2);
    await second.provider.finish(second.attempt);
    await rig.end(job);
    const [inherited] = (await rig.requester.evidence(job)).attempts[0]?.inherited ?? [];
    const opened = await Promise.all((inherited?.checkpoints ?? []).map((wire) => openSigned(CHECKPOINT, wire)));
    expect(opened).toHaveLength(64);
    const indices = opened.map(({ value }) => value.index);
    expect([indices[0], indices[1], indices.at(-1)]).toEqual([0, 6, 68]);
    expect(opened.at(-1)?.value.step).toBe(second.attempt.lease.value.resume?.step);
  });
});
