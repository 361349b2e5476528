import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../../src/domain/checkpoint.ts';
import { type BlobId, LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import type { CheckpointSchedule } from '../../../src/domain/job.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { CheckpointStore } from '../../../src/scheduler/checkpoint-store.ts';
import type { JobDraft, JobEvent } from '../../../src/scheduler/interface.ts';
import { SnapshotError } from '../../../src/scheduler/snapshots/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { until } from '../../support/manual-clock.ts';
import { RequesterRig } from '../../support/requester-rig.ts';
import { describeSnapshot, stateRootAt } from '../../support/scripted-chain-links.ts';
import type { Script } from '../../support/scripted-provider.ts';

const EVERY_TEN: CheckpointSchedule = { kind: 'steps', every: 10 };

function stepping(schedule: CheckpointSchedule = EVERY_TEN, change: Partial<JobDraft> = {}): Partial<JobDraft> {
  return {
    checkpoints: { schedule, holder: null, sealed: false },
    resources: { memoryBytes: 65_536, fuel: 100_000, wallTimeMs: 60_000, outputBytes: 10_000, logBytes: 10_000 },
    ...change,
  };
}

/** A job that one provider runs and the test drives. */
async function runOne(script: Script = {}, change: Partial<JobDraft> = {}) {
  const rig = await RequesterRig.start();
  const provider = await rig.addProvider({ holds: true, ...script });
  const job = await rig.submit({ ...stepping(), ...change });
  await rig.leased(provider);
  return { rig, provider, job, attempt: provider.only };
}

type Running = Awaited<ReturnType<typeof runOne>>;

const attemptOf = async ({ rig, job }: Running) => (await rig.requester.show(job)).attempts[0];
const failed = (running: Running) => eventually(async () => (await attemptOf(running))?.state === 'failed');
const stepsOf = async ({ rig, job }: Running) => (await rig.requester.checkpoints(job)).map(({ step }) => step);

async function collectEvents({ rig, job }: Running): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  const options = { follow: false, signal: AbortSignal.timeout(5_000) };
  for await (const event of rig.requester.events(job, options)) events.push(event);
  return events;
}

