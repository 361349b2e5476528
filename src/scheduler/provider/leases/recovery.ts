import { type LeaseId, UnixMs } from '../../../domain/ids.ts';
import { RECEIPT, type Receipt } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObjects } from '../../../proofs/signed-object.ts';
import type { StorageError } from '../../../storage/errors.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { Attempt, StopReason } from '../attempts/attempt.ts';
import type { AttemptJournal } from '../checkpoints/attempt-journal.ts';
import type { SnapshotKeeper } from '../checkpoints/snapshot-keeper.ts';
import { RECEIPT_BATCH } from '../constants.ts';
import type { DecisionLog } from '../policy/decision-log.ts';
import type { UsageLedger } from '../policy/usage-ledger.ts';
import { addUsage, concludeFailure } from '../results/conclusion.ts';
import { createReceipt } from '../results/receipts.ts';
import type { ResultKeeper } from '../results/result-keeper.ts';
import type { AttemptRestorer } from './attempt-restorer.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { LeaseEntry, LeaseStore } from './lease-store.ts';
import type { PoisonJobs } from './poison-jobs.ts';

export interface RecoveryModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly keeper: ResultKeeper;
  readonly poison: PoisonJobs;
  readonly journal: AttemptJournal;
  readonly snapshots: Pick<SnapshotKeeper, 'load'>;
  readonly restorer: AttemptRestorer;
  readonly usage: UsageLedger;
  readonly decisions: Pick<DecisionLog, 'ended'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What a new process does with the leases of the one before. Attempts with checkpoints whose lease may still be live are
 * gone on with under it: they are returned, and run nowhere else. Others that were live are ended as failed, with a
 * receipt that says so, and never run again under the same lease. Results are kept on for their requesters.
 */
export async function recoverLeases(modules: RecoveryModules, networkId: string): Promise<readonly Attempt[]> {
  const { store, poison, journal, clock, keeper, logger } = modules;
  await journal.load();
  const kept: LeaseEntry[] = [];
  const live: LeaseEntry[] = [];
  const damaged: LeaseId[] = [];
  // What is damaged is asked for as any other: its lease is refused, since nobody knows any more what became of it.
  const onDamaged = (lease: string, error: StorageError): void => {
    damaged.push(lease as LeaseId);
    logger.error({ lease, error }, 'the record of a lease is damaged; it stays as it is, and is not run again');
  };
  for await (const entry of store.entries({ onDamaged })) {
    (entry[1].endedAtMs === null ? live : kept).push(entry);
  }
  for (const [lease, record] of live) {
    if (record.phase !== 'running') continue;
    const hasAdvanced = await journal.hasAdvanced(lease);
    const wallTimeMs = (await journal.readSign(lease))?.wallTimeMs ?? 0;
    await poison.countDeath({ job: record.job, lease, hasAdvanced, wallTimeMs }, clock.nowMs());
  }
  const unmarked = live.filter(([lease, { phase }]) => phase === 'accepted' && !journal.leases.has(lease));
  await poison.suspect(
    unmarked.map(([, { job }]) => job),
    clock.nowMs(),
  );
  const { restored, interrupted } = await restoreAll(modules, live);
  for (let start = 0; start < interrupted.length; start += RECEIPT_BATCH) {
    kept.push(...(await endInterrupted(modules, networkId, interrupted.slice(start, start + RECEIPT_BATCH))));
  }
  kept.sort((a, b) => (a[1].endedAtMs ?? 0) - (b[1].endedAtMs ?? 0));
  for (const [lease, record] of kept) keeper.keep(lease, record);
  await modules.snapshots.load(new Set(restored.map(({ id }) => id)));
  await forgetStrays(modules, [...[...live, ...kept].map(([lease]) => lease), ...damaged]);
  if (interrupted.length > 0) {
    logger.warn({ attempts: interrupted.length }, 'attempts of the process before were ended as failed');
  }
  if (restored.length > 0)
    logger.info({ attempts: restored.length }, 'attempts of the process before are gone on with');
  return restored;
}

async function restoreAll({ restorer }: RecoveryModules, live: readonly LeaseEntry[]) {
  const restored: Attempt[] = [];
  const interrupted: LeaseEntry[] = [];
  for (const entry of live) {
    const attempt = await restorer.restore(entry);
    if (attempt === undefined) interrupted.push(entry);
    else restored.push(attempt);
  }
  return { restored, interrupted };
}

/** Journals whose lease was dropped, and the process died before they were. */
async function forgetStrays({ journal }: RecoveryModules, leases: readonly LeaseId[]): Promise<void> {
  const known = new Set(leases);
  await journal.forget([...journal.leases].filter((lease) => !known.has(lease)));
}

async function endInterrupted(
  { identity, store, journal, clock, usage, decisions }: RecoveryModules,
  networkId: string,
  group: readonly LeaseEntry[],
): Promise<readonly LeaseEntry[]> {
  const finishedAtMs = clock.nowMs();
  const receipts: Receipt[] = [];
  for (const [lease, record] of group) {
    const subject = {
      network: networkId,
      lease,
      requester: record.requester,
      provider: identity.peer,
      startedAtMs: record.acceptedAtMs,
      finishedAtMs,
      salt: null,
    };
    const failure = concludeFailure(record, describeInterruption(record));
    const sign = await journal.readSign(lease);
    receipts.push(createReceipt(subject, sign === undefined ? failure : addUsage(failure, sign)));
  }
  const signed = await signObjects(RECEIPT, receipts, identity);
  const ended = group.map(([lease, record], index): LeaseEntry => {
    const receipt = signed[index]?.wire ?? null;
    return [lease, { ...record, phase: 'ended', endedAtMs: UnixMs(finishedAtMs), receipt }];
  });
  const used = receipts.flatMap(({ requester, usage: { cpuTimeMs } }) =>
    cpuTimeMs === 0 ? [] : usage.add(requester, { cpuTimeMs }, finishedAtMs),
  );
  await store.write(ended, used);
  for (const {
    requester,
    job,
    lease,
    result,
    usage: { cpuTimeMs },
  } of receipts) {
    decisions.ended([{ requester, job, lease, outcome: result.outcome, cpuTimeMs }]);
  }
  return ended;
}

/** Of a confidential attempt nothing can be gone on with, nor begun anew: who has the key may release it elsewhere. */
function describeInterruption({ confidential }: LeaseRecord): StopReason {
  return confidential === true
    ? { code: 'NOT_RELEASED', detail: 'provider restarted, and the keys of the attempt were in memory only' }
    : { code: 'INTERNAL', detail: 'provider restarted while the attempt was live' };
}
