/**
 * Checks of the line that an attempt inherited its state along: each earlier attempt is of the same job, replica and
 * requester, and the checkpoint that was taken over is the one that the next lease names.
 */
import { JobId, LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { type PreviousLink, verifyCheckpoint } from '../../proofs/verify-chain.ts';
import type { OpenedAttempt, OpenedInherited } from '../open-evidence.ts';
import { type Check, checkRules, checkSignature, combineChecks, type Rule, uncheckedCheck, valueOf } from './check.ts';
import { checkAcceptance, checkLease } from './lease.ts';

export function checkLine(
  { label, inherited }: OpenedAttempt,
  lease: Signed<Lease>,
  job: Signed<Job>,
): readonly Check[] {
  const { resume } = lease.value;
  if (resume === undefined && inherited.length === 0) return [];
  const name = `${label}: line`;
  if (resume === undefined) {
    return [
      checkRules(name, 'WRONG_LINE', [[false, 'it inherited nothing by its lease, and the file says that it did']]),
    ];
  }
  if (inherited.length === 0) return [uncheckedCheck(name, `the attempts that ${label} went on from`)];
  const checks = inherited.flatMap((earlier, index) => {
    const next = inherited[index + 1];
    const heir = next === undefined ? lease : signedLease(next);
    return [...checkInherited(earlier, job), checkTakenOver(earlier, heir, job)];
  });
  const oldest = inherited[0];
  const oldestLease = oldest === undefined ? undefined : valueOf(oldest.lease);
  const isWhole = oldestLease !== undefined && oldestLease.resume === undefined;
  return [
    ...checks,
    isWhole ? checkRules(name, 'WRONG_LINE', []) : uncheckedCheck(name, `the attempts before inherited 1 of ${label}`),
  ];
}

function signedLease({ lease }: OpenedInherited): Signed<Lease> | undefined {
  return lease.kind === 'opened' ? lease.signed : undefined;
}

function checkInherited(earlier: OpenedInherited, job: Signed<Job>): readonly Check[] {
  const { label, acceptance } = earlier;
  const lease = signedLease(earlier);
  return [
    checkSignature(`${label}: lease signature`, earlier.lease, job.value.requester),
    checkSignature(`${label}: acceptance signature`, acceptance, lease?.value.provider),
    ...(lease === undefined ? [] : checkLease(label, lease, job)),
    ...(lease === undefined || acceptance.kind === 'refused'
      ? []
      : checkAcceptance(label, acceptance.signed.value, lease)),
    ...(lease === undefined ? [] : checkCheckpoints(earlier, lease, job)),
  ];
}

/** Each is signed by the lease's provider and is the hash of what it says; neighbours follow on each other. */
function checkCheckpoints(
  { label, checkpoints }: OpenedInherited,
  lease: Signed<Lease>,
  job: Signed<Job>,
): readonly Check[] {
  const name = `${label}: checkpoint signatures`;
  const signatures = checkpoints.map((checkpoint) => checkSignature(name, checkpoint, lease.value.provider));
  let previous: PreviousLink = null;
  const rules: Rule[] = [];
  for (const checkpoint of checkpoints) {
    if (checkpoint.kind === 'refused') continue;
    const checked = verifyCheckpoint(checkpoint.signed, { job, lease, previous });
    if (!checked.ok) rules.push([false, `${checked.problem.check}: ${checked.problem.detail}`]);
    previous = checkpoint.signed.value;
  }
  const first = checkpoints[0];
  const isFirstThere = first !== undefined && valueOf(first)?.index === 0;
  return [
    { name, verdict: combineChecks(signatures) },
    checkRules(`${label}: checkpoints`, 'WRONG_CHAIN', rules),
    ...(isFirstThere ? [] : [uncheckedCheck(`${label}: start`, `the first checkpoint of ${label}`)]),
  ];
}

/** The last checkpoint of the one attempt is what the lease of the next one names. */
function checkTakenOver(earlier: OpenedInherited, heir: Signed<Lease> | undefined, job: Signed<Job>): Check {
  const name = `${earlier.label}: taken over`;
  const lease = signedLease(earlier);
  const last = earlier.checkpoints.at(-1);
  const taken = last === undefined ? undefined : valueOf(last);
  if (heir === undefined || lease === undefined || taken === undefined) {
    return uncheckedCheck(name, `the lease or the checkpoint that ${earlier.label} was taken over with`);
  }
  const { resume } = heir.value;
  return checkRules(name, 'WRONG_LINE', [
    [resume !== undefined && resume.lease === LeaseId(lease.id), 'the next lease goes on from another attempt'],
    [
      resume?.step === taken.step,
      `the next lease goes on after step ${resume?.step}, this one ends with ${taken.step}`,
    ],
    [resume !== undefined && areBytesEqual(resume.head, taken.head), 'the next lease names another checkpoint'],
    [resume !== undefined && areBytesEqual(resume.stateRoot, taken.stateRoot), 'the next lease names another state'],
    [lease.value.job === JobId(job.id), 'it is of another job'],
    [lease.value.replica === heir.value.replica, 'it is of another replica, whose state must not be inherited'],
    [lease.value.attempt < heir.value.attempt, 'it does not come before the attempt that went on from it'],
  ]);
}
