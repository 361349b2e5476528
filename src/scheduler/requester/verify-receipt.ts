import { satisfiesIsolation } from '../../domain/capability.ts';
import type { Commitment } from '../../domain/commitment.ts';
import { areGpusWanted } from '../../domain/gpu.ts';
import type { ObjectId } from '../../domain/ids.ts';
import { findReportProblem } from '../../domain/inference-workload.ts';
import type { Job, Resources } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import { RECEIPT, type Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedManyWire, SignedWire } from '../../domain/signed.ts';
import { hasFuel, imageOf, isFuelWithin } from '../../domain/workload.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { computeCommitmentDigest, computeOutputRoot } from '../../proofs/commitment.ts';
import { openMany, openSigned } from '../../proofs/signed-object.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import { leaseIdOf } from '../object-ids.ts';
import { type Checked, checkOpened, checkRules, invalid } from './checked.ts';
import { type AttestedExpectation, checkAttestation } from './confidential/check-attestation.ts';
import { limitOutputs } from './confidential/sealed-sizes.ts';
import { FINISHED_AFTER_LEASE, findContradiction, type LeaseCourse } from './judge-lateness.ts';

export interface ReceiptExpectation {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  /** As the offer named it. */
  readonly instrumenter: string;
  /** What the provider committed to and the set it signed; null where nothing was committed. */
  readonly committed: { readonly commitment: Commitment; readonly set: ObjectId } | null;
  /** What its times have to fit; null where they are judged apart. */
  readonly course: LeaseCourse | null;
  /** Of a confidential job what was released to the attempt. */
  readonly attested: AttestedExpectation | null;
}

export async function verifyReceipt(wire: SignedWire, expected: ReceiptExpectation): Promise<Checked<Signed<Receipt>>> {
  const { provider } = expected.lease.value;
  const opened = await checkOpened('BAD_RECEIPT', () => openSigned(RECEIPT, wire, provider));
  return opened.kind === 'invalid' ? opened : checkReceipt(opened.value, expected);
}

/** The receipts of one batch signature, opened but not yet compared with their leases. */
export function openReceipts(many: SignedManyWire, lease: Signed<Lease>): Promise<Checked<Signed<Receipt>[]>> {
  return checkOpened('BAD_RECEIPT', () => openMany(RECEIPT, many, lease.value.provider));
}

/** Rules of a receipt whose signature is already verified. */
export function checkReceipt(receipt: Signed<Receipt>, expected: ReceiptExpectation): Checked<Signed<Receipt>> {
  const { value } = receipt;
  const lease = expected.lease.value;
  const makesCheckpoints = expected.job.value.checkpoints !== undefined;
  const parties = checkRules('BAD_RECEIPT', receipt, [
    [value.network === lease.network, 'it is for another network'],
    [value.job === lease.job && value.result.job === lease.job, 'it is for another job'],
    [value.lease === leaseIdOf(expected.lease), 'it is for another lease'],
    [value.requester === lease.requester, 'it names another requester'],
    [value.provider === lease.provider, 'it names another provider'],
    [value.startedAtMs <= value.finishedAtMs, 'it finished before it started'],
    [value.finishedAtMs >= lease.issuedAtMs - CLOCK_SKEW_MS, 'it finished before the lease was issued'],
    [value.outputRoot === computeOutputRoot(value.result), 'its output root is not the id of its result'],
    [
      (value.checkpointRoot === null) === (value.checkpointChain === undefined),
      'it names a checkpoint root without a chain, or a chain without a root',
    ],
    [makesCheckpoints || value.checkpointRoot === null, 'it has checkpoints, and the job makes none'],
  ]);
  if (parties.kind === 'invalid') return parties;
  if (value.result.outcome.kind === 'attempt-failed') return parties;
  const contradiction = expected.course === null ? undefined : findContradiction(expected.course, value);
  if (contradiction !== undefined) return invalid(FINISHED_AFTER_LEASE, contradiction);
  const content = checkResult(receipt, expected);
  if (content.kind === 'invalid') return content;
  const opening = checkOpening(receipt, expected);
  return opening.kind === 'invalid' ? opening : checkAttestation(receipt, { ...expected, job: expected.job.value });
}

