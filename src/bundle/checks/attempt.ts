/**
 * Checks of one attempt: lease, acceptance and receipt are signed by the parties that they name, name each other and
 * the job, and keep within the job's terms. Times may be off by the tolerated clock skew (design section 12).
 */
import { satisfiesIsolation } from '../../domain/capability.ts';
import { JobId, LeaseId } from '../../domain/ids.ts';
import { findReportProblem } from '../../domain/inference-workload.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Receipt, Result } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { hasFuel, imageOf, isFuelWithin } from '../../domain/workload.ts';
import { computeOutputRoot } from '../../proofs/commitment.ts';
import { isWithinFirstTerm, type LeaseTimes, listRenewalRules, listRunRules } from '../../proofs/lease-times.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import type { OpenedAttempt } from '../open-evidence.ts';
import { checkChain } from './chain.ts';
import { type Check, checkRules, checkSignature, type Rule, uncheckedCheck, VALID, valueOf } from './check.ts';
import { checkAcceptance, checkLease } from './lease.ts';
import { checkLine } from './line.ts';

export function checkAttempt(attempt: OpenedAttempt, job: Signed<Job>): readonly Check[] {
  const { label } = attempt;
  const lease = valueOf(attempt.lease);
  const checks = [
    checkSignature(`${label}: lease signature`, attempt.lease, job.value.requester),
    checkSignature(`${label}: acceptance signature`, attempt.acceptance, lease?.provider),
    checkSignature(`${label}: receipt signature`, attempt.receipt, lease?.provider),
  ];
  if (attempt.lease.kind === 'opened') checks.push(...checkLease(label, attempt.lease.signed, job));
  if (attempt.lease.kind === 'opened' && attempt.acceptance.kind === 'opened') {
    checks.push(...checkAcceptance(label, attempt.acceptance.signed.value, attempt.lease.signed));
  }
  if (attempt.lease.kind === 'opened') checks.push(...checkLine(attempt, attempt.lease.signed, job));
  if (attempt.lease.kind === 'opened' && attempt.receipt.kind === 'opened') {
    const receipt = attempt.receipt.signed.value;
    checks.push(
      ...checkReceipt(label, receipt, { lease: attempt.lease.signed, job }),
      checkReceiptTimes(label, receipt, readTimes(attempt, attempt.lease.signed.value)),
      checkRenewal(attempt, attempt.lease.signed, receipt),
      ...checkChain(attempt, { receipt, lease: attempt.lease.signed.value, job: job.value }),
    );
  }
  return checks;
}

function checkReceipt(
  label: string,
  receipt: Receipt,
  terms: { readonly lease: Signed<Lease>; readonly job: Signed<Job> },
): readonly Check[] {
  const { lease, job } = terms;
  const { isolation } = receipt.sandbox;
  return [
    checkRules(`${label}: receipt parties`, 'WRONG_PARTIES', [
      [receipt.job === JobId(job.id), 'the receipt is for another job'],
      [receipt.lease === LeaseId(lease.id), 'the receipt is for another lease'],
      [receipt.requester === job.value.requester, "it names another requester than the job's"],
      [receipt.provider === lease.value.provider, 'it names another provider than the lease'],
      [receipt.network === job.value.network, "it is for another network than the job's"],
    ]),
    checkRules(`${label}: receipt result`, 'WRONG_RESULT', checkResultForm(receipt, job)),
    checkRules(`${label}: receipt limits`, 'OVER_LIMIT', checkLimits(receipt.result, job.value)),
    checkRules(`${label}: receipt isolation`, 'WRONG_ISOLATION', [
      [
        satisfiesIsolation(isolation, job.value.isolation),
        `it ran in '${isolation}' where the job demands '${job.value.isolation}'`,
      ],
    ]),
  ];
}

function checkResultForm({ result, sandbox, outputRoot }: Receipt, job: Signed<Job>): readonly Rule[] {
  const isCompleted = result.outcome.kind === 'completed';
  // An attempt that failed through its provider may have had no executor at all.
  const reported =
    result.outcome.kind === 'attempt-failed' && sandbox.inference === undefined
      ? null
      : findReportProblem(job.value.workload, { report: sandbox.inference, isCompleted });
  const paths = result.outputs.map(({ path }) => path);
  return [
    [outputRoot === computeOutputRoot(result), 'its output root is not the id of its result'],
    [result.job === JobId(job.id), 'its result is of another job'],
    [reported === null, reported ?? ''],
    [
      paths.every((path, index) => index === 0 || (paths[index - 1] ?? '') < path),
      'its output files are not in ascending order of path, or one is there twice',
    ],
    [
      result.outcome.kind !== 'completed' || !hasFuel(job.value.workload.kind) || result.instrumentedModule !== null,
      'it completed and does not say which instrumented module ran',
    ],
    [
      result.outcome.kind !== 'completed' || sandbox.image === imageOf(job.value.workload),
      `it completed with ${sandbox.image ?? 'no image'} where the job names ${imageOf(job.value.workload) ?? 'none'}`,
    ],
  ];
}

/** Limits hold for what completed; what was stopped at a limit says so in its outcome. */
function checkLimits(result: Result, { resources }: Job): readonly Rule[] {
  if (result.outcome.kind !== 'completed') return [];
  const outputBytes = result.outputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return [
    [
      isFuelWithin(result.fuel, { resources }),
      `it used ${result.fuel ?? 'no'} units of fuel and may use ${resources.fuel ?? 'none'}`,
    ],
    [outputBytes <= resources.outputBytes, `its output has ${outputBytes} bytes and may have ${resources.outputBytes}`],
  ];
}

function checkReceiptTimes(label: string, receipt: Receipt, lease: LeaseTimes): Check {
  return checkRules(`${label}: receipt times`, 'WRONG_TIME', listRunRules(lease, receipt, CLOCK_SKEW_MS));
}

/** Within its first term nothing more than the lease is needed; after it, its last progress. */
function checkRenewal(attempt: OpenedAttempt, lease: Signed<Lease>, { finishedAtMs }: Receipt): Check {
  const { label, lastProgress } = attempt;
  const name = `${label}: lease renewal`;
  const times = readTimes(attempt, lease.value);
  if (lastProgress === null) {
    if (isWithinFirstTerm(times, finishedAtMs, CLOCK_SKEW_MS)) return { name, verdict: VALID };
    return uncheckedCheck(name, `the last signed progress of ${label}, which shows that its lease was renewed`);
  }
  const signature = checkSignature(name, lastProgress, lease.value.provider);
  const progress = valueOf(lastProgress);
  if (signature.verdict.kind !== 'valid' || progress === undefined) return signature;
  return checkRules(name, 'WRONG_TIME', [
    [progress.lease === LeaseId(lease.id), 'its progress is of another lease'],
    ...listRenewalRules(times, finishedAtMs, CLOCK_SKEW_MS),
  ]);
}

function readTimes({ acceptance, lastProgress }: OpenedAttempt, lease: Lease): LeaseTimes {
  const progress = lastProgress === null ? undefined : valueOf(lastProgress);
  return { ...lease, acceptedAtMs: valueOf(acceptance)?.acceptedAtMs ?? null, lastProgress: progress ?? null };
}

/** The receipt of an attempt of which no check of its own failed. */
export function verifiedReceipt(attempt: OpenedAttempt, job: Signed<Job>): Signed<Receipt> | undefined {
  const isSound = checkAttempt(attempt, job).every(({ verdict }) => verdict.kind !== 'invalid');
  return isSound && attempt.receipt.kind === 'opened' ? attempt.receipt.signed : undefined;
}
