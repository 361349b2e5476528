import type { Commitment, CommitmentSet } from '../../domain/commitment.ts';
import { JobId, LeaseId, type ObjectId, type PeerKey } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { computeCommitmentDigest } from '../../proofs/commitment.ts';
import { CLOCK_SKEW_MS } from '../constants.ts';
import type { Opened, OpenedAttempt, OpenedEvidence, OpenedUnrevealed } from '../open-evidence.ts';
import { isResult } from './accepted-result.ts';
import { verifiedReceipt } from './attempt.ts';
import { type Check, checkRules, checkSignature, shortPeer, uncheckedCheck } from './check.ts';
import { checkLease } from './lease.ts';
import { collectStateRoots, type StateRoots } from './state-roots.ts';

type CommitmentSetWithId = NonNullable<OpenedEvidence['commitmentSet']>;

/** What became of one replica. Only `counted` ones committed in time, opened their commitment and are sound. */
export interface Replica {
  readonly label: string;
  readonly lease: Signed<Lease>;
  readonly standing: 'counted' | 'late' | 'unsound' | 'unrevealed';
  readonly receipt: Signed<Receipt> | undefined;
  readonly commitment: ObjectId | undefined;
  readonly checks: readonly Check[];
  /** Of its checkpoints; empty where it has none, or they do not hold. */
  readonly stateRoots: StateRoots;
}

/** Every replica that gave a result or committed to one. Attempts whose lease is refused appear among the attempts. */
export function collectReplicas(evidence: OpenedEvidence, job: Signed<Job>): readonly Replica[] {
  return [
    ...evidence.attempts.flatMap((attempt) => collectAttempt(attempt, job, evidence.commitmentSet)),
    ...evidence.unrevealed.flatMap((replica) => collectUnrevealed(replica, job, evidence.commitmentSet)),
  ];
}

function collectAttempt(attempt: OpenedAttempt, job: Signed<Job>, set: CommitmentSetWithId | null): readonly Replica[] {
  const { label, lease, receipt, commitment } = attempt;
  if (lease.kind === 'refused' || (receipt.kind === 'opened' && !isResult(receipt.signed))) return [];
  const base = { label, lease: lease.signed, stateRoots: collectStateRoots(attempt) };
  if (commitment === null) {
    return [{ ...base, standing: 'late', receipt: undefined, commitment: undefined, checks: [] }];
  }
  const committed = { lease: lease.signed, commitment, setSignature: attempt.setSignature, set };
  const checks = [...checkCommitment(label, job, committed), ...checkOpening(attempt, committed)];
  const sound = verifiedReceipt(attempt, job);
  const isCounted = sound !== undefined && checks.every(({ verdict }) => verdict.kind === 'valid');
  return [
    {
      ...base,
      standing: isCounted ? 'counted' : 'unsound',
      receipt: sound,
      commitment: commitment.kind === 'opened' ? commitment.signed.id : undefined,
      checks,
    },
  ];
}

function collectUnrevealed(
  replica: OpenedUnrevealed,
  job: Signed<Job>,
  set: CommitmentSetWithId | null,
): readonly Replica[] {
  const { label, lease, commitment, setSignature } = replica;
  const checks = [checkSignature(`${label}: lease signature`, lease, job.value.requester)];
  if (lease.kind === 'refused') {
    return [];
  }
  checks.push(...checkLease(label, lease.signed, job));
  checks.push(...checkCommitment(label, job, { lease: lease.signed, commitment, setSignature, set }));
  return [
    {
      label,
      lease: lease.signed,
      stateRoots: new Map(),
      standing: 'unrevealed',
      receipt: undefined,
      commitment: commitment.kind === 'opened' ? commitment.signed.id : undefined,
      checks,
    },
  ];
}

interface Committed {
  readonly lease: Signed<Lease>;
  readonly commitment: Opened<Commitment>;
  readonly setSignature: Opened<CommitmentSet> | null;
  readonly set: CommitmentSetWithId | null;
}

/** Design section 7: each provider signed its commitment, and then the hash of the whole set of commitments. */
function checkCommitment(label: string, job: Signed<Job>, committed: Committed): readonly Check[] {
  const { lease, commitment, set } = committed;
  const checks = [checkSignature(`${label}: commitment signature`, commitment, lease.value.provider)];
  if (commitment.kind === 'opened') {
    const { id, value } = commitment.signed;
    checks.push(
      checkRules(`${label}: commitment parties`, 'WRONG_PARTIES', [
        [value.job === JobId(job.id), 'the commitment is for another job'],
        [value.lease === LeaseId(lease.id), 'the commitment is for another lease'],
        [value.provider === lease.value.provider, 'it names another provider than the lease'],
      ]),
      checkRules(`${label}: commitment times`, 'WRONG_TIME', [
        [value.committedAtMs >= lease.value.issuedAtMs - CLOCK_SKEW_MS, 'it is older than the lease'],
        [value.committedAtMs <= lease.value.deadlineMs + CLOCK_SKEW_MS, "it was made after the lease's deadline"],
      ]),
      checkRules(`${label}: commitment in the set`, 'WRONG_SET', [
        [set !== null, 'there is no set of commitments'],
        [set?.value.commitments.includes(id) === true, 'the set of commitments does not hold this one'],
      ]),
    );
  }
  checks.push(checkSetSignature(label, committed));
  return checks;
}

function checkSetSignature(label: string, { lease, setSignature, set }: Committed): Check {
  const name = `${label}: set signature`;
  const { provider } = lease.value;
  if (setSignature === null) return uncheckedCheck(name, `the signature of ${shortPeer(provider)} over the set`);
  const signature = checkSignature(name, setSignature, provider);
  if (signature.verdict.kind !== 'valid' || setSignature.kind === 'refused') return signature;
  return checkRules(name, 'WRONG_SET', [[setSignature.signed.id === set?.id, 'it signed another set of commitments']]);
}

/** The receipt opens the commitment: same lease and output root, with the salt that it reveals. */
function checkOpening({ label, receipt }: OpenedAttempt, { lease, commitment, set }: Committed): readonly Check[] {
  if (receipt.kind === 'refused' || commitment.kind === 'refused') return [];
  const { value } = receipt.signed;
  const { digest, committedAtMs } = commitment.signed.value;
  const { salt, outputRoot } = value;
  return [
    checkRules(`${label}: commitment opens`, 'WRONG_COMMITMENT', [
      [salt !== null, 'the receipt does not reveal the salt'],
      [
        salt !== null && areBytesEqual(computeCommitmentDigest({ lease: LeaseId(lease.id), outputRoot, salt }), digest),
        'the digest is not that of this lease, output root and salt',
      ],
      [value.commitmentSet === set?.id, 'the receipt names another set of commitments'],
    ]),
    checkRules(`${label}: committed after the run`, 'WRONG_TIME', [
      [committedAtMs >= value.finishedAtMs - CLOCK_SKEW_MS, 'it committed before it had finished'],
    ]),
  ];
}

export function providerOf(replica: Replica): PeerKey {
  return replica.lease.value.provider;
}
