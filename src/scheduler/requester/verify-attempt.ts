import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../../domain/commitment.ts';
import type { ObjectId } from '../../domain/ids.ts';
import { LEASE_ACCEPTANCE, type Lease, type LeaseAcceptance, PROGRESS, type Progress } from '../../domain/lease.ts';
import type { Signed, SignedManyWire, SignedWire } from '../../domain/signed.ts';
import { openMany, openSigned } from '../../proofs/signed-object.ts';
import { leaseIdOf } from '../object-ids.ts';
import { type Checked, checkOpened, checkRules, invalid, valid } from './checked.ts';

/** Every lease of the request must be accepted, in order, by its provider. */
export async function verifyAcceptances(
  many: SignedManyWire,
  leases: readonly Signed<Lease>[],
): Promise<Checked<readonly Signed<LeaseAcceptance>[]>> {
  const provider = leases[0]?.value.provider;
  const opened = await checkOpened('BAD_ACCEPTANCE', () => openMany(LEASE_ACCEPTANCE, many, provider));
  if (opened.kind === 'invalid') return opened;
  const acceptances = opened.value;
  const isEach = acceptances.every(({ value }, index) => {
    const lease = leases[index];
    return lease !== undefined && value.lease === leaseIdOf(lease) && value.provider === provider;
  });
  return checkRules('BAD_ACCEPTANCE', acceptances, [
    [acceptances.length === leases.length, `${acceptances.length} acceptances for ${leases.length} leases`],
    [isEach, 'it accepts another lease'],
  ]);
}

/** `lastSequence`: of the progress seen before; it must count up, or an old signature could be played again. */
export async function verifyProgress(
  wire: SignedWire,
  lease: Signed<Lease>,
  lastSequence: number,
): Promise<Checked<Progress>> {
  const opened = await checkOpened('BAD_PROGRESS', () => openSigned(PROGRESS, wire, lease.value.provider));
  if (opened.kind === 'invalid') return opened;
  const progress = opened.value.value;
  return checkRules('BAD_PROGRESS', progress, [
    [progress.lease === leaseIdOf(lease), 'it is for another lease'],
    [progress.sequence > lastSequence, `sequence ${progress.sequence} does not follow ${lastSequence}`],
  ]);
}

export async function verifyCommitment(wire: SignedWire, lease: Signed<Lease>): Promise<Checked<Signed<Commitment>>> {
  const opened = await checkOpened('BAD_COMMITMENT', () => openSigned(COMMITMENT, wire, lease.value.provider));
  if (opened.kind === 'invalid') return opened;
  const { value: commitment } = opened.value;
  return checkRules('BAD_COMMITMENT', opened.value, [
    [commitment.lease === leaseIdOf(lease), 'it is for another lease'],
    [commitment.job === lease.value.job, 'it is for another job'],
    [commitment.provider === lease.value.provider, 'it names another provider'],
  ]);
}

export async function verifySetSignature(
  wire: SignedWire,
  lease: Signed<Lease>,
  setId: ObjectId,
): Promise<Checked<Signed<CommitmentSet>>> {
  const opened = await checkOpened('BAD_SET_SIGNATURE', () => openSigned(COMMITMENT_SET, wire, lease.value.provider));
  if (opened.kind === 'invalid') return opened;
  return opened.value.id === setId ? valid(opened.value) : invalid('BAD_SET_SIGNATURE', 'it signs another set');
}
