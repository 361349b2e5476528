import type { LeaseId } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../src/scheduler/provider/options.ts';
import type { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { EVERY_TEN, onlyLease, prepareStepping, startStepping } from './provider-checkpoints.ts';
import { settle } from './provider-clock.ts';
import { ScriptedExecutor } from './provider-executor.ts';
import {
  type AnswerLog,
  type LeasedWork,
  leaseIdOf,
  MODULE,
  MODULE_ID,
  ProviderRig,
  type ProviderRigOptions,
  type TestRequester,
} from './provider-rig.ts';
import { runSteps, type StepPlan, type StepRun } from './provider-steps.ts';

/** Snapshots at every checkpoint. */
export const SHARE_ALL = { snapshots: { ...JOB_PROVIDER_DEFAULTS.snapshots, share: 1 } };

export interface Disturbed {
  readonly rig: ProviderRig;
  readonly requester: TestRequester;
  readonly work: LeasedWork;
  readonly log: AnswerLog;
  readonly lease: LeaseId;
}

interface StandOptions extends ProviderRigOptions {
  readonly sealed?: boolean;
  readonly hasFiles?: boolean;
  readonly job?: Partial<Job>;
}

/** Has a program wait after a step until it is released; `reached` resolves when it does. */
export function standStill(step: number) {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const before = async (next: number): Promise<void> => {
    if (next !== step + 1) return;
    reach();
    await held;
  };
  return { before, reached, release };
}

/** A job that stands at a step and waits, until it is released. */
export async function standAt(step: number, options: StandOptions = {}) {
  const { before, reached, release } = standStill(step);
  const { rig } = await startStepping(
    { steps: 55, every: 10, before, hasFiles: options.hasFiles === true },
    { provider: SHARE_ALL, ...options },
  );
  const requester = await rig.requester();
  const job = { checkpoints: { ...EVERY_TEN, sealed: options.sealed === true }, ...options.job };
  const work = await prepareStepping(requester, { job });
  const log = requester.lease(work);
  await reached;
  await settle();
  return { rig, requester, work, log, lease: leaseIdOf(onlyLease(work)), release };
}

/** What came inline is not on the provider's disk before the first link: it is fetched again. */
export function serveModule({ requester, rig }: Pick<Disturbed, 'requester' | 'rig'>): void {
  requester.blobs.blobs.set(MODULE_ID, MODULE);
  requester.grants.grant(rig.identity.peer, [MODULE_ID]);
}

export interface Restart {
  readonly plan?: Partial<StepPlan>;
  readonly options?: ProviderRigOptions;
  readonly database?: MemoryDatabase;
  readonly disk?: MemoryDisk;
}

/** What a new process makes of what is on disk; it runs what it finds. */
export async function restart({ rig }: Pick<Disturbed, 'rig'>, { plan, options, database, disk }: Restart = {}) {
  const runs: Promise<StepRun>[] = [];
  const behaviour = (execution: Parameters<typeof runSteps>[0]): void =>
    void runs.push(runSteps(execution, { steps: 55, every: 10, ...plan }));
  const executor = new ScriptedExecutor(undefined, behaviour);
  const next = await ProviderRig.start({
    clock: rig.clock,
    switchboard: rig.switchboard,
    blobs: rig.blobs,
    provider: SHARE_ALL,
    executor,
    database: database ?? rig.database.clone(),
    disk: disk ?? rig.disk?.afterKill() ?? new MemoryDisk(),
    ...options,
  });
  return { next, runs };
}

export async function attach(requester: TestRequester, lease: LeaseId, fromSequence = 0): Promise<AnswerLog> {
  const log = requester.send({ op: 'attach', leases: [{ lease, fromSequence }] });
  await log.done;
  return log;
}
