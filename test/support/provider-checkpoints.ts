import { PackedSnapshotStore } from '../../src/blob/snapshots/packed-snapshot-store.ts';
import { CHECKPOINT, CHECKPOINT_CHAIN, type Checkpoint } from '../../src/domain/checkpoint.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Lease } from '../../src/domain/lease.ts';
import type { AttemptEvent, SequencedEvent } from '../../src/domain/messages.ts';
import { decodeObject } from '../../src/domain/object-type.ts';
import { RECEIPT, type Receipt } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { openSigned } from '../../src/proofs/signed-object.ts';
import { type OpenedChain, verifyChain } from '../../src/proofs/verify-chain.ts';
import { serveBlobs } from '../../src/scheduler/blob-access.ts';
import { SnapshotFetcher } from '../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { MemoryDatabase } from './memory-database.ts';
import { MemoryDisk } from './memory-disk.ts';
import { settle } from './provider-clock.ts';
import {
  type AnswerLog,
  type LeasedWork,
  ProviderRig,
  type ProviderRigOptions,
  type TestRequester,
} from './provider-rig.ts';
import { runSteps, type StepPlan, type StepRun } from './provider-steps.ts';

export const EVERY_TEN = { schedule: { kind: 'steps', every: 10 }, holder: null, sealed: false } as const;

/** A provider that runs a plan for every task, and the runs that it made. */
export interface SteppingRig {
  readonly rig: ProviderRig;
  readonly runs: Promise<StepRun>[];
}

export async function startStepping(plan: StepPlan, options: ProviderRigOptions = {}): Promise<SteppingRig> {
  const rig = await ProviderRig.start({ disk: new MemoryDisk(), ...options });
  const runs: Promise<StepRun>[] = [];
  rig.executor.behaviour = (execution) => runs.push(runSteps(execution, plan));
  return { rig, runs };
}

/** One job with checkpoints, offered and leased. */
export async function prepareStepping(
  requester: TestRequester,
  change: { readonly job?: Partial<Job>; readonly lease?: Partial<Lease> } = {},
): Promise<LeasedWork> {
  const job = requester.describeJob({ checkpoints: EVERY_TEN, ...change.job });
  return await requester.prepare(await requester.signJobs(job), change.lease);
}

export function onlyLease({ leases }: LeasedWork): Signed<Lease> {
  const [lease] = leases;
  if (lease === undefined) throw new TypeError('no lease');
  return lease;
}

export function onlyJob({ jobs }: LeasedWork): Signed<Job> {
  const [job] = jobs;
  if (job === undefined) throw new TypeError('no job');
  return job;
}

/** The checkpoints among some events, opened. */
export async function readCheckpoints(events: readonly SequencedEvent[]): Promise<Signed<Checkpoint>[]> {
  const told = events.flatMap(({ event }) => (event.kind === 'checkpoint' ? [event.checkpoint] : []));
  return await Promise.all(told.map((wire) => openSigned(CHECKPOINT, wire)));
}

export function lastReceiptEvent(log: AnswerLog): Extract<AttemptEvent, { kind: 'receipt' }> {
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'receipt') throw new TypeError(`the last event is ${last?.kind}`);
  return last;
}

export async function readReceipt(log: AnswerLog): Promise<Receipt> {
  return (await openSigned(RECEIPT, lastReceiptEvent(log).receipt)).value;
}

/** The chain that a receipt names, verified against everything there is. */
export async function readChain(log: AnswerLog, work: LeasedWork): Promise<OpenedChain> {
  const receipt = await readReceipt(log);
  const { inlineBlobs } = lastReceiptEvent(log);
  const bytes = inlineBlobs.find(({ blob }) => blob === receipt.checkpointChain?.blob)?.bytes;
  if (bytes === undefined) throw new TypeError('the chain does not ride with the receipt');
  const chain = decodeObject(CHECKPOINT_CHAIN, bytes);
  const checked = verifyChain(chain, { job: onlyJob(work), lease: onlyLease(work), receipt });
  if (!checked.ok) throw new TypeError(checked.problem.detail);
  return checked.value;
}

/** A peer that stores and serves snapshots: a requester's node, as far as providers see it. */
export async function createSnapshotPeer(requester: TestRequester, disk = new MemoryDisk()) {
  const { transport, grants, blobs, rig } = requester;
  const common = { database: new MemoryDatabase(), clock: rig.clock, logger: new NoopLogger(), metrics: rig.metrics };
  const store = new PackedSnapshotStore({ ...common, disk }, { folder: 'memory', maxBytes: 2 ** 30 });
  await store.start();
  serveBlobs(transport, { blobs, snapshots: store }, grants);
  return { store, disk, grants, fetcher: new SnapshotFetcher({ ...common, transport, store }) };
}

/** Turns of the loop until something holds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000 && !holds(); turn += 1) await settle(1);
  if (!holds()) throw new TypeError(`never came: ${what}`);
}
