import type { ObjectId, PeerKey } from '../domain/ids.ts';
import type { Lease, LeaseAcceptance } from '../domain/lease.ts';
import { OBSERVED_DIMENSIONS, type Observation } from '../domain/observation.ts';
import { type ObservationRefusal, type ObservationRuleCode, refuseObservation } from '../domain/observation-rules.ts';
import type { Receipt } from '../domain/receipt.ts';
import { CLOCK_SKEW_MS } from './constants.ts';

/** An object whose signature holds. */
export interface Shown<Value> {
  readonly value: Value;
  readonly signer: PeerKey;
  readonly id: ObjectId;
}

/** What an observer shows. Which of it must be there follows from the observation. */
export interface ShownEvidence {
  readonly receipt?: Shown<Receipt>;
  readonly lease?: Shown<Lease>;
  readonly acceptance?: Shown<LeaseAcceptance>;
}

export interface JudgeContext {
  readonly networkId: string;
  readonly epochMs: number;
  readonly nowMs: number;
  /** Whose gossip message it is; null where it was asked for. */
  readonly publisher: PeerKey | null;
}

/** Rounds and epochs are counted from Unix time 0, as those of the beacon. */
export function computeEpoch(timeMs: number, epochMs: number): number {
  return Math.floor(timeMs / epochMs);
}

/**
 * Whether an observation whose signature holds may count (docs/reputation.md). Null: it may. Pure; what there is room for is the
 * ledger's to say.
 */
export function judgeObservation(
  { value, signer }: Pick<Shown<Observation>, 'value' | 'signer'>,
  evidence: ShownEvidence,
  context: JudgeContext,
): ObservationRefusal | null {
  const code = findFormFault(value, signer, context) ?? findEvidenceFault(value, evidence);
  return code === null ? null : refuseObservation(code);
}

function findFormFault(value: Observation, signer: PeerKey, context: JudgeContext): ObservationRuleCode | null {
  if (signer !== value.observer) return 'OBSERVATION_WRONG_SIGNER';
  if (context.publisher !== null && context.publisher !== signer) return 'OBSERVATION_WRONG_PUBLISHER';
  if (value.network !== context.networkId) return 'OBSERVATION_OTHER_NETWORK';
  if (value.observer === value.subject) return 'OBSERVATION_OF_ITSELF';
  const isEmpty = OBSERVED_DIMENSIONS.every((dimension) => value.outcome[dimension] === 'none');
  if (isEmpty && value.rating === null) return 'OBSERVATION_EMPTY';
  if (value.rating !== null && !(isEmpty && value.role === 'provider' && value.receipt !== null)) {
    return 'OBSERVATION_MISRATED';
  }
  if (value.epoch !== computeEpoch(value.observedAtMs, context.epochMs)) return 'OBSERVATION_WRONG_EPOCH';
  if (value.observedAtMs - CLOCK_SKEW_MS > context.nowMs) return 'OBSERVATION_NOT_YET';
  return null;
}

/** The subject itself must have signed that there was such an attempt, with this counterparty. */
function findEvidenceFault(value: Observation, evidence: ShownEvidence): ObservationRuleCode | null {
  const { receipt, lease, acceptance } = evidence;
  if (receipt === undefined && lease === undefined) return 'OBSERVATION_UNCHECKED';
  if (value.role === 'requester') {
    const isOwn = lease !== undefined && lease.signer === value.subject;
    return isOwn && isOfLease(lease, value)
      ? findTimeFault(value, lease.value.issuedAtMs)
      : 'OBSERVATION_FOREIGN_EVIDENCE';
  }
  if (value.receipt !== null) {
    return receipt !== undefined && isOfReceipt(receipt, value)
      ? findReceiptFault(value, receipt.value)
      : 'OBSERVATION_FOREIGN_EVIDENCE';
  }
  const isAccepted = acceptance?.signer === value.subject && acceptance.value.lease === value.lease;
  if (!isAccepted || lease?.signer !== value.observer || !isOfLease(lease, value))
    return 'OBSERVATION_FOREIGN_EVIDENCE';
  if (value.outcome.completion === 'success') return 'OBSERVATION_CONTRADICTED';
  return findTimeFault(value, lease.value.issuedAtMs);
}

function isOfReceipt({ value: receipt, signer, id }: Shown<Receipt>, value: Observation): boolean {
  return (
    id === value.receipt &&
    signer === value.subject &&
    receipt.network === value.network &&
    receipt.provider === value.subject &&
    receipt.requester === value.observer &&
    receipt.job === value.job &&
    receipt.lease === value.lease
  );
}

/** The observer must be the counterparty that the lease names. */
function isOfLease({ value: lease, id }: Shown<Lease>, value: Observation): boolean {
  const [provider, requester] =
    value.role === 'provider' ? [value.subject, value.observer] : [value.observer, value.subject];
  return (
    // A lease's id is that of its payload, under another brand.
    (id as string) === value.lease &&
    lease.network === value.network &&
    lease.job === value.job &&
    lease.provider === provider &&
    lease.requester === requester
  );
}

function findReceiptFault(value: Observation, receipt: Receipt): ObservationRuleCode | null {
  const isFailure = receipt.result.outcome.kind === 'attempt-failed';
  if (isFailure && value.outcome.completion === 'success') return 'OBSERVATION_CONTRADICTED';
  // All ratings of a lease are of one epoch: once it is folded there is none to come that would count beside the first.
  const isRatable = !isFailure && value.observedAtMs === receipt.finishedAtMs;
  if (value.rating !== null && !isRatable) return 'OBSERVATION_MISRATED';
  return findTimeFault(value, receipt.finishedAtMs);
}

/** Nothing is observed before it happens. */
function findTimeFault(value: Observation, happenedAtMs: number): ObservationRuleCode | null {
  return value.observedAtMs + CLOCK_SKEW_MS < happenedAtMs ? 'OBSERVATION_CONTRADICTED' : null;
}
