import { afterAll, describe, expect, it } from 'vitest';
import { CHECKPOINT, type Checkpoint } from '../../../../src/domain/checkpoint.ts';
import { LEASE, type Lease } from '../../../../src/domain/lease.ts';
import type { JobResponse } from '../../../../src/domain/messages.ts';
import { decodeObject } from '../../../../src/domain/object-type.ts';
import type { Signed } from '../../../../src/domain/signed.ts';
import { SNAPSHOT, type Snapshot } from '../../../../src/domain/snapshot.ts';
import { openSigned, signObject } from '../../../../src/proofs/signed-object.ts';
import type { HoldOptions } from '../../../../src/scheduler/provider/options.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import { MemoryDisk } from '../../../support/memory-disk.ts';
import {
  EVERY_TEN,
  onlyJob,
  onlyLease,
  readCheckpoints,
  readReceipt,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import {
  HOLD,
  type HolderSceneOptions,
  leaseOf,
  listHeldSteps,
  type HolderScene as Scene,
  startWithHolder,
  stopWith,
} from '../../../support/provider-holder.ts';
import {
  type AnswerLog,
  identityOf,
  type LeasedWork,
  leaseIdOf,
  ProviderRig,
  type TestRequester,
} from '../../../support/provider-rig.ts';
import { runSteps } from '../../../support/provider-steps.ts';

const SHARE_ALL = { ...JOB_PROVIDER_DEFAULTS.snapshots, share: 1 };
const KEPT = { keptUntilMs: Number.MAX_SAFE_INTEGER };

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const stopLater = (rig: ProviderRig): ProviderRig => stopWith(stack, rig);
const start = (options: HolderSceneOptions = {}): Promise<Scene> => startWithHolder(stack, options);

async function run(scene: Pick<Scene, 'requester' | 'jobs'>) {
  const leased = await leaseOf(scene);
  await leased.log.done;
  return leased;
}

async function newestSnapshot(log: AnswerLog): Promise<Signed<Checkpoint>> {
  const last = (await readCheckpoints(log.events)).findLast(({ value }) => value.snapshot !== null);
  if (last === undefined) throw new TypeError('no snapshot');
  return last;
}

function codeOf(response: JobResponse): string {
  return response.kind === 'refused' ? response.refusal.code : response.kind;
}

/** A request as the provider of the scene would send it. */
async function ask({ rig, holder }: Scene, request: Parameters<typeof rig.transport.request<'job'>>[2]) {
  return codeOf(await rig.transport.request(holder.identity.peer, 'job', request));
}

describe('a holder that the job names', () => {
  it('is told of snapshots, fetches them, and keeps the newest two', async () => {
    const scene = await start({ plan: { steps: 55 } });
    const { work } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 50);
    expect(listHeldSteps(scene.holder, work).length).toBeLessThanOrEqual(2);
  });

  it('holds sealed snapshots without being able to open them', async () => {
    const scene = await start({ sealed: true });
    const { work } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 20);
  });

  it('is told again until it has the newest, and the program never waits for it', async () => {
    const scene = await start();
    scene.switchboard.join(scene.holder.identity.peer).handle('job', async function* () {
      yield { kind: 'unknown-lease', lease: 'x' as never };
    });
    const { work, log } = await run(scene);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    const asked: Checkpoint[] = [];
    scene.switchboard.join(scene.holder.identity.peer).handle('job', async function* (request) {
      if (request.op === 'hold') asked.push((await openSigned(CHECKPOINT, request.checkpoint)).value);
      yield { kind: 'done' };
    });
    await scene.clock.advance(5_000);
    expect(asked.map(({ step }) => step)).toEqual([20]);
    await scene.clock.advance(60_000);
    expect(asked).toHaveLength(1);
    expect(listHeldSteps(scene.holder, work)).toEqual([]);
  });

  it('is told again after a restart of the provider', async () => {
    const scene = await start();
    const { promise: forever } = Promise.withResolvers<void>();
    const plan = { steps: 25, every: 10, before: (step: number) => (step === 15 ? forever : undefined) };
    scene.rig.executor.behaviour = (execution) => void runSteps(execution, plan);
    const silence = scene.switchboard.join(scene.holder.identity.peer).handle('job', async function* () {
      yield { kind: 'unknown-lease', lease: 'x' as never };
    });
    const work = await scene.requester.prepare(scene.jobs);
    const log = scene.requester.lease(work);
    await until('the first link', () => log.kinds.includes('checkpoint'));
    log.drop();
    silence[Symbol.dispose]();
    const steps: number[] = [];
    scene.switchboard.join(scene.holder.identity.peer).handle('job', async function* (request) {
      if (request.op === 'hold') steps.push((await openSigned(CHECKPOINT, request.checkpoint)).value.step);
      yield { kind: 'done' };
    });
    const { switchboard, clock, rig } = scene;
    const disk = rig.disk?.afterKill() ?? new MemoryDisk();
    const executor = new ScriptedExecutor(undefined, () => undefined);
    const options = { switchboard, clock, disk, executor, database: rig.database.clone(), blobs: rig.blobs };
    stopLater(await ProviderRig.start(options));
    await until('the notice', () => steps.length > 0);
    expect(steps).toEqual([10]);
  });

  it('lets go of them when the deadline and the challenge window have passed', async () => {
    const scene = await start();
    const { work } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 20);
    await scene.clock.advance(3_600_000 + 3_590_000);
    expect(listHeldSteps(scene.holder, work)).not.toEqual([]);
    await scene.clock.advance(60_000);
    expect(listHeldSteps(scene.holder, work)).toEqual([]);
    expect(scene.holder.database.rows('snapshot-duties').size).toBe(0);
  });

  it('knows after a restart what it holds and for whom', async () => {
    const scene = await start();
    const { work, log } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 20);
    await scene.holder.provider.stop();
    const { database, disk = new MemoryDisk(), clock, switchboard } = scene.holder;
    const provider = { snapshots: { ...SHARE_ALL, hold: HOLD } };
    const next = stopLater(await ProviderRig.start({ database, disk, clock, switchboard, seed: 3, provider }));
    expect(listHeldSteps(next, work).at(-1)).toBe(20);
    const claim = await claimFor(scene, { work, log });
    expect(claim).toBe('done');
  });
});

