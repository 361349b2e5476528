import { UnixMs } from '../../../domain/ids.ts';
import { RECEIPT } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObjects } from '../../../proofs/signed-object.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { RECEIPT_BATCH } from '../constants.ts';
import { concludeFailure } from '../results/conclusion.ts';
import { createReceipt } from '../results/receipts.ts';
import type { ResultKeeper } from '../results/result-keeper.ts';
import type { LeaseEntry, LeaseStore } from './lease-store.ts';
import type { PoisonJobs } from './poison-jobs.ts';

export interface RecoveryModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly keeper: ResultKeeper;
  readonly poison: PoisonJobs;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What a new process does with the leases of the one before: attempts that were live when it died are ended as failed,
 * with a receipt that says so, and never run again under the same lease; results are kept on for their requesters.
 */
export async function recoverLeases(modules: RecoveryModules, networkId: string): Promise<void> {
  const kept: LeaseEntry[] = [];
  const interrupted: LeaseEntry[] = [];
  for await (const entry of modules.store.entries()) {
    (entry[1].endedAtMs === null ? interrupted : kept).push(entry);
  }
  for (const [, record] of interrupted) {
    if (record.phase === 'running') await modules.poison.count(record.job, modules.clock.nowMs());
  }
  for (let start = 0; start < interrupted.length; start += RECEIPT_BATCH) {
    kept.push(...(await endInterrupted(modules, networkId, interrupted.slice(start, start + RECEIPT_BATCH))));
  }
  kept.sort((a, b) => (a[1].endedAtMs ?? 0) - (b[1].endedAtMs ?? 0));
  for (const [lease, record] of kept) modules.keeper.keep(lease, record);
  if (interrupted.length > 0) {
    modules.logger.warn({ attempts: interrupted.length }, 'attempts of the process before were ended as failed');
  }
}

async function endInterrupted(
  { identity, store, clock }: RecoveryModules,
  networkId: string,
  group: readonly LeaseEntry[],
): Promise<readonly LeaseEntry[]> {
  const finishedAtMs = clock.nowMs();
  const receipts = group.map(([lease, record]) =>
    createReceipt(
      {
        network: networkId,
        lease,
        requester: record.requester,
        provider: identity.peer,
        startedAtMs: record.acceptedAtMs,
        finishedAtMs,
        salt: null,
      },
      concludeFailure(record, { code: 'INTERNAL', detail: 'provider restarted while the attempt was live' }),
    ),
  );
  const signed = await signObjects(RECEIPT, receipts, identity);
  const ended = group.map(([lease, record], index): LeaseEntry => {
    const receipt = signed[index]?.wire ?? null;
    return [lease, { ...record, phase: 'ended', endedAtMs: UnixMs(finishedAtMs), receipt }];
  });
  await store.write(ended);
  return ended;
}
