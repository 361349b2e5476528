/**
 * The `attested` assurance: hardware of a vendor signed which code ran, and a key that this code made for the attempt
 * signed the result (design section 7). A sandbox on a bare host is never called attested.
 */
import type { AssuranceReport } from '../../../domain/assurance.ts';
import type { Job } from '../../../domain/job.ts';
import type { Signed } from '../../../domain/signed.ts';
import { encodeHex } from '../../../lib/bytes.ts';
import type { EvidenceJudge } from '../../interface.ts';
import type { OpenedEvidence } from '../../open-evidence.ts';
import { type Check, checkRules, combineChecks, uncheckedCheck } from '../check.ts';
import { describeAttested } from './describe-attested.ts';
import { type JudgedAttempt, judgeAttempt } from './judge-attempt.ts';
import { listAssumptions, listLimits } from './limits.ts';

/** What the evidence says of whether inputs stayed private. `simulated`: all of it holds and some is SIMULATED. */
export type Confidentiality = 'none' | 'unproven' | 'simulated' | 'attested';

export interface AttestedFindings {
  readonly report: AssuranceReport;
  readonly confidentiality: Confidentiality;
  readonly attempts: readonly JudgedAttempt[];
}

/** True if the file claims `attested`, be it rightly or not. */
export function claimsAttestation(evidence: OpenedEvidence, job: Signed<Job>): boolean {
  return (
    job.value.confidential !== undefined ||
    evidence.attempts.some(
      ({ release, receipt }) =>
        release !== null || (receipt.kind === 'opened' && receipt.signed.value.attestation !== undefined),
    )
  );
}

export async function reportAttested(
  evidence: OpenedEvidence,
  job: Signed<Job>,
  judge: EvidenceJudge | undefined,
): Promise<AttestedFindings> {
  const attempts: JudgedAttempt[] = [];
  for (const attempt of evidence.attempts) attempts.push(...(await judgeAttempt(attempt, job, judge)));
  const attested = attempts.filter(({ attempt }) => attempt.attestation.kind !== 'none');
  const checks = [
    checkTerms(job.value),
    ...attempts.flatMap((judged) => judged.checks),
    checkDistinct(attempts),
    ...(attested.length > 0 ? [] : [uncheckedCheck('attested result', 'a receipt with an attestation')]),
  ];
  const sound = attested.filter((judged) => combineChecks(judged.checks).kind !== 'invalid');
  const verdict = combineChecks(checks);
  const isSimulated = attested.some(isSimulatedAttempt);
  return {
    report: {
      assurance: 'attested',
      statement: describeAttested(job, attempts),
      by: [...new Set(sound.map(({ terms }) => terms.lease.value.provider as string))],
      assumes: listAssumptions(attested),
      doesNotClaim: listLimits(attested),
      verdict,
      checks,
      ...(isSimulated ? { isSimulated } : {}),
    },
    confidentiality:
      verdict.kind !== 'valid' || sound.length === 0 ? 'unproven' : isSimulated ? 'simulated' : 'attested',
    attempts,
  };
}

function isSimulatedAttempt({ attempt: { attestation } }: JudgedAttempt): boolean {
  return attestation.kind === 'opened' && attestation.evidence.kind === 'simulated';
}

/** What a confidential job cannot be: what is left out of it would tell of its inputs, or could not be bound. */
function checkTerms({ confidential, inputs, capabilityClass, checkpoints, comparisons }: Job): Check {
  if (confidential === undefined) return checkRules('confidential terms', 'WRONG_TERMS', []);
  const { commitments } = confidential;
  return checkRules('confidential terms', 'WRONG_TERMS', [
    [commitments.length === inputs.length, `it commits to ${commitments.length} inputs and has ${inputs.length}`],
    [capabilityClass === 'tee', `it is of class '${capabilityClass}' and must be of class 'tee'`],
    [checkpoints === undefined, 'a confidential job makes no checkpoints'],
    [comparisons === undefined, 'sealed outputs cannot be compared as numbers'],
  ]);
}

/** Nonces and keys are made for one attempt: evidence that stands for two was replayed for one of them. */
function checkDistinct(attempts: readonly JudgedAttempt[]): Check {
  const shown = attempts.flatMap(({ attempt: { attestation } }) =>
    attestation.kind === 'opened' ? [attestation.runtimeData] : [],
  );
  const areDistinct = (values: readonly Uint8Array[]): boolean => new Set(values.map(encodeHex)).size === values.length;
  return checkRules('evidence distinct', 'REPEATED', [
    [areDistinct(shown.map(({ nonce }) => nonce)), 'two attempts answer one nonce'],
    [areDistinct(shown.map(({ signingKey }) => signingKey)), 'two attempts have one signing key'],
    [areDistinct(shown.map(({ encryptionKey }) => encryptionKey)), 'two attempts have one encryption key'],
  ]);
}