describe('checkpoints of an attempt', () => {
  it('are verified, kept, shown and told', async () => {
    const running = await runOne();
    const { rig, provider, attempt, job } = running;
    await provider.checkpoint(attempt, 10);
    await provider.checkpoint(attempt, 20, 'bare');
    await eventually(async () => (await attemptOf(running))?.checkpoint?.heldStep === 10);
    expect((await attemptOf(running))?.checkpoint).toMatchObject({ step: 20, heldStep: 10 });
    const views = await rig.requester.checkpoints(job);
    expect(views.map(({ step, snapshot }) => [step, snapshot])).toEqual([
      [0, 'none'],
      [10, 'held'],
      [20, 'none'],
    ]);
    expect(views[1]).toMatchObject({ stateRoot: encodeHex(stateRootAt(10)), provider: provider.peer, replica: 0 });
    const told = (await collectEvents(running)).filter((event) => event.kind === 'checkpoint');
    expect(told.map(({ step, snapshot }) => [step, snapshot])).toEqual([
      [0, 'none'],
      [10, 'held'],
      [20, 'none'],
    ]);
    await provider.finish(attempt);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    expect(await stepsOf(running)).toEqual([0, 10, 20]);
  });

  it('ask for the newest snapshot first, one at a time, and leave out those that were overtaken', async () => {
    const { rig, provider, attempt, job } = await runOne();
    rig.snapshots.isHeldUp = true;
    for (const step of [10, 20, 30]) await provider.checkpoint(attempt, step);
    await eventually(async () => (await rig.requester.checkpoints(job)).length === 4);
    expect(rig.snapshots.requests.map(({ key }) => key.step)).toEqual([10]);
    rig.snapshots.letGo();
    await until(() => rig.snapshots.requests.length === 2);
    expect(rig.snapshots.requests[1]).toMatchObject({
      peer: provider.peer,
      key: { role: 'holder', lease: attempt.lease.id, step: 30 },
      expected: { job, step: 30, stateRoot: stateRootAt(30), sealed: false },
      reference: describeSnapshot(attempt.lease, 30),
    });
  });

  it('leave the newest two snapshots held, and keep those for the challenge window', async () => {
    const { rig, provider, attempt, job } = await runOne();
    for (const step of [10, 20, 30]) {
      await provider.checkpoint(attempt, step);
      await eventually(async () => (await rig.requester.show(job)).attempts[0]?.checkpoint?.heldStep === step);
    }
    expect(rig.snapshots.steps).toEqual([20, 30]);
    expect(rig.snapshots.released).toEqual([{ role: 'holder', lease: attempt.lease.id, step: 10 }]);
    await provider.finish(attempt);
    await rig.end(job);
    await until(() => [...rig.snapshots.entries.values()].every(({ keptUntilMs }) => keptUntilMs < 9e12));
    const kept = [...rig.snapshots.entries.values()].map(({ keptUntilMs }) => keptUntilMs);
    expect(kept).toEqual([rig.clock.nowMs() + 3_600_000, rig.clock.nowMs() + 3_600_000]);
  });

  it('count as held once another holder that the job names has their snapshots', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const holder = (await rig.addProvider({ refuseOffer: () => ({ code: 'DRAINING', detail: '' }) })).peer;
    const job = await rig.submit(stepping(EVERY_TEN, { checkpoints: { schedule: EVERY_TEN, holder, sealed: false } }));
    await rig.leased(provider);
    expect(provider.only.lease.value.snapshotHolder).toBe(holder);
    await provider.checkpoint(provider.only, 10);
    provider.emit(provider.only, { kind: 'held', index: 1 });
    await eventually(async () => (await rig.requester.show(job)).attempts[0]?.checkpoint?.heldStep === 10);
    expect(rig.snapshots.requests).toEqual([]);
  });

  it('may come again, and may leave out some after a long absence', async () => {
    const running = await runOne();
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    const again = attempt.events.map(({ event }) => event);
    for (const event of again) provider.emit(attempt, event);
    attempt.chain?.add(20, rig.clock.nowMs());
    await provider.checkpoint(attempt, 30);
    await eventually(async () => (await stepsOf(running)).includes(30));
    await provider.finish(attempt);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
  });

  it('of a lease that is sealed come with a key that nobody is shown', async () => {
    const sealed = { schedule: EVERY_TEN, holder: null, sealed: true };
    const { rig, provider, attempt, job } = await runOne({}, { checkpoints: sealed });
    const key = provider.snapshotKeys.get(LeaseId(attempt.lease.id));
    expect(key?.length).toBe(32);
    await provider.checkpoint(attempt, 10);
    await until(() => rig.snapshots.requests.length > 0);
    expect(rig.snapshots.requests[0]).toMatchObject({ snapshotKey: key, expected: { sealed: true } });
    const shown = JSON.stringify([await rig.requester.show(job), await rig.requester.explain(job)]);
    expect(shown).not.toContain(encodeHex(key ?? new Uint8Array()));
    const restarted = await rig.restart();
    await restarted.leased(provider);
    await provider.fail(attempt, 'EXECUTOR_CRASHED');
    await until(() => provider.attempts.size === 2);
    expect(new Set([...provider.snapshotKeys.values()].map(encodeHex)).size).toBe(1);
  });

  it('of a lease that is not sealed come without a key', async () => {
    const { provider, rig } = await runOne();
    expect(provider.snapshotKeys.size).toBe(0);
    expect(provider.only.lease.value.snapshotHolder).toBe(rig.identity.peer);
  });
});

