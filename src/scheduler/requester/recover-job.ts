import type { Checkpoint } from '../../domain/checkpoint.ts';
import { COMMITMENT } from '../../domain/commitment.ts';
import { RELEASE } from '../../domain/confidential.ts';
import type { JobId, LeaseId, PeerKey } from '../../domain/ids.ts';
import { JOB, type Job } from '../../domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, PROGRESS } from '../../domain/lease.ts';
import { RECEIPT } from '../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import { SchedulerError } from '../errors.ts';
import { createInitialState, createJobFacts, type JobMachineState } from '../job-machine-state.ts';
import type { AttemptObject, AttemptObjectKind, JobRecord } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import { jobIdOf } from '../object-ids.ts';
import { type AttemptCase, createAttemptCase } from './attempt-case.ts';
import type { StoredLogs } from './job-log.ts';
import { type KnownCheckpoints, NO_CHECKPOINTS } from './job-run-parts.ts';
import { replay } from './job-view.ts';

export interface RecoveredJob {
  readonly job: Signed<Job>;
  readonly snapshotKey: Uint8Array | null;
  readonly sealedSecrets: Uint8Array | undefined;
  readonly state: JobMachineState;
  readonly sequence: number;
  readonly cases: readonly AttemptCase[];
  readonly logs: StoredLogs;
  readonly checkpoints: KnownCheckpoints;
  /** Highest stored event sequence of each lease: what is to be sent again begins after it. */
  readonly lastSequences: ReadonlyMap<string, number>;
}

/** An active job as it was when the node went down. @throws SchedulerError SCHEDULER_STORE_CORRUPT */
export async function recoverJob(
  { jobs: store, checkpoints: checkpointStore }: { readonly jobs: JobStore; readonly checkpoints: CheckpointStore },
  stored: { readonly job: JobId; readonly record: JobRecord },
  self: PeerKey,
): Promise<RecoveredJob> {
  const job = await openStored(`jobs/${stored.job}`, () => openSigned(JOB, stored.record.job, self));
  if (jobIdOf(job) !== stored.job) throw corrupt(`jobs/${stored.job}`, 'it holds another job');
  const history = await store.loadHistory(stored.job);
  store.open(stored.job, history.length);
  const state = replay(createInitialState(createJobFacts(stored.job, job.value)), history);
  if (state.kind === 'rejected') throw corrupt(`job-history/${stored.job}`, `an event cannot be: ${state.code}`);
  const cases = await recoverCases(await store.loadObjects(stored.job), stored.job);
  const checkpoints = await recoverCheckpoints(checkpointStore, state);
  const { snapshotKey = null, sealedSecrets } = stored.record;
  const sequence = history.length;
  return {
    job,
    snapshotKey,
    sealedSecrets,
    state,
    sequence,
    cases,
    checkpoints,
    ...(await summarizeLogs(store, stored.job)),
  };
}

async function recoverCheckpoints(store: CheckpointStore, state: JobMachineState): Promise<KnownCheckpoints> {
  if (!state.facts.hasCheckpoints) return NO_CHECKPOINTS;
  const newest = new Map<LeaseId, Checkpoint>();
  for (const { lease } of state.attempts) {
    const [last] = await store.newest(state.facts.job, lease, { limit: 1 });
    if (last !== undefined) newest.set(lease, last.value);
  }
  return { newest, held: await store.loadHeld(state.facts.job) };
}

async function recoverCases(objects: readonly AttemptObject[], job: JobId): Promise<AttemptCase[]> {
  const byLease = Map.groupBy(objects, (object) => object.lease);
  return Promise.all([...byLease].map(([lease, own]) => recoverCase(`job-objects/${job}/${lease}`, own)));
}

async function recoverCase(key: string, objects: readonly AttemptObject[]): Promise<AttemptCase> {
  const find = (kind: AttemptObjectKind): SignedWire | undefined => objects.find((entry) => entry.kind === kind)?.wire;
  const leaseWire = find('lease');
  if (leaseWire === undefined) throw corrupt(key, 'its lease is missing');
  const lease = await openStored(`${key}/lease`, () => openSigned(LEASE, leaseWire));
  const attempt = createAttemptCase(lease);
  const { provider } = lease.value;
  const acceptance = find('acceptance');
  if (acceptance !== undefined) {
    const opened = await openStored(`${key}/acceptance`, () => openSigned(LEASE_ACCEPTANCE, acceptance, provider));
    attempt.acceptance = opened.value;
  }
  const progress = find('progress');
  if (progress !== undefined) {
    const opened = await openStored(`${key}/progress`, () => openSigned(PROGRESS, progress, provider));
    attempt.progress = { value: opened.value, wire: progress };
  }
  const commitment = find('commitment');
  if (commitment !== undefined) {
    attempt.commitment = await openStored(`${key}/commitment`, () => openSigned(COMMITMENT, commitment, provider));
  }
  const receipt = find('receipt');
  if (receipt !== undefined) {
    attempt.receipt = await openStored(`${key}/receipt`, () => openSigned(RECEIPT, receipt, provider));
  }
  const release = find('release');
  if (release !== undefined) {
    const { id } = await openStored(`${key}/release`, () => openSigned(RELEASE, release, lease.value.requester));
    attempt.release = { id, wire: release };
  }
  attempt.setSignature = find('set-signature') ?? null;
  return attempt;
}

async function summarizeLogs(store: JobStore, job: JobId): Promise<Pick<RecoveredJob, 'logs' | 'lastSequences'>> {
  const lastSequences = new Map<LeaseId, number>();
  const logs = { entries: 0, sizeBytes: 0 };
  const ordinals = new Map<number, number>();
  for await (const { lease, sequence, sizeBytes, entry } of store.loadLogs(job)) {
    const { replica, event } = entry;
    ordinals.set(replica, Math.max(event.ordinal ?? 0, ordinals.get(replica) ?? 0));
    logs.entries += 1;
    logs.sizeBytes += sizeBytes;
    lastSequences.set(lease, Math.max(sequence, lastSequences.get(lease) ?? 0));
  }
  return { logs: { ...logs, ordinals }, lastSequences };
}

async function openStored<Value>(key: string, open: () => Promise<Value>): Promise<Value> {
  try {
    return await open();
  } catch (error) {
    throw new SchedulerError(
      { code: 'SCHEDULER_STORE_CORRUPT', key, reason: error instanceof Error ? error.message : String(error) },
      { cause: error },
    );
  }
}

function corrupt(key: string, reason: string): SchedulerError {
  return new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key, reason });
}
