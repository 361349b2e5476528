import { afterEach, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../../../src/domain/checkpoint.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import { LEASE, type Lease, type ResumePoint } from '../../../../src/domain/lease.ts';
import { signObjects } from '../../../../src/proofs/signed-object.ts';
import { computeStateRoot } from '../../../../src/proofs/state-root.ts';
import {
  createSnapshotPeer,
  EVERY_TEN,
  onlyLease,
  readChain,
  readCheckpoints,
  readReceipt,
  startStepping,
} from '../../../support/provider-checkpoints.ts';
import {
  type AnswerLog,
  type LeasedWork,
  leaseIdOf,
  ProviderRig,
  type TestRequester,
} from '../../../support/provider-rig.ts';
import { stateAt } from '../../../support/provider-steps.ts';
import { Switchboard } from '../../../support/provider-transport.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

function toResumePoint(checkpoint: Checkpoint, holder: PeerKey): ResumePoint {
  const { lease, step, head, stateRoot, snapshot } = checkpoint;
  if (snapshot === null) throw new TypeError('no snapshot');
  return { lease, step, head, stateRoot, snapshot, holder };
}

async function lastSnapshot(log: AnswerLog): Promise<Checkpoint> {
  const last = (await readCheckpoints(log.events)).findLast(({ value }) => value.snapshot !== null);
  if (last === undefined) throw new TypeError('no snapshot');
  return last.value;
}

/** A job that its first provider ran until it failed at step 25; its requester has the snapshot of step 10 or 20. */
async function failFirst({ sealed = false } = {}) {
  const switchboard = new Switchboard();
  const outcome = { kind: 'attempt-failed', code: 'WALL_TIME', detail: 'too slow' } as const;
  const first = await startStepping({ steps: 25, every: 10, outcome }, { switchboard });
  const requester = await first.rig.requester();
  const job = requester.describeJob({ checkpoints: { ...EVERY_TEN, sealed } });
  const jobs = await requester.signJobs(job);
  const work = await requester.prepare(jobs);
  const log = requester.lease(work);
  await log.done;
  const checkpoint = await lastSnapshot(log);
  return { switchboard, first, requester, jobs, work, log, checkpoint };
}

type Scene = Awaited<ReturnType<typeof failFirst>>;

/** Has the snapshot brought to the requester, as it does while the first attempt runs. */
async function bringHome({ requester, first, checkpoint, work }: Scene) {
  const peer = await createSnapshotPeer(requester);
  stack.use(peer.store);
  stack.use(peer.fetcher);
  if (checkpoint.snapshot === null) throw new TypeError();
  await peer.fetcher.fetch({
    peer: first.rig.identity.peer,
    reference: checkpoint.snapshot,
    key: { role: 'holder', lease: leaseIdOf(onlyLease(work)), step: checkpoint.step },
    snapshotKey: null,
    expected: { job: checkpoint.job, step: checkpoint.step },
    keptUntilMs: Number.MAX_SAFE_INTEGER,
  });
  return peer;
}

/** Another provider, asked by the same requester. */
async function startSecond({ switchboard, requester }: Scene, differsFrom = Number.POSITIVE_INFINITY) {
  const second = await startStepping({ steps: 35, every: 10, differsFrom }, { switchboard, seed: 2 });
  return { second, asker: askerOf(requester, second.rig) };
}

/** The same requester, as it speaks to another provider. */
function askerOf(requester: TestRequester, rig: ProviderRig): TestRequester {
  return Object.create(requester, { rig: { value: rig } }) as TestRequester;
}

async function resumeAt(asker: TestRequester, { jobs }: Scene, resume: Partial<Lease>) {
  const work: LeasedWork = await asker.prepare(jobs, { attempt: 1, ...resume });
  const log = asker.lease(work);
  await log.done;
  return { work, log };
}

describe('an attempt that goes on from a snapshot', () => {
  it('fetches it from the requester, and its chain and result are those of an undisturbed run', async () => {
    const scene = await failFirst();
    const { grants } = await bringHome(scene);
    const { second, asker } = await startSecond(scene);
    const resume = toResumePoint(scene.checkpoint, asker.peer);
    using _grant = grants.grant(second.rig.identity.peer, [resume.snapshot.blob]);
    const { work, log } = await resumeAt(asker, scene, { resume });
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(log.kinds.slice(0, 2)).toEqual(['fetching', 'running']);
    expect(await second.runs[0]).toMatchObject({ beganAt: resume.step });
    const chain = await readChain(log, work);
    expect(chain.start).toEqual({ step: resume.step, parent: resume.head, stateRoot: resume.stateRoot });
    const steps = chain.links.map(({ step }) => step);
    expect(steps.at(-1)).toBe(35);
    expect(chain.links.map(({ stateRoot }) => stateRoot)).toEqual(
      steps.map((step) => computeStateRoot(stateAt(step, { isDone: step === 35 }))),
    );
  });

  it('opens a sealed one with the key of its own lease', async () => {
    const scene = await failFirst({ sealed: true });
    const { grants } = await bringHome(scene);
    const { second, asker } = await startSecond(scene);
    const resume = toResumePoint(scene.checkpoint, asker.peer);
    using _grant = grants.grant(second.rig.identity.peer, [resume.snapshot.blob]);
    const { log } = await resumeAt(asker, scene, { resume });
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(await second.runs[0]).toMatchObject({ beganAt: resume.step });
  });

  it('moves nothing if the same provider made it', async () => {
    const scene = await failFirst();
    const { first, checkpoint } = scene;
    const resume = toResumePoint(checkpoint, scene.requester.peer);
    first.rig.executor.behaviour = (await startStepping({ steps: 35, every: 10 })).rig.executor.behaviour;
    const { log, work } = await resumeAt(scene.requester, scene, { resume });
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(log.kinds).not.toContain('fetching');
    const lease = leaseIdOf(onlyLease(work));
    expect(first.rig.snapshots?.list({ role: 'provider', lease })[0]?.step).toBe(checkpoint.step);
  });

  it('fails as INPUT_UNAVAILABLE, naming the holder, if the holder has it not', async () => {
    const scene = await failFirst();
    await bringHome(scene);
    const { second, asker } = await startSecond(scene);
    const resume = toResumePoint(scene.checkpoint, asker.peer);
    const { log } = await resumeAt(asker, scene, { resume });
    const { outcome } = (await readReceipt(log)).result;
    expect(outcome).toMatchObject({ kind: 'attempt-failed', code: 'INPUT_UNAVAILABLE' });
    expect('detail' in outcome ? outcome.detail : '').toContain(asker.peer);
    expect(second.rig.executor.held).toEqual([]);
  });

  it('fails as INPUT_UNAVAILABLE if what the holder gives is damaged', async () => {
    const scene = await failFirst();
    const { grants, disk } = await bringHome(scene);
    const { second, asker } = await startSecond(scene);
    const resume = toResumePoint(scene.checkpoint, asker.peer);
    using _grant = grants.grant(second.rig.identity.peer, [resume.snapshot.blob]);
    const [pack = ''] = disk.names;
    disk.flip(pack, 1_000);
    const { log } = await resumeAt(asker, scene, { resume });
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(second.rig.executor.held).toEqual([]);
  });

  it('does not read the state of another job that lies here', async () => {
    const scene = await failFirst();
    const { requester, first } = scene;
    const stranger = await first.rig.requester(7);
    const other = { ...scene, jobs: await stranger.signJobs(stranger.describeJob({ checkpoints: EVERY_TEN })) };
    const resume = toResumePoint(scene.checkpoint, requester.peer);
    const { log, work } = await resumeAt(stranger, other, { resume: { ...resume, holder: stranger.peer } });
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(first.rig.executor.held).toHaveLength(1);
    expect(first.rig.snapshots?.list({ lease: leaseIdOf(onlyLease(work)) })).toEqual([]);
  });

  it('fails as STATE_MISMATCH if the program is not in the state that its lease names', async () => {
    const scene = await failFirst();
    const { grants } = await bringHome(scene);
    const { second, asker } = await startSecond(scene, 0);
    const resume = toResumePoint(scene.checkpoint, asker.peer);
    using _grant = grants.grant(second.rig.identity.peer, [resume.snapshot.blob]);
    const { log } = await resumeAt(asker, scene, { resume });
    const receipt = await readReceipt(log);
    expect(receipt.result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'STATE_MISMATCH' });
    expect(receipt.checkpointRoot).toBeNull();
    expect(log.kinds).not.toContain('checkpoint');
  });

  it('is refused a state root other than that of the snapshot', async () => {
    const scene = await failFirst();
    const { grants } = await bringHome(scene);
    const { second, asker } = await startSecond(scene);
    const resume = { ...toResumePoint(scene.checkpoint, asker.peer), stateRoot: new Uint8Array(32) };
    using _grant = grants.grant(second.rig.identity.peer, [resume.snapshot.blob]);
    const { log } = await resumeAt(asker, scene, { resume });
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(second.rig.executor.held).toEqual([]);
  });
});