describe('what a lying provider signs as a checkpoint ends its attempt', () => {
  const stranger = new Uint8Array(32).fill(1);
  const lies: readonly (readonly [string, (honest: Checkpoint) => Checkpoint])[] = [
    ['another job', (honest) => ({ ...honest, job: honest.lease as string as Checkpoint['job'] })],
    ['another lease', (honest) => ({ ...honest, lease: honest.job as string as Checkpoint['lease'] })],
    ['a head that is not its hash', (honest) => ({ ...honest, head: stranger })],
    ['another state than its head', (honest) => ({ ...honest, stateRoot: stranger })],
    ['a link before it that was never there', (honest) => ({ ...honest, previous: stranger })],
    ['a time in the future', (honest) => ({ ...honest, atMs: UnixMs(honest.atMs + 3_600_000) })],
    ['fuel over the limit', (honest) => ({ ...honest, fuel: 100_001 })],
    [
      'a snapshot of any size',
      (honest) => ({ ...honest, snapshot: honest.snapshot && { ...honest.snapshot, sizeBytes: 2 ** 40 } }),
    ],
  ];
  it.each(lies)('%s', async (_, checkpoint) => {
    const running = await runOne({ checkpoint });
    await running.provider.checkpoint(running.attempt, 10);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: /);
    expect(running.rig.metrics.read('fogproof_requester_peer_faults_total', { code: 'CHECKPOINT_INVALID' })).toBe(1);
    expect(running.rig.snapshots.requests).toEqual([]);
  });

  it.each<[string, CheckpointSchedule, number]>([
    ['a step off the schedule', EVERY_TEN, 11],
    ['a step that leaves one out', EVERY_TEN, 20],
    ['too little fuel', { kind: 'fuel', every: 1_000_000 }, 50],
    ['a round before its time', { kind: 'rounds', every: 5 }, 4],
  ])('%s', async (_, schedule, step) => {
    const running = await runOne({}, stepping(schedule));
    await running.provider.checkpoint(running.attempt, step);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: .*no checkpoint of the job/);
  });

  it('another key', async () => {
    const running = await runOne({ forge: ['fogproof/checkpoint@1'] });
    await running.provider.checkpoint(running.attempt, 10);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: /);
  });

  it('steps that go back', async () => {
    const running = await runOne();
    const { provider, attempt } = running;
    await provider.checkpoint(attempt, 10);
    await provider.checkpoint(attempt, 10);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: /);
  });

  it.each([
    ['long before its lease', -3_600_000],
    ['in the future', 3_600_000],
  ])('a time %s, under a head that is right', async (_, shiftMs) => {
    const running = await runOne();
    const { provider, attempt, rig } = running;
    attempt.chain?.add(10, rig.clock.nowMs() + shiftMs);
    const lie = attempt.chain?.describeLast('bare');
    if (lie === undefined) throw new Error('no link');
    await provider.tellCheckpoint(attempt, lie);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: it was made/);
  });

  it('fuel that goes back', async () => {
    const running = await runOne({
      checkpoint: (honest) => ({ ...honest, fuel: honest.step === 20 ? 5 : honest.fuel }),
    });
    for (const step of [10, 20]) await running.provider.checkpoint(running.attempt, step);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: its fuel 5 is below/);
  });

  it('another fuel than that of the state it went on from', async () => {
    const running = await runOne();
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    await eventually(async () => (await attemptOf(running))?.checkpoint?.heldStep === 10);
    await provider.fail(attempt, 'EXECUTOR_CRASHED');
    await rig.clock.advance(1_000);
    const next = [...provider.attempts.values()].at(-1);
    const start = next?.chain?.describeStart(rig.clock.nowMs());
    if (next === undefined || start === undefined) throw new Error('nobody went on');
    await provider.tellCheckpoint(next, { ...start, fuel: 99 });
    await eventually(async () => (await rig.requester.show(job)).attempts[1]?.state === 'failed');
    expect((await rig.requester.show(job)).attempts[1]?.reason).toMatch(
      /^CHECKPOINT_INVALID: it goes on with 99 units/,
    );
  });

  it('a checkpoint of another lease, which convicts nobody', async () => {
    const running = await runOne();
    const { provider, attempt } = running;
    await provider.checkpoint(attempt, 10);
    const [other] = attempt.chain === undefined ? [] : [attempt.chain.describeLast('bare')];
    if (other === undefined) throw new Error('no link');
    const head = new Uint8Array(32).fill(9);
    await provider.tellCheckpoint(attempt, { ...other, head, lease: attempt.job.id as string as Checkpoint['lease'] });
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_INVALID: it is for another lease/);
  });

  it('checkpoints of a job that makes none', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit();
    await rig.leased(provider);
    const other = await runOne();
    await other.provider.checkpoint(other.attempt, 10);
    for (const { event } of other.attempt.events) provider.emit(provider.only, event);
    await eventually(async () => (await rig.requester.show(job)).attempts[0]?.state === 'failed');
    expect((await rig.requester.show(job)).attempts[0]?.reason).toMatch(/^CHECKPOINT_INVALID: /);
  });

  it('two different links at one place: both are kept', async () => {
    const running = await runOne();
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    await eventually(async () => (await stepsOf(running)).includes(10));
    const [first] = attempt.chain?.links ?? [];
    await rig.clock.advance(5);
    attempt.chain?.links.pop();
    attempt.chain?.add(10, rig.clock.nowMs());
    const second = attempt.chain?.describeLast('bare');
    if (second === undefined || first === undefined) throw new Error('no links');
    await provider.tellCheckpoint(attempt, second);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^CHECKPOINT_EQUIVOCATION: /);
    const store = new CheckpointStore(rig);
    const lease = LeaseId(attempt.lease.id);
    expect((await store.find(job, lease, 1))?.value.head).toEqual(first.head);
    expect((await store.findConflict(job, lease))?.value.head).toEqual(second.head);
  });

  it('a snapshot that is not the state it signed', async () => {
    const running = await runOne();
    running.rig.snapshots.failures = [new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: 'another state' })];
    await running.provider.checkpoint(running.attempt, 10);
    await failed(running);
    expect((await attemptOf(running))?.reason).toMatch(/^SNAPSHOT_INVALID: /);
  });
});