describe('whom a node holds snapshots for', () => {
  it.each<[string, HolderSceneOptions, boolean]>([
    ['anyone, if it says so', { hold: { for: 'anyone' } }, true],
    ['those it trusts', { hold: { for: 'trusted' }, trusted: true }, true],
    ['not for strangers', { hold: { for: 'trusted' } }, false],
    ['nobody, if it says so', { hold: { for: 'nobody' }, trusted: true }, false],
    ['not for those that its list leaves out', { hold: { for: [] }, trusted: true }, false],
    ['up to a share for each', { hold: { maxBytesPerRequester: 65_536 } }, false],
    ['up to a number of bytes in all', { hold: { maxBytes: 65_536 } }, false],
  ])('is %s', async (_, options, isHeld) => {
    const scene = await start(options);
    const { work, log } = await run(scene);
    const request = { op: 'hold', lease: onlyLease(work).wire, checkpoint: (await newestSnapshot(log)).wire } as const;
    if (isHeld) await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 20);
    else {
      expect(await ask(scene, request)).toBe('HOLD_REFUSED');
      expect(listHeldSteps(scene.holder, work)).toEqual([]);
    }
  });

  it.each<[string, Partial<HoldOptions>, number]>([
    ['their own share', { maxBytesPerRequester: 300_000 }, 9],
    ['all of the space', { maxBytes: 300_000 }, 8],
  ])('is nobody whose snapshots take more than %s, each counted in full', async (_, hold, seed) => {
    const scene = await start({ hold, plan: { steps: 35 } });
    const { work } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 30);
    expect(listHeldSteps(scene.holder, work)).toHaveLength(2);
    const other = await scene.rig.requester(seed);
    const checkpoints = { ...EVERY_TEN, holder: scene.holder.identity.peer };
    const jobs = await other.signJobs(other.describeJob({ checkpoints }));
    const second = await run({ ...scene, requester: other, jobs });
    const checkpoint = (await newestSnapshot(second.log)).wire;
    const lease = onlyLease(second.work).wire;
    expect(await ask(scene, { op: 'hold', lease, checkpoint })).toBe('HOLD_REFUSED');
    expect(listHeldSteps(scene.holder, second.work)).toEqual([]);
  });

  it('is nobody by default but those it trusts', () => {
    expect(JOB_PROVIDER_DEFAULTS.snapshots.hold.for).toBe('trusted');
    expect(JOB_PROVIDER_DEFAULTS.trustedRequesters).toEqual([]);
  });
});

