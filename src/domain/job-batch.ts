import type { Brand } from '../lib/brand.ts';
import { DomainError } from './errors.ts';

/** Names a batch of jobs on the node that submits it; chosen by whoever submits. Never told to another node. */
export type JobBatchId = Brand<string, 'JobBatchId'>;

/** Most jobs of one batch. */
export const MAX_BATCH_JOBS = 100_000;

/** Lower case, and no beginning of a job id, so that nobody has to say which of the two is meant. */
export const JOB_BATCH_ID_PATTERN = /^(?!bafyrei)(?!latest$)[a-z0-9][a-z0-9._-]{0,63}$/;

/** @throws DomainError DOMAIN_BAD_ID */
export function JobBatchId(text: string): JobBatchId {
  if (JOB_BATCH_ID_PATTERN.test(text)) return text as JobBatchId;
  throw new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'batch id', text: text.slice(0, 80) });
}
