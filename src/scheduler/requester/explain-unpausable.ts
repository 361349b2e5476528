import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import type { JobView } from '../interface.ts';
import { BatchMember } from './batch-member.ts';

/** Why an active job cannot be paused now; null if it can. */
export function explainUnpausable(run: { readonly job: Signed<Job>; readonly view: JobView }): string | null {
  if (run.job.value.checkpoints === undefined) return 'it makes no checkpoints';
  if (run instanceof BatchMember) return 'it was submitted in a batch';
  return run.view.desired === 'cancel' ? 'it is being cancelled' : null;
}
