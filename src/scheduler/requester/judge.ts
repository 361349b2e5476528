import type { LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { createDeadline } from '../../lib/abort.ts';
import { InternalError } from '../../lib/errors.ts';
import { listComparisons } from '../../proofs/compare-results.ts';
import { tallyResults } from '../job-decision.ts';
import type { JobMachineState } from '../job-machine-state.ts';
import type { AttemptCase } from './attempt-case.ts';
import { type CollectModules, findMissingOutput } from './collect-outputs.ts';
import { judgeWithin } from './judge-within.ts';
import type { Judgement } from './judgement.ts';

/**
 * Quorum rule (design section 7): as many byte-identical results as the job asks for, and their files at hand. Replicas
 * of jobs with training rounds agree within the job's tolerances.
 */
export async function judge(
  modules: CollectModules,
  request: {
    readonly job: Signed<Job>;
    readonly state: JobMachineState;
    readonly cases: ReadonlyMap<LeaseId, AttemptCase>;
  },
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Judgement> {
  const { facts } = request.state;
  const comparisons = listComparisons(request.job.value);
  if (comparisons !== null && facts.commitReveal)
    return await judgeWithin(modules, { ...request, comparisons }, options);
  const { revealed, best } = tallyResults(request.state);
  const largest = best?.attempts.length ?? 0;
  if (best === null || largest < facts.quorum) {
    const code = revealed < facts.quorum ? 'SCHEDULER_QUORUM_LOST' : 'SCHEDULER_REPLICAS_DISAGREE';
    return { kind: 'failed', info: { code, revealed, quorum: facts.quorum, largest } };
  }
  const agreeing = best.attempts.flatMap((attempt) => request.cases.get(attempt.lease) ?? []);
  const [first] = agreeing;
  const receipt = first?.receipt?.value;
  if (first === undefined || receipt === undefined) throw new InternalError('a revealed attempt has no receipt');
  using deadline = createDeadline(options.timeoutMs, options.signal);
  const sources = agreeing.map(({ lease, inlineBlobs }) => ({ provider: lease.value.provider, inlineBlobs }));
  const missing = await findMissingOutput(modules, { outputs: receipt.result.outputs, sources }, deadline.signal);
  if (missing === null) return { kind: 'accepted', receipt, agreement: null };
  options.signal.throwIfAborted();
  const reason = missing.slice(0, 300);
  if (facts.replicas === 1) return { kind: 'attempt-failed', lease: first.id, code: 'OUTPUT_UNAVAILABLE', reason };
  return { kind: 'failed', info: { code: 'SCHEDULER_OUTPUTS_UNAVAILABLE', reason } };
}
