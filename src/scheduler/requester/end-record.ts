import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { EndedJob } from '../job-machine-state.ts';
import type { EndRecord } from '../job-records.ts';
import { type SummarizeCheckpoints, viewJob, viewResult } from './job-view.ts';
import type { ResultAgreement } from './judgement.ts';
import { listMissingReplicas } from './missing-replicas.ts';
import type { SearchReport } from './offer-search.ts';

export interface EndParts {
  /** What it was concluded with, and who agrees; null without a result. */
  readonly accepted: { readonly receipt: Receipt; readonly agreement?: ResultAgreement | null } | null;
  readonly search: SearchReport;
  readonly summarize?: SummarizeCheckpoints;
}

/** What is written with the event that ends a job, and shown from then on. */
export function createEndRecord(job: Job, state: EndedJob, { accepted, search, summarize }: EndParts): EndRecord {
  const result = accepted === null ? null : viewResult(accepted.receipt, state, accepted.agreement);
  const view = viewJob(job, state, { result, ...(summarize === undefined ? {} : { summarize }) });
  return { view, ...search, missingReplicas: listMissingReplicas(state) };
}
