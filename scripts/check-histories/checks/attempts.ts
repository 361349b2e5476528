import { COMMITMENT } from '../../../src/domain/commitment.ts';
import type { LeaseId } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease, type LeaseAcceptance } from '../../../src/domain/lease.ts';
import type { ObjectType } from '../../../src/domain/object-type.ts';
import type { Signed, SignedWire } from '../../../src/domain/signed.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { openSigned, readSignedPayload } from '../../../src/proofs/signed-object.ts';
import type { JobMachineEventOf } from '../../../src/scheduler/job-machine-events.ts';
import { type Attempt, isEnded } from '../../../src/scheduler/job-machine-state.ts';
import type { AttemptWires, JobHistory } from '../read-job.ts';
import type { RunContext } from '../run-context.ts';
import type { Rule } from '../tally.ts';

type Issued = JobMachineEventOf<'lease-issued'>;

const NO_WIRES: AttemptWires = new Map();

/** Every attempt of a job against its lease and its provider's countersignature. */
export async function checkAttempts(context: RunContext, history: JobHistory): Promise<void> {
  const { job, replayed } = history;
  if (job === undefined || replayed === undefined) return;
  const issued = new Map(
    history.events.flatMap((event) => (event.kind === 'lease-issued' ? [[event.lease, event] as const] : [])),
  );
  for (const attempt of replayed.state.attempts) {
    const event = issued.get(attempt.lease);
    const wires = history.objects.get(attempt.lease) ?? NO_WIRES;
    if (event !== undefined) await checkAttempt(context, { history, job, attempt, event, wires });
  }
  for (const lease of history.objects.keys()) {
    if (issued.has(lease)) continue;
    const key = `job-objects/${history.id}/${lease}`;
    context.tally.blame('attempts-leased', { node: history.node.name, key }, 'no attempt of the job has this lease');
  }
}

interface AttemptCase {
  readonly history: JobHistory;
  readonly job: Signed<Job>;
  readonly attempt: Attempt;
  readonly event: Issued;
  readonly wires: AttemptWires;
}

async function checkAttempt(context: RunContext, found: AttemptCase): Promise<void> {
  const { history, job, attempt, event, wires } = found;
  const subject = { node: history.node.name, key: `job-objects/${history.id}/${attempt.lease}` };
  const lease = await open(LEASE, wires.get('lease'));
  const known = context.issued.get(attempt.lease);
  context.tally.check('attempts-leased', subject, [
    ...listLeaseRules(lease, event, job),
    [known === undefined, `its lease is also that of an attempt of ${known?.attempt.lease ?? ''} of another job`],
  ]);
  const acceptance = await open(LEASE_ACCEPTANCE, wires.get('acceptance'));
  context.tally.check('leases-accepted', subject, listAcceptanceRules(acceptance, attempt));
  if (lease.signed === undefined || known !== undefined) return;
  context.issued.set(attempt.lease, {
    node: history.node,
    job,
    lease: lease.signed,
    attempt,
    isJobEnded: history.replayed !== undefined && isEnded(history.replayed.state),
    acceptedAtMs: acceptance.signed?.value.acceptedAtMs ?? null,
    receipt: digestOf(wires.get('receipt')),
    commitment: digestOf(wires.get('commitment')),
  });
  const commitment = await open(COMMITMENT, wires.get('commitment'));
  if (commitment.problem === null && commitment.signed === undefined) return;
  context.tally.check('receipts-verify', { ...subject, key: `${subject.key}/commitment` }, [
    [commitment.problem === null, commitment.problem ?? ''],
    [commitment.signed?.value.lease === attempt.lease, 'the commitment is of another lease'],
    [commitment.signed?.signer === attempt.provider, 'the commitment is not by the provider of the lease'],
  ]);
}

interface OpenedWire<Value> {
  readonly signed: Signed<Value> | undefined;
  /** Null if the signature holds, or there is none. */
  readonly problem: string | null;
}

async function open<Value extends { readonly type: string }>(
  type: ObjectType<Value>,
  wire: SignedWire | undefined,
): Promise<OpenedWire<Value>> {
  if (wire === undefined) return { signed: undefined, problem: null };
  try {
    return { signed: await openSigned(type, wire), problem: null };
  } catch (error) {
    return {
      signed: undefined,
      problem: `its signature does not hold: ${error instanceof Error ? error.message : ''}`,
    };
  }
}

function digestOf(wire: SignedWire | undefined): string | null {
  return wire === undefined ? null : encodeHex(sha256(readSignedPayload(wire)));
}

function listLeaseRules({ signed, problem }: OpenedWire<Lease>, event: Issued, job: Signed<Job>): readonly Rule[] {
  if (signed === undefined) return [[false, problem ?? 'the attempt has no lease']];
  const { value, signer } = signed;
  return [
    [(signed.id as string as LeaseId) === event.lease, `it has the lease ${signed.id}`],
    [signer === job.value.requester && value.requester === signer, `the lease is signed by ${signer}`],
    [(value.job as string) === job.id, `the lease is for the job ${value.job}`],
    [value.provider === event.provider, `the lease is for ${value.provider}, the history says ${event.provider}`],
    [
      value.replica === event.replica && value.attempt === event.attempt,
      `the lease is for replica ${value.replica}, attempt ${value.attempt}, the history says ${event.replica}, ${event.attempt}`,
    ],
    [value.issuedAtMs === event.atMs, 'the lease was issued at another time than the history says'],
    [
      value.resume?.lease === event.resumedFrom?.lease && value.resume?.step === event.resumedFrom?.step,
      'the lease goes on from another checkpoint than the history says',
    ],
    [value.deadlineMs <= job.value.deadlineMs, "the lease ends after the job's deadline"],
  ];
}

function listAcceptanceRules({ signed, problem }: OpenedWire<LeaseAcceptance>, attempt: Attempt): readonly Rule[] {
  if (problem !== null) return [[false, problem]];
  if (signed === undefined) return [[!attempt.isAccepted, 'it counts as accepted and nobody countersigned']];
  return [
    [attempt.isAccepted, 'it is countersigned and does not count as accepted'],
    [signed.value.lease === attempt.lease, `the countersignature is of the lease ${signed.value.lease}`],
    [
      signed.signer === attempt.provider && signed.value.provider === attempt.provider,
      `it is countersigned by ${signed.signer} and leased to ${attempt.provider}`,
    ],
  ];
}