describe('a request to hold', () => {
  async function prepare() {
    const scene = await start();
    const { work, log } = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, work).at(-1) === 20);
    return { scene, work, log, lease: onlyLease(work).value, checkpoint: (await newestSnapshot(log)).value };
  }

  type Prepared = Awaited<ReturnType<typeof prepare>>;
  interface Forged {
    readonly lease?: Partial<Lease>;
    readonly leaseSigner?: number;
    readonly checkpoint?: Partial<Checkpoint>;
    readonly checkpointSigner?: number;
  }

  /** Another lease of the same job, and a checkpoint of it, signed by whom a test says: 9 is the requester, 1 the provider. */
  async function forge({ lease, checkpoint, scene }: Prepared, forged: Forged) {
    forgeries += 1;
    const nonce = new Uint8Array(16).fill(forgeries);
    const signer = await identityOf(forged.leaseSigner ?? 9);
    const signed = await signObject(LEASE, { ...lease, nonce, ...forged.lease }, signer);
    const value = { ...checkpoint, lease: leaseIdOf(signed), ...forged.checkpoint };
    const { wire } = await signObject(CHECKPOINT, value, await identityOf(forged.checkpointSigner ?? 1));
    // The provider grants what it made, whatever the lease is called.
    if (value.snapshot !== null) scene.rig.grants.grant(scene.holder.identity.peer, [value.snapshot.blob]);
    return { op: 'hold', lease: signed.wire, checkpoint: wire } as const;
  }

  let forgeries = 0;
  let prepared: Promise<Prepared> | undefined;
  /** Each forged lease is a new one, and what is refused changes nothing: these tests share a scene. */
  const share = (): Promise<Prepared> => {
    prepared ??= prepare();
    return prepared;
  };

  it('that keeps all rules is answered when the snapshot is here', async () => {
    const prepared = await share();
    expect(await ask(prepared.scene, await forge(prepared, {}))).toBe('done');
  });

  it.each<[string, (prepared: Prepared) => Forged | Promise<Forged>]>([
    ['of a lease that its requester did not sign', () => ({ leaseSigner: 8 })],
    ['of a lease on another network', () => ({ lease: { network: 'other' } })],
    [
      'of a lease with another provider than the sender',
      async () => ({
        lease: { provider: (await identityOf(4)).peer },
        checkpoint: { provider: (await identityOf(4)).peer },
        checkpointSigner: 4,
      }),
    ],
    ['of a lease that is over', ({ scene }) => ({ lease: { deadlineMs: scene.clock.nowMs() as never } })],
    ['of a lease that names another holder', ({ scene }) => ({ lease: { snapshotHolder: scene.requester.peer } })],
    ['of a checkpoint that the provider did not sign', () => ({ checkpointSigner: 8 })],
    ['of a checkpoint of another provider', async () => ({ checkpoint: { provider: (await identityOf(4)).peer } })],
    ['of a checkpoint of another lease', ({ work }) => ({ checkpoint: { lease: leaseIdOf(onlyLease(work)) } })],
    [
      'of a checkpoint of another job',
      async ({ scene }) => {
        const { requester } = scene;
        const [other] = await requester.signJobs(requester.describeJob());
        return { checkpoint: { job: other?.id as never } };
      },
    ],
    ['of a checkpoint without a snapshot', () => ({ checkpoint: { snapshot: null } })],
    [
      'of a snapshot that is larger than any',
      ({ checkpoint }) => ({
        checkpoint: { snapshot: checkpoint.snapshot && { ...checkpoint.snapshot, sizeBytes: 2 ** 40 } },
      }),
    ],
  ])('%s is refused', async (_, change) => {
    const prepared = await share();
    const request = await forge(prepared, await change(prepared));
    const before = prepared.scene.holder.snapshots?.list({ role: 'holder' }).length;
    expect(await ask(prepared.scene, request)).toBe('LEASE_MISMATCH');
    expect(prepared.scene.holder.snapshots?.list({ role: 'holder' })).toHaveLength(before ?? -1);
  });

  it('of a state other than the checkpoint says is not held', async () => {
    const prepared = await share();
    const request = await forge(prepared, { checkpoint: { stateRoot: new Uint8Array(32) } });
    expect(await ask(prepared.scene, request)).toBe('HOLD_REFUSED');
  });

  it.each([
    ['that is called sealed, and the lease does not say so', true, {}],
    ['that is not sealed, and the lease says that it is', false, { snapshotsSealed: true as const }],
  ])('of a state %s is not held', async (_, sealed, lease) => {
    const prepared = await share();
    const { rig, holder } = prepared.scene;
    const { job, step } = prepared.checkpoint;
    const lent = { role: 'provider', lease: leaseIdOf(onlyLease(prepared.work)) } as const;
    const [own] = rig.snapshots?.list(lent).slice(-1) ?? [];
    const bytes = await rig.snapshots?.readSnapshot(own?.reference.blob ?? ('' as never));
    const honest = decodeObject(SNAPSHOT, bytes ?? new Uint8Array());
    // What nobody can open is as good as a seal, and the items are those of another state.
    const lie: Snapshot = sealed ? { ...honest, sealed, body: new Uint8Array(64) } : honest;
    const elsewhere = leaseIdOf(prepared.work.offer as never);
    await using writer = await rig.snapshots?.begin({ role: 'provider', lease: elsewhere, step }, lie, KEPT);
    const { reference = null } = (await writer?.commit()) ?? {};
    const request = await forge(prepared, { lease, checkpoint: { job, snapshot: reference } });
    const before = holder.snapshots?.list({ role: 'holder' });
    expect(await ask(prepared.scene, request)).toBe('HOLD_REFUSED');
    expect(holder.snapshots?.list({ role: 'holder' })).toEqual(before);
  });

  it('of a step that was overtaken is as good as done', async () => {
    const { scene, work, log } = await share();
    const older = (await readCheckpoints(log.events)).find(({ value }) => value.step === 10);
    if (older === undefined) throw new TypeError();
    const held = listHeldSteps(scene.holder, work);
    expect(await ask(scene, { op: 'hold', lease: onlyLease(work).wire, checkpoint: older.wire })).toBe('done');
    expect(listHeldSteps(scene.holder, work)).toEqual(held);
  });
});