function checkResult(receipt: Signed<Receipt>, expected: ReceiptExpectation): Checked<Signed<Receipt>> {
  const { result, sandbox, checkpointRoot } = receipt.value;
  const { resources, isolation, checkpoints, workload } = expected.job.value;
  // A program that failed may have done so before the state at its start.
  const mustHaveChain = checkpoints !== undefined && result.outcome.kind === 'completed';
  const outputBytes = result.outputs.reduce((sum, output) => sum + output.sizeBytes, 0);
  const isOrdered = result.outputs.every((output, index) => {
    const before = result.outputs[index - 1];
    return before === undefined || before.path < output.path;
  });
  const { outcome } = result;
  const isOverFuel = outcome.kind === 'program-failed' && outcome.code === 'OUT_OF_FUEL';
  const isProgramNamed = result.instrumentedModule !== null || outcome.kind !== 'completed' || !hasFuel(workload.kind);
  const reported = findReportProblem(workload, {
    report: sandbox.inference,
    isCompleted: outcome.kind === 'completed',
  });
  return checkRules('BAD_RESULT', receipt, [
    [reported === null, reported ?? ''],
    [result.instrumenter === expected.instrumenter, `instrumenter ${result.instrumenter} is not the offer's`],
    [isProgramNamed, 'it names no module as it ran'],
    [!mustHaveChain || checkpointRoot !== null, 'it has no checkpoints'],
    [isOrdered, 'its outputs are not in ascending order of path'],
    [
      outputBytes <= limitOutputs(expected.job.value, result.outputs.length),
      `${outputBytes} output bytes are over the limit`,
    ],
    [isFuelWithin(result.fuel, { resources }) || isOverFuel, `${result.fuel ?? 'no'} units of fuel are over the limit`],
    [sandbox.executor === workload.kind, `it ran as ${sandbox.executor} and not as ${workload.kind}`],
    [hasGpusAsked(receipt.value, resources), 'the GPUs that it names are not those asked for'],
    [
      outcome.kind !== 'completed' || sandbox.image === imageOf(workload),
      `it ran ${sandbox.image ?? 'no image'}, not that of the job`,
    ],
    [satisfiesIsolation(sandbox.isolation, isolation), `isolation ${sandbox.isolation} is weaker than asked for`],
  ]);
}

/** A program that ran was given what its job asks for, and no GPU twice; of one that did not run nothing can be said. */
function hasGpusAsked({ sandbox: { gpus }, result }: Receipt, { gpus: asked }: Resources): boolean {
  if (result.outcome.kind === 'attempt-failed') return true;
  return areGpusWanted(asked, gpus) && new Set(gpus?.map(({ uuid }) => uuid)).size === (gpus?.length ?? 0);
}

/** Commit, then reveal (design section 7): the salt must open the commitment that stands in the signed set. */
function checkOpening(receipt: Signed<Receipt>, expected: ReceiptExpectation): Checked<Signed<Receipt>> {
  const { salt, outputRoot, lease, commitmentSet } = receipt.value;
  const { committed } = expected;
  if (committed === null) {
    return checkRules('BAD_RECEIPT', receipt, [[salt === null && commitmentSet === null, 'it opens no commitment']]);
  }
  if (salt === null) return invalid('BAD_OPENING', 'it does not open its commitment');
  const digest = computeCommitmentDigest({ lease, outputRoot, salt });
  return checkRules('BAD_OPENING', receipt, [
    [areBytesEqual(digest, committed.commitment.digest), 'the result is not the one that was committed to'],
    [commitmentSet === committed.set, 'it names another set of commitments'],
  ]);
}
