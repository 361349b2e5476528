import { describe, expect, it } from 'vitest';
import type { LeaseId } from '../../../src/domain/ids.ts';
import type { JobDraft, JobEvent, JobState, JobView } from '../../../src/scheduler/interface.ts';
import { type BothSides, describeDraft, startBothSides, waitForEnd } from '../../support/both-sides.ts';
import type { HeldExecution } from '../../support/provider-executor.ts';
import type { ProviderRig } from '../../support/provider-rig.ts';
import { runSteps, type StepPlan, type StepRun } from '../../support/provider-steps.ts';

const STEPS = 40;
/** Lets everything else run between two steps, so that a pause comes in the middle. */
const UNHURRIED = { steps: 300, before: () => new Promise<void>((resolve) => setImmediate(resolve)) };

function stepping(replicas = 1, change: Partial<NonNullable<JobDraft['checkpoints']>> = {}): JobDraft {
  const schedule = { kind: 'steps', every: 10 } as const;
  const draft = describeDraft(replicas);
  const resources = { ...draft.resources, fuel: 100_000 };
  return { ...draft, resources, checkpoints: { schedule, holder: null, sealed: false, ...change } };
}

/** A gate in front of a step, which the test opens. */
class Gate {
  readonly #step: number;
  readonly #opened = Promise.withResolvers<void>();
  readonly reached = Promise.withResolvers<void>();

  constructor(step: number) {
    this.#step = step;
  }

  readonly before = async (step: number): Promise<void> => {
    if (step !== this.#step) return;
    this.reached.resolve();
    await this.#opened.promise;
  };

  open(): void {
    this.#opened.resolve();
  }
}

/** Runs the same program on a provider, as often as it is asked to. */
function plan(rig: ProviderRig, change: Partial<StepPlan> = {}): Promise<StepRun>[] {
  const runs: Promise<StepRun>[] = [];
  rig.executor.behaviour = (execution: HeldExecution) => {
    runs.push(runSteps(execution, { steps: STEPS, every: 10, ...change }));
  };
  return runs;
}

/** Follows until the job is in a state, or an attempt of it is. */
async function until(
  { requester }: BothSides,
  job: JobView['job'],
  holds: (event: JobEvent) => boolean,
): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  for await (const event of requester.events(job, { follow: true, signal })) if (holds(event)) return;
  throw new Error('it never held');
}

const inState = (state: JobState) => (event: JobEvent) => event.kind === 'state' && event.state === state;
const heldAt = (step: number, lease: LeaseId) => (event: JobEvent) =>
  event.kind === 'checkpoint' && event.step === step && event.snapshot === 'held' && event.lease === lease;

/** Waits until a snapshot is held; gives the step. Not every checkpoint has one: making them may take little time only. */
async function anyHeld(sides: BothSides, job: JobView['job']): Promise<number> {
  await until(sides, job, (event) => event.kind === 'checkpoint' && event.snapshot === 'held');
  const steps = (await sides.requester.show(job)).attempts.flatMap(({ checkpoint }) => checkpoint?.heldStep ?? []);
  return Math.max(...steps);
}

/** Pauses it and waits for the snapshots that its attempts stopped with; gives their steps. */
async function pause(sides: BothSides, job: JobView['job']): Promise<number[]> {
  await sides.requester.pause(job);
  await until(sides, job, inState('paused'));
  const { attempts } = await sides.requester.show(job);
  for (const { lease, checkpoint } of attempts) {
    if (checkpoint !== undefined) await until(sides, job, heldAt(checkpoint.step, lease));
  }
  return attempts.flatMap(({ checkpoint }) => checkpoint?.step ?? []);
}

async function rootsOf({ requester }: BothSides, job: JobView['job']): Promise<Map<number, Set<string>>> {
  const roots = new Map<number, Set<string>>();
  for (const { step, stateRoot } of await requester.checkpoints(job)) {
    roots.set(step, (roots.get(step) ?? new Set()).add(stateRoot));
  }
  return roots;
}

