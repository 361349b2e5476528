import { JobId, LeaseId, type UnixMs } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Signed } from '../../../domain/signed.ts';
import type { EvidenceJudge, EvidenceJudgement } from '../../interface.ts';
import type { OpenedAttempt } from '../../open-evidence.ts';
import { type Check, checkRules, uncheckedCheck, VALID, valueOf } from '../check.ts';
import { type AttemptTerms, checkClaim, checkRelease, checkRuntimeData, nameChecks } from './check-attestation.ts';

export interface JudgedAttempt {
  readonly attempt: OpenedAttempt;
  readonly terms: AttemptTerms;
  readonly checks: readonly Check[];
  /** By the requester's clock; null where its release is missing or refused. */
  readonly evaluatedAtMs: UnixMs | null;
  /** Which code the evidence names. */
  readonly measurements: EvidenceJudgement['measurements'];
}

/** Nothing of an attempt whose lease or receipt is refused: `signed` says that it is. */
export async function judgeAttempt(
  attempt: OpenedAttempt,
  job: Signed<Job>,
  judge: EvidenceJudge | undefined,
): Promise<readonly JudgedAttempt[]> {
  if (attempt.lease.kind === 'refused' || attempt.receipt.kind === 'refused') return [];
  const terms = { job, lease: attempt.lease.signed, receipt: attempt.receipt.signed };
  const evaluatedAtMs = (attempt.release && valueOf(attempt.release)?.evaluatedAtMs) ?? null;
  const judgement = await judgeEvidence(attempt, terms, { judge, evaluatedAtMs });
  return [
    {
      attempt,
      terms,
      evaluatedAtMs,
      measurements: judgement?.measurements ?? [],
      checks: [
        checkClaim(attempt, terms),
        ...checkRelease(attempt, terms),
        ...checkRuntimeData(attempt, terms),
        ...(judgement === undefined ? [] : readJudgement(attempt, judgement)),
      ],
    },
  ];
}

interface Judging {
  readonly judge: EvidenceJudge | undefined;
  readonly evaluatedAtMs: UnixMs | null;
}

/** As of the time that the requester signed; undefined where there is no evidence to be judged, which is said elsewhere. */
async function judgeEvidence(
  { attestation }: OpenedAttempt,
  { job, lease, receipt }: AttemptTerms,
  { judge, evaluatedAtMs }: Judging,
): Promise<EvidenceJudgement | undefined> {
  const { confidential, network, requester } = job.value;
  if (attestation.kind !== 'opened' || confidential === undefined) return undefined;
  if (judge === undefined) return lacking('a judge of evidence of confidential hardware');
  if (evaluatedAtMs === null) return lacking('as of when to judge it: the release says so');
  const expectation = {
    network,
    requester,
    job: JobId(job.id),
    lease: LeaseId(lease.id),
    provider: lease.value.provider,
    isolation: receipt.value.sandbox.isolation,
    instrumenter: receipt.value.result.instrumenter,
  };
  return await judge.judge({
    evidence: attestation.bytes,
    policy: confidential.policy,
    atMs: evaluatedAtMs,
    expectation,
  });
}

function lacking(detail: string): EvidenceJudgement {
  return { checks: [{ name: 'judged', verdict: 'unchecked', detail }], measurements: [] };
}

function readJudgement(attempt: OpenedAttempt, { checks }: EvidenceJudgement): readonly Check[] {
  const nameOf = nameChecks(attempt);
  if (checks.length === 0) return [uncheckedCheck(nameOf('evidence judged'), 'any check of the evidence')];
  return checks.map(({ name, verdict, detail }) => {
    const full = nameOf(`evidence ${name}`);
    switch (verdict) {
      case 'passed':
        return { name: full, verdict: VALID };
      case 'failed':
        return checkRules(full, 'EVIDENCE_REFUSED', [[false, detail]]);
      case 'unchecked':
        return uncheckedCheck(full, detail);
      default:
        return verdict satisfies never;
    }
  });
}