interface Held {
  readonly work: LeasedWork;
  readonly log: AnswerLog;
}

/** A lease of the same job with another provider, that goes on from what is held. */
async function describeNext({ holder }: Scene, { work, log }: Held, provider: number): Promise<Lease> {
  const { lease, step, head, stateRoot, snapshot } = (await newestSnapshot(log)).value;
  if (snapshot === null) throw new TypeError();
  return {
    ...onlyLease(work).value,
    provider: (await identityOf(provider)).peer,
    nonce: new Uint8Array(16).fill(5),
    attempt: 1,
    resume: { lease, step, head, stateRoot, snapshot, holder: holder.identity.peer },
  };
}

interface ClaimChange {
  readonly signer?: number;
  readonly sender?: number;
  readonly change?: (lease: Lease) => Lease | Promise<Lease>;
}

/** What the holder answers to the provider with seed 2. */
async function claimFor(scene: Scene, held: Held, { signer = 9, sender = 2, change }: ClaimChange = {}) {
  const value = await describeNext(scene, held, 2);
  const lease = await signObject(LEASE, (await change?.(value)) ?? value, await identityOf(signer));
  const transport = scene.switchboard.join((await identityOf(sender)).peer);
  return codeOf(await transport.request(scene.holder.identity.peer, 'job', { op: 'claim', lease: lease.wire }));
}

async function canRead(scene: Scene, { log }: Held, seed = 2): Promise<boolean> {
  const transport = scene.switchboard.join((await identityOf(seed)).peer);
  const { blob } = (await newestSnapshot(log)).value.snapshot ?? {};
  if (blob === undefined) throw new TypeError();
  const read = { op: 'read', blob, offset: 0, maxBytes: 10 } as const;
  return (await transport.request(scene.holder.identity.peer, 'blob', read)).kind === 'chunk';
}

function withoutResume(lease: Lease): Lease {
  const { resume, ...rest } = lease;
  if (resume === undefined) throw new TypeError('it goes on from nothing');
  return rest;
}