describe('a stepping job between a requester and providers', () => {
  it('is paused at a checkpoint and goes on from its snapshot', async () => {
    await using sides = await startBothSides(1);
    const [rig] = sides.rigs as [ProviderRig];
    const runs = plan(rig, UNHURRIED);
    const { job } = await sides.requester.submit(stepping());
    await anyHeld(sides, job);
    const [step] = await pause(sides, job);
    expect(sides.snapshots.usage().snapshots).toBeGreaterThan(0);
    await sides.requester.resume(job);
    const view = await waitForEnd(sides, job);
    expect(view).toMatchObject({ state: 'completed', result: { steps: UNHURRIED.steps } });
    expect(view.attempts.map(({ state }) => state)).toEqual(['paused', 'revealed']);
    expect(view.attempts[1]?.resumedFrom).toEqual({ lease: view.attempts[0]?.lease, step });
    expect((await Promise.all(runs)).map(({ beganAt }) => beganAt)).toEqual([0, step]);
    for (const roots of (await rootsOf(sides, job)).values()) expect(roots.size).toBe(1);
  });

  it('moves on when its provider fails, from the newest snapshot held', async () => {
    await using sides = await startBothSides(2);
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'gone' } as const;
    const gates = sides.rigs.map((rig) => {
      const gate = new Gate(35);
      void plan(rig, { before: gate.before, steps: 35, outcome });
      return gate;
    });
    const { job } = await sides.requester.submit(stepping());
    await Promise.race(gates.map(({ reached }) => reached.promise));
    await anyHeld(sides, job);
    const runs = sides.rigs.map((rig) => plan(rig));
    for (const gate of gates) gate.open();
    const view = await waitForEnd(sides, job);
    expect(view).toMatchObject({ state: 'completed', result: { steps: STEPS } });
    const from = view.attempts[0]?.checkpoint?.heldStep;
    expect(from).toBeGreaterThanOrEqual(10);
    expect(view.attempts[1]?.resumedFrom).toEqual({ lease: view.attempts[0]?.lease, step: from });
    expect(view.attempts[0]?.provider).not.toBe(view.attempts[1]?.provider);
    expect((await Promise.all(runs.flat())).map(({ beganAt }) => beganAt)).toEqual([from]);
    const [attempt] = (await sides.requester.evidence(job)).attempts;
    expect(attempt?.inherited).toHaveLength(1);
  });

  it('goes on from sealed snapshots', async () => {
    await using sides = await startBothSides(1);
    const [rig] = sides.rigs as [ProviderRig];
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: 'gone' } as const;
    const gate = new Gate(25);
    void plan(rig, { before: gate.before, steps: 25, outcome });
    const { job } = await sides.requester.submit(stepping(1, { sealed: true }));
    await gate.reached.promise;
    await anyHeld(sides, job);
    const runs = plan(rig);
    gate.open();
    const view = await waitForEnd(sides, job);
    expect(view).toMatchObject({ state: 'completed', result: { steps: STEPS } });
    expect((await Promise.all(runs)).map(({ beganAt }) => beganAt)).toEqual([view.attempts[1]?.resumedFrom?.step]);
    expect(view.attempts[1]?.resumedFrom?.step).toBeGreaterThanOrEqual(10);
  });

  it('agrees over three replicas, each paused and gone on by itself', async () => {
    await using sides = await startBothSides(3);
    for (const rig of sides.rigs) void plan(rig, UNHURRIED);
    const { job } = await sides.requester.submit(stepping(3));
    await anyHeld(sides, job);
    await pause(sides, job);
    await sides.requester.resume(job);
    const view = await waitForEnd(sides, job);
    expect(view.state).toBe('completed');
    expect(view.result?.agreeing).toHaveLength(3);
    for (const attempt of view.attempts.slice(3)) {
      const before = view.attempts.find(({ lease }) => lease === attempt.resumedFrom?.lease);
      expect(before).toMatchObject({ replica: attempt.replica, provider: attempt.provider, state: 'paused' });
    }
    for (const roots of (await rootsOf(sides, job)).values()) expect(roots.size).toBe(1);
  });

  it('in a batch gives results with their chains', async () => {
    await using sides = await startBothSides(1);
    const [rig] = sides.rigs as [ProviderRig];
    void plan(rig);
    const jobs = await sides.requester.submitMany(Array.from({ length: 20 }, () => stepping()));
    for (const job of jobs) expect(await waitForEnd(sides, job)).toMatchObject({ state: 'completed' });
  });
});