function withoutHolder(lease: Lease): Lease {
  const { snapshotHolder, ...rest } = lease;
  if (snapshotHolder === undefined) throw new TypeError('it names none');
  return rest;
}

describe('a lease about checkpoints', () => {
  const other = { ...EVERY_TEN, sealed: true };

  it.each<[string, (lease: Lease, scene: Scene) => Lease]>([
    [
      'names another holder than its job',
      (lease, { first }) => ({ ...lease, snapshotHolder: first.rig.identity.peer }),
    ],
    ['names no holder', withoutHolder],
    ['says that snapshots are sealed and its job does not', (lease) => ({ ...lease, snapshotsSealed: true })],
    [
      'names a snapshot that is larger than any',
      (lease, { checkpoint, requester }) => {
        const resume = toResumePoint(checkpoint, requester.peer);
        return { ...lease, resume: { ...resume, snapshot: { ...resume.snapshot, sizeBytes: 2 ** 40 } } };
      },
    ],
  ])('that %s is refused', async (_, change) => {
    const scene = await failFirst();
    const { requester, jobs } = scene;
    const work = await requester.prepare(jobs);
    const leases = await signObjects(LEASE, [change(onlyLease(work).value, scene)], requester.identity);
    const log = requester.lease({ ...work, leases });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('that does not say that snapshots are sealed, as its job does, is refused', async () => {
    const { requester } = await failFirst();
    const jobs = await requester.signJobs(requester.describeJob({ checkpoints: other }));
    const work = await requester.prepare(jobs);
    const { snapshotsSealed, ...open } = onlyLease(work).value;
    expect(snapshotsSealed).toBe(true);
    const log = requester.lease({ ...work, leases: await signObjects(LEASE, [open], requester.identity) });
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('names no holder and resumes nothing where the job makes none', async () => {
    const scene = await failFirst();
    const { requester, checkpoint } = scene;
    const jobs = await requester.signJobs(requester.describeJob());
    const resume = toResumePoint(checkpoint, requester.peer);
    for (const change of [{ snapshotHolder: requester.peer }, { resume }]) {
      const log = requester.lease(await requester.prepare(jobs, change));
      await log.done;
      expect(log.refusal).toBe('LEASE_MISMATCH');
    }
  });

  it('resumes nothing in a batch', async () => {
    const scene = await failFirst();
    const { requester, checkpoint } = scene;
    const jobs = await requester.signJobs(
      requester.describeJob({ checkpoints: EVERY_TEN }),
      requester.describeJob({ checkpoints: EVERY_TEN }),
    );
    const resume = toResumePoint(checkpoint, requester.peer);
    const log = requester.lease(await requester.prepare(jobs, { resume }));
    await log.done;
    expect(log.refusal).toBe('LEASE_MISMATCH');
  });

  it('needs no key in a batch, which seals nothing', async () => {
    const { requester, first } = await failFirst();
    const job = { checkpoints: other };
    const jobs = await requester.signJobs(requester.describeJob(job), requester.describeJob(job));
    const work = await requester.prepare(jobs);
    const { snapshotKeys: _, ...request } = requester.leaseRequest(work) as never as { snapshotKeys: unknown };
    const log = requester.send(request as never);
    await log.done;
    expect(log.find('leased')).toBeDefined();
    expect(first.rig.snapshots?.list({ role: 'provider', lease: leaseIdOf(onlyLease(work)) })).toEqual([]);
  });
});
