import type { ObjectId } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import type { Signed } from '../../../domain/signed.ts';
import { verifyAttestedStatement } from '../../../proofs/attested-statement.ts';
import type { ReleasedEvidence } from '../../job-machine-events.ts';
import type { Attempt } from '../../job-machine-state.ts';
import type { AttemptCase } from '../attempt-case.ts';
import { type Checked, checkRules, invalid, valid } from '../checked.ts';

/** Whose word the result of a confidential attempt has to be. */
export interface AttestedExpectation {
  readonly evidence: ReleasedEvidence;
  readonly release: ObjectId;
}

/** Null where nothing was released to the attempt. */
export function expectAttestation(
  attempt: Attempt | undefined,
  { release }: Pick<AttemptCase, 'release'>,
): AttestedExpectation | null {
  const evidence = attempt?.released?.evidence;
  return evidence === undefined || release === null ? null : { evidence, release: release.id };
}

/** The result of a confidential job is signed by the key that its evidence vouches for; those of other jobs are not. */
export function checkAttestation(
  receipt: Signed<Receipt>,
  { job, attested }: { readonly job: Job; readonly attested: AttestedExpectation | null },
): Checked<Signed<Receipt>> {
  const code = 'BAD_ATTESTATION';
  const { attestation, outputRoot, lease, result } = receipt.value;
  if (job.confidential === undefined || result.outcome.kind === 'attempt-failed') {
    return attestation === undefined ? valid(receipt) : invalid(code, 'it attests to what needs none');
  }
  if (attested === null) return invalid(code, 'it gives a result, and nothing was released to it');
  if (attestation === undefined) return invalid(code, 'the attested key has not signed the result');
  const { evidence, release } = attested;
  const { signingKey, nonce } = evidence;
  const { commitments } = job.confidential;
  const statement = { job: receipt.value.job, lease, nonce, commitments, outputRoot };
  return checkRules(code, receipt, [
    [(attestation.evidence as string) === evidence.blob, 'it names other evidence than was shown'],
    [attestation.evidenceSizeBytes === evidence.sizeBytes, 'it names another size of the evidence'],
    [attestation.release === release, 'it names another release'],
    [
      verifyAttestedStatement(statement, { signingKey, signature: attestation.signature }),
      'the signature over the result is not of the attested key',
    ],
  ]);
}