describe('a claim', () => {
  async function prepare() {
    const scene = await start();
    const held = await run(scene);
    await until('the newest', () => listHeldSteps(scene.holder, held.work).at(-1) === 20);
    return { scene, held };
  }

  let prepared: ReturnType<typeof prepare> | undefined;
  /** For claims that change nothing. */
  const share = (): ReturnType<typeof prepare> => {
    prepared ??= prepare();
    return prepared;
  };

  it('lets the provider of a new lease read what the job goes on from, for a while', async () => {
    const { scene, held } = await prepare();
    expect(await canRead(scene, held)).toBe(false);
    expect(await claimFor(scene, held)).toBe('done');
    expect(await canRead(scene, held)).toBe(true);
    expect(await canRead(scene, held, 4)).toBe(false);
    await scene.clock.advance(1_800_000);
    expect(await canRead(scene, held)).toBe(false);
  });

  it.each<[string, string, ClaimChange]>([
    ['with a lease that its requester did not sign', 'LEASE_MISMATCH', { signer: 8 }],
    ['by another than the provider of the lease', 'LEASE_MISMATCH', { sender: 4 }],
    ['for another network', 'LEASE_MISMATCH', { change: (lease) => ({ ...lease, network: 'other' }) }],
    ['after the deadline', 'LEASE_MISMATCH', { change: (lease) => ({ ...lease, deadlineMs: 1 as never }) }],
    ['that goes on from nothing', 'LEASE_MISMATCH', { change: withoutResume }],
    [
      'that names another holder',
      'LEASE_MISMATCH',
      {
        change: ({ resume, ...lease }) => ({
          ...lease,
          ...(resume && { resume: { ...resume, holder: lease.requester } }),
        }),
      },
    ],
    [
      'of another requester for the same snapshot',
      'SNAPSHOT_NOT_HELD',
      { signer: 8, change: async (lease) => ({ ...lease, requester: (await identityOf(8)).peer }) },
    ],
    [
      'under another lease than it is held for',
      'SNAPSHOT_NOT_HELD',
      {
        change: ({ resume, ...lease }) => ({
          ...lease,
          ...(resume && { resume: { ...resume, lease: lease.offer as never } }),
        }),
      },
    ],
    [
      'for another job of the same requester',
      'SNAPSHOT_NOT_HELD',
      { change: (lease) => ({ ...lease, job: lease.offer as never }) },
    ],
  ])('%s is refused', async (_, code, change) => {
    const { scene, held } = await share();
    expect(await claimFor(scene, held, change)).toBe(code);
    expect(await canRead(scene, held, change.sender ?? 2)).toBe(false);
  });

  it('may be made of the provider that made the snapshot too', async () => {
    const { scene, held } = await share();
    const value = await describeNext({ ...scene, holder: scene.rig }, held, 2);
    const lease = await signObject(LEASE, value, scene.requester.identity);
    const transport = scene.switchboard.join((await identityOf(2)).peer);
    const request = { op: 'claim', lease: lease.wire } as const;
    expect(codeOf(await transport.request(scene.rig.identity.peer, 'job', request))).toBe('done');
  });

  it('is what another provider goes on with, after the first is gone', async () => {
    const { scene, held } = await prepare();
    await scene.rig.provider.stop();
    const { switchboard, clock, requester, jobs } = scene;
    const { rig, runs } = await startStepping({ steps: 25, every: 10 }, { switchboard, clock, seed: 2 });
    stopLater(rig);
    const asker = Object.create(requester, { rig: { value: rig } }) as TestRequester;
    const { resume } = await describeNext(scene, held, 2);
    if (resume === undefined) throw new TypeError();
    const work = await asker.prepare(jobs, { attempt: 1, resume });
    const log = asker.lease(work);
    await log.done;
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(await runs[0]).toMatchObject({ beganAt: 20 });
    expect(onlyJob(work).id).toBe(onlyJob(held.work).id);
  });

  it('that is refused ends the attempt as INPUT_UNAVAILABLE', async () => {
    const { scene, held } = await share();
    const { switchboard, clock, requester, jobs } = scene;
    const { rig } = await startStepping({ steps: 25, every: 10 }, { switchboard, clock, seed: 2 });
    stopLater(rig);
    const asker = Object.create(requester, { rig: { value: rig } }) as TestRequester;
    const { resume } = await describeNext(scene, held, 2);
    if (resume === undefined) throw new TypeError();
    const changed = { ...resume, lease: onlyLease(held.work).value.offer as never };
    const log = asker.lease(await asker.prepare(jobs, { attempt: 1, resume: changed }));
    await log.done;
    const { outcome } = (await readReceipt(log)).result;
    expect(outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect('detail' in outcome ? outcome.detail : '').toContain('SNAPSHOT_NOT_HELD');
  });
});