describe('the chain of a result', () => {
  const refused: readonly (readonly [string, Script])[] = [
    [
      'is not the one that the receipt signs',
      { chain: (bytes) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)) },
    ],
    ['is not there', { handsOutChain: 'never' }],
    ['ends with another state than the result', { result: { steps: 99 } }],
    ['ends with other metrics than the result', { result: { metricsHash: new Uint8Array(32) } }],
  ];
  it.each(refused)('%s: it does not count', async (_, script) => {
    const running = await runOne({ ...script }, { retries: 0 });
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    await provider.finish(attempt);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED' } });
    expect(view.attempts[0]?.reason).toMatch(/^CHECKPOINT_CHAIN_(INVALID|UNAVAILABLE): /);
  });

  it('has to begin with what was told while it ran', async () => {
    const running = await runOne({}, { retries: 0 });
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    await eventually(async () => (await stepsOf(running)).includes(10));
    await rig.clock.advance(5);
    attempt.chain?.links.pop();
    attempt.chain?.add(10, rig.clock.nowMs());
    await provider.finish(attempt);
    expect((await rig.end(job)).attempts[0]?.reason).toMatch(/^CHECKPOINT_CHAIN_INVALID: .*told while it ran/);
  });

  it('has to hold what was told before a gap', async () => {
    const running = await runOne({}, { retries: 0 });
    const { provider, attempt, rig, job } = running;
    await provider.checkpoint(attempt, 10);
    await eventually(async () => (await stepsOf(running)).includes(10));
    await rig.clock.advance(5);
    attempt.chain?.links.pop();
    for (const step of [10, 20]) attempt.chain?.add(step, rig.clock.nowMs());
    await provider.checkpoint(attempt, 30);
    await eventually(async () => (await stepsOf(running)).includes(30));
    await provider.finish(attempt);
    expect((await rig.end(job)).attempts[0]?.reason).toMatch(/^CHECKPOINT_CHAIN_INVALID: .*told while it ran/);
  });

  it('has to keep to the schedule where nothing was told', async () => {
    const running = await runOne({}, { retries: 0 });
    const { provider, attempt, rig, job } = running;
    attempt.chain?.add(7, rig.clock.nowMs());
    await provider.finish(attempt);
    expect((await rig.end(job)).attempts[0]?.reason).toMatch(/^CHECKPOINT_CHAIN_INVALID: .*steps that the job names/);
  });

  const trapped: Script['result'] = { outcome: { kind: 'program-failed', code: 'TRAP', detail: '' }, outputs: [] };
  const blob = 'bafkreih3juopcpi6qtk6o4alqstrypw27vxn3irtxglpsfqmaf4lfcyfly' as BlobId;
  it.each<[string, Script, Partial<JobDraft>, string]>([
    ['neither root nor chain, of a program that completed', { forgetsChain: true }, stepping(), 'BAD_RESULT'],
    ['a chain without its root', { receipt: { checkpointRoot: null }, result: trapped }, stepping(), 'BAD_RECEIPT'],
    [
      'a chain, of a job that makes no checkpoints',
      {
        receipt: { checkpointRoot: new Uint8Array(32), checkpointChain: { blob, sizeBytes: 9, links: 1 } },
        handsOutChain: 'never',
      },
      {},
      'BAD_RECEIPT',
    ],
  ])('is refused where a receipt names %s', async (_, script, change, code) => {
    const rig = await RequesterRig.start();
    await rig.addProvider(script);
    const job = await rig.submit({ retries: 0, ...change });
    expect((await rig.end(job)).attempts[0]?.reason).toContain(`${code}: `);
  });

  it('need not be there where the program failed before its start', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider({ forgetsChain: true, result: trapped });
    const job = await rig.submit({ ...stepping(), retries: 0 });
    expect(await rig.end(job)).toMatchObject({ state: 'failed', failure: { code: 'JOB_PROGRAM_TRAP' } });
  });

  it('may be fetched, and of a job without checkpoints may not be there', async () => {
    const fetched = await runOne({ handsOutChain: 'by-blob' });
    await fetched.provider.finish(fetched.attempt);
    expect(await fetched.rig.end(fetched.job)).toMatchObject({ state: 'completed' });
    const rig = await RequesterRig.start();
    await rig.addProvider({ receipt: { checkpointRoot: new Uint8Array(32) } });
    const job = await rig.submit({ retries: 0 });
    expect((await rig.end(job)).attempts[0]?.reason).toMatch(/^BAD_RECEIPT: /);
  });

  it('of one of several replicas that is false takes its vote away', async () => {
    const rig = await RequesterRig.start();
    const providers = [
      await rig.addProvider(),
      await rig.addProvider(),
      await rig.addProvider({ chain: (bytes) => bytes.slice(1) }),
    ];
    const job = await rig.submitReplicas(3, 2, stepping());
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    const bad = view.attempts.find(({ provider }) => provider === providers[2]?.peer);
    expect(bad?.reason).toMatch(/^CHECKPOINT_CHAIN_INVALID: /);
    expect(view.result?.agreeing).not.toContain(bad?.lease);
  });

  it('of a batch is checked too', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    const draft = await rig.draft(stepping());
    const honest = await rig.requester.submitMany([draft, draft]);
    for (const job of honest) expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    const liar = await RequesterRig.start();
    await liar.addProvider({ chain: (bytes) => bytes.slice(1) });
    const jobs = await liar.requester.submitMany([
      await liar.draft(stepping(EVERY_TEN, { retries: 0 })),
      await liar.draft(stepping(EVERY_TEN, { retries: 0 })),
    ]);
    for (const job of jobs) {
      expect((await liar.end(job)).attempts[0]?.reason).toMatch(/^CHECKPOINT_CHAIN_INVALID: /);
    }
  });
});
