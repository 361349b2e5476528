import { SchedulerError } from '../errors.ts';
import { isEnded } from '../job-machine-state.ts';
import type { EndRecord } from '../job-records.ts';
import type { JobStore } from '../job-store.ts';
import { viewJob, viewResult } from './job-view.ts';
import { listMissingReplicas } from './missing-replicas.ts';
import type { RecoveredJob } from './recover-job.ts';

/**
 * Writes again the terminal summary of a job of which the history has ended: the event that ends a job is written with
 * it, so that one without the other was lost since. Lost for good is who was asked, and how far apart results were.
 * @throws SchedulerError SCHEDULER_STORE_CORRUPT if the receipt of its result is gone too
 */
export async function restoreEnd(store: Pick<JobStore, 'append'>, recovered: RecoveredJob): Promise<EndRecord> {
  const { job } = recovered.state.facts;
  const end = rebuildEnd(recovered);
  if (end === undefined) {
    const reason = 'it is missing, and so is the receipt of its result';
    throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key: `jobs/${job}/end`, reason });
  }
  await store.append([{ job, sequence: recovered.sequence, events: [], end }], { durable: true });
  return end;
}

function rebuildEnd({ job, state, cases }: RecoveredJob): EndRecord | undefined {
  if (!isEnded(state)) return undefined;
  const { acceptedRoot, agreeing } = state;
  const receipt = cases.find((attempt) => attempt.receipt?.value.outputRoot === acceptedRoot)?.receipt ?? null;
  if (acceptedRoot !== null && receipt === null) return undefined;
  const agreement = agreeing === undefined ? null : { leases: agreeing, largest: null };
  const result = acceptedRoot === null || receipt === null ? null : viewResult(receipt.value, state, agreement);
  return { view: viewJob(job.value, state, { result }), asked: [], missingReplicas: listMissingReplicas(state) };
}
