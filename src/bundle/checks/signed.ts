/** The `signed` assurance: this provider says so (design section 7). */
import type { AssuranceReport } from '../../domain/assurance.ts';
import type { Bundle } from '../../domain/bundle.ts';
import type { BlobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { listProgramBlobs } from '../../domain/workload.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import type { OpenedAttempt, OpenedEvidence } from '../open-evidence.ts';
import type { SnapshotInFile } from '../snapshot-register.ts';
import type { AcceptedResult } from './accepted-result.ts';
import { checkAttempt, verifiedReceipt } from './attempt.ts';
import {
  type Check,
  checkRules,
  checkSignature,
  combineChecks,
  listNames,
  shortPeer,
  uncheckedCheck,
  valueOf,
} from './check.ts';
import { describeChain } from './describe-chain.ts';
import { checkSnapshots } from './snapshots.ts';

export interface SignedContext {
  readonly accepted: AcceptedResult | undefined;
  /** Which files it takes to tell the accepted result; null where none is missing. */
  readonly missing: string | null;
  readonly blobs: Bundle['blobs'];
  readonly snapshots: readonly SnapshotInFile[];
  /** Time of the verifying machine, if it has one that it trusts. */
  readonly nowMs: number | undefined;
}

export function reportSigned(evidence: OpenedEvidence, context: SignedContext): AssuranceReport {
  const job = evidence.job.kind === 'opened' ? evidence.job.signed : undefined;
  const sound = job === undefined ? [] : evidence.attempts.flatMap((attempt) => listSound(attempt, job));
  const checks = [
    checkSignature('job signature', evidence.job, job?.value.requester),
    ...(job === undefined ? [] : checkJobEvidence(evidence, job, context)),
  ];
  return {
    assurance: 'signed',
    statement: describeSigned(job, sound),
    by: [...new Set(sound.map(({ receipt }) => receipt.provider as string))],
    assumes: ['the private key of each provider named here was in its hands alone when it signed'],
    doesNotClaim: [
      'that what the provider says is true: that it ran the program, or ran it unchanged',
      'who stands behind a key, or where the machine is',
      'that the sandbox, the usage and the times in the receipt are as stated',
      ...(sound.some(({ receipt }) => receipt.checkpointRoot !== null)
        ? [
            'that one checkpoint follows from the one before: a replay of the interval (`fogproof job replay`) or a second replica shows that',
          ]
        : []),
      ...(sound.some(({ receipt }) => (receipt.sandbox.inference?.cachedItems ?? 0) > 0)
        ? ['that items which were answered from a cache were computed for this job, or when they were']
        : []),
    ],
    verdict: combineChecks(checks),
    checks,
  };
}

interface SoundAttempt {
  readonly attempt: OpenedAttempt;
  readonly receipt: Receipt;
}

function listSound(attempt: OpenedAttempt, job: Signed<Job>): readonly SoundAttempt[] {
  const receipt = verifiedReceipt(attempt, job)?.value;
  return receipt === undefined ? [] : [{ attempt, receipt }];
}

function checkJobEvidence(evidence: OpenedEvidence, job: Signed<Job>, context: SignedContext): readonly Check[] {
  return [
    checkJobTerms(job.value),
    ...evidence.attempts.flatMap((attempt) => checkAttempt(attempt, job)),
    checkDistinct(evidence.attempts),
    checkListedBlobs(evidence, job.value, context.blobs),
    ...checkSnapshots(evidence, job, context.snapshots),
    ...checkOutputs(context),
    ...checkClock(evidence, job.value, context.nowMs),
  ];
}

function checkJobTerms(job: Job): Check {
  const { replicas, quorum } = job.replication;
  const paths = job.inputs.map(({ path }) => path);
  return checkRules('job terms', 'WRONG_TERMS', [
    [job.deadlineMs > job.createdAtMs, 'its deadline is before it was made'],
    [quorum <= replicas && quorum > replicas / 2, `a quorum of ${quorum} of ${replicas} replicas is not possible`],
    [new Set(paths).size === paths.length, 'two inputs have one path'],
  ]);
}

function checkDistinct(attempts: readonly OpenedAttempt[]): Check {
  const leases = attempts.flatMap(({ lease }) => (lease.kind === 'opened' ? [lease.signed.id] : []));
  return checkRules('attempts distinct', 'REPEATED', [
    [new Set(leases).size === leases.length, 'two attempts stand under one lease'],
  ]);
}

/** Nothing is in the list of blobs that the signed objects do not name, with the size that they state. */
function checkListedBlobs(evidence: OpenedEvidence, job: Job, blobs: Bundle['blobs']): Check {
  const named = new Set([
    ...[...listProgramBlobs(job.workload), ...job.inputs].map(({ blob, sizeBytes }) => nameBlob(blob, sizeBytes)),
    ...evidence.attempts
      .flatMap(({ receipt }) => valueOf(receipt)?.result.outputs ?? [])
      .map(({ blob, sizeBytes }) => nameBlob(blob, sizeBytes)),
    ...evidence.attempts
      .flatMap(({ receipt }) => valueOf(receipt)?.checkpointChain ?? [])
      .map(({ blob, sizeBytes }) => nameBlob(blob, sizeBytes)),
    ...evidence.attempts
      .flatMap(({ receipt }) => valueOf(receipt)?.attestation ?? [])
      .map((attestation) => nameBlob(attestation.evidence, attestation.evidenceSizeBytes)),
  ]);
  return checkRules(
    'blobs named',
    'WRONG_BLOB',
    blobs.map(({ blob, sizeBytes }) => [
      named.has(nameBlob(blob, sizeBytes)),
      `no signed object of this file names a blob ${blob} of ${sizeBytes} bytes`,
    ]),
  );
}

function nameBlob(blob: BlobId, sizeBytes: number): string {
  return `${blob} ${sizeBytes}`;
}

/** Blocks were hashed when they were read: what is in the file is what the receipts name. */
function checkOutputs({ accepted, missing: needed, blobs }: SignedContext): readonly Check[] {
  if (accepted === undefined && needed !== null) return [uncheckedCheck('accepted result', needed)];
  if (accepted === undefined) {
    return [checkRules('accepted result', 'NO_RESULT', [[false, 'there is no result that most sound receipts give']])];
  }
  const included = new Set(blobs.filter((blob) => blob.included).map(({ blob }) => blob));
  const missing = accepted.result.outputs.filter(({ blob }) => !included.has(blob));
  if (missing.length > 0) {
    const names = missing.map(({ path, blob, sizeBytes }) => `${path} (${sizeBytes} bytes, ${blob})`);
    return [uncheckedCheck('outputs in the file', `output ${listNames(names)}`)];
  }
  return [checkRules('outputs in the file', 'WRONG_BLOB', outputSizeRules(accepted, blobs))];
}

function outputSizeRules({ result }: AcceptedResult, blobs: Bundle['blobs']) {
  const sizes = new Map(blobs.map(({ blob, sizeBytes }) => [blob, sizeBytes]));
  return result.outputs.map(
    ({ path, blob, sizeBytes }) =>
      [
        sizes.get(blob) === sizeBytes,
        `output ${path} is not of the ${sizeBytes} bytes that the receipt states`,
      ] as const,
  );
}

function checkClock(evidence: OpenedEvidence, job: Job, nowMs: number | undefined): readonly Check[] {
  if (nowMs === undefined) return [];
  const latestMs = Math.max(
    job.createdAtMs,
    ...evidence.attempts.map(({ receipt }) => valueOf(receipt)?.finishedAtMs ?? 0),
  );
  if (latestMs <= nowMs + CLOCK_SKEW_MS) return [checkRules('times past', 'WRONG_TIME', [])];
  return [uncheckedCheck('times past', `a clock that has reached ${new Date(latestMs).toISOString()}`)];
}

function describeSigned(job: Signed<Job> | undefined, sound: readonly SoundAttempt[]): string {
  if (job === undefined) return 'Nothing: the signature of the job does not hold.';
  if (sound.length === 0) return `Nothing: no receipt for job '${job.value.name}' (${job.id}) passes its checks.`;
  return sound
    .map(({ attempt, receipt }) => [describeReceipt(job.value, receipt), ...describeChain(attempt)].join(' '))
    .join('\n');
}

function describeReceipt({ name, confidential }: Job, receipt: Receipt): string {
  const { result, sandbox } = receipt;
  const seconds = ((receipt.finishedAtMs - receipt.startedAtMs) / 1000).toFixed(1);
  return (
    `Provider ${shortPeer(receipt.provider)} states that it ran job '${name}' in ${seconds} s ` +
    `(${sandbox.executor}${sandbox.image === undefined ? '' : ` of image ${sandbox.image}`}, isolation '${sandbox.isolation}'): ${describeOutcome(result.outcome)}, ` +
    `with ${describeOutputs(result, confidential !== undefined)}, ` +
    `${result.fuel === null ? '' : `${result.fuel} units of fuel and `}output root ${receipt.outputRoot}.` +
    describeInference(sandbox.inference)
  );
}

function describeInference(report: Receipt['sandbox']['inference']): string {
  if (report === undefined) return '';
  const { items, cachedItems, calls, largestBatchRows } = report;
  const run = items - cachedItems;
  const parts = [
    ...(run === 0
      ? []
      : [`${run} of its ${items} items were run in ${calls} calls of at most ${largestBatchRows} rows`]),
    ...(cachedItems === 0
      ? []
      : [`${cachedItems} of its ${items} items were not run: it gave what it computed before for this requester`]),
  ];
  return parts.length === 0 ? '' : ` ${parts.join('; ')}.`;
}

/** Names of sealed files are the hashes of sealed bytes. */
export function describeOutputs({ outputs }: Receipt['result'], isSealed: boolean): string {
  return `${outputs.length} ${isSealed ? 'sealed output' : 'output'} ${outputs.length === 1 ? 'file' : 'files'}`;
}

export function describeOutcome(outcome: Receipt['result']['outcome']): string {
  switch (outcome.kind) {
    case 'completed':
      return 'completed';
    case 'program-failed':
      // Of a confidential job there is no detail: it may say something of the inputs.
      return `the program failed (${outcome.code}${outcome.detail === '' ? '' : `: ${outcome.detail}`})`;
    case 'attempt-failed':
      return `the attempt failed (${outcome.code}: ${outcome.detail})`;
    default:
      return outcome satisfies never;
  }
}
