import { type HoldOptions, JOB_PROVIDER_DEFAULTS } from '../../src/scheduler/provider/options.ts';
import { MemoryDisk } from './memory-disk.ts';
import { EVERY_TEN, onlyLease, startStepping } from './provider-checkpoints.ts';
import { SteppedClock } from './provider-clock.ts';
import { type LeasedWork, leaseIdOf, ProviderRig } from './provider-rig.ts';
import type { StepPlan } from './provider-steps.ts';
import { Switchboard } from './provider-transport.ts';

/** Snapshots at every checkpoint. */
const EACH = { ...JOB_PROVIDER_DEFAULTS.snapshots, share: 1 };
export const HOLD: HoldOptions = { for: 'anyone', maxBytesPerRequester: 2 ** 30, maxBytes: 2 ** 30 };

export interface HolderSceneOptions {
  readonly hold?: Partial<HoldOptions>;
  readonly plan?: Partial<StepPlan>;
  readonly sealed?: boolean;
  readonly trusted?: boolean;
}

export type HolderScene = Awaited<ReturnType<typeof startWithHolder>>;

export function stopWith(stack: AsyncDisposableStack, rig: ProviderRig): ProviderRig {
  stack.defer(() => rig.provider.stop());
  return rig;
}

/** A provider, and a job that names a third node as holder. Both stop with the stack. */
export async function startWithHolder(
  stack: AsyncDisposableStack,
  { hold, plan, sealed = false, trusted = false }: HolderSceneOptions = {},
) {
  const [switchboard, clock] = [new Switchboard(), new SteppedClock()];
  const options = { switchboard, clock, provider: { snapshots: EACH } };
  const { rig } = await startStepping({ steps: 25, every: 10, ...plan }, options);
  stopWith(stack, rig);
  const requester = await rig.requester();
  const disk = new MemoryDisk();
  const snapshots = { ...EACH, hold: { ...HOLD, ...hold } };
  const trustedRequesters = trusted ? [requester.peer] : [];
  const holder = await ProviderRig.start({
    switchboard,
    clock,
    disk,
    seed: 3,
    provider: { snapshots, trustedRequesters },
  });
  stopWith(stack, holder);
  const checkpoints = { ...EVERY_TEN, holder: holder.identity.peer, sealed };
  const jobs = await requester.signJobs(requester.describeJob({ checkpoints }));
  return { switchboard, clock, rig, requester, holder, jobs };
}

/** Leases the job of a scene. */
export async function leaseOf({ requester, jobs }: Pick<HolderScene, 'requester' | 'jobs'>) {
  const work = await requester.prepare(jobs);
  return { work, log: requester.lease(work) };
}

export function listHeldSteps(holder: ProviderRig, work: LeasedWork): number[] {
  const lease = leaseIdOf(onlyLease(work));
  return (holder.snapshots?.list({ role: 'holder', lease }) ?? []).map(({ step }) => step);
}
