/**
 * Decides what became of a signed transaction from what endpoints say. Pure: every rule that keeps an intent from
 * happening twice, or from being called final on one word, is here.
 */
import { FINALITY_MARGIN_SLOTS } from '../constants.ts';
import type { Answer } from '../endpoints/endpoint-pool.ts';
import type { SignatureStatus } from '../endpoints/solana-rpc.ts';
import type { TransactionFailure } from '../interface.ts';
import type { StoredAttempt } from './stored-transaction.ts';

/** What one endpoint says of an attempt after a search of its history. */
export interface SurveyedStatus {
  readonly status: SignatureStatus | null;
  /** Newest final slot and block height there, asked before the status. */
  readonly finalSlot: number;
  readonly finalHeight: number;
  /** Lowest slot of its history. */
  readonly firstSlot: number;
}

export interface Contradiction {
  readonly first: Answer<string>;
  readonly second: Answer<string>;
}

export type Judgement =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'seen' }
  | { readonly kind: 'confirmed'; readonly slot: number }
  | { readonly kind: 'final'; readonly slot: number; readonly failure: TransactionFailure | null }
  | { readonly kind: 'contradiction'; readonly contradiction: Contradiction };

/** Final only if `needed` endpoints call it final in the same slot with the same result; confirmed if any does. */
export function judgeStatuses(answers: readonly Answer<SignatureStatus | null>[], needed: number): Judgement {
  const known = answers.flatMap(({ url, value }) => (value === null ? [] : [{ url, value }]));
  const finals = known.filter(({ value }) => value.commitment === 'finalized');
  const contradiction = findContradiction(finals);
  if (contradiction !== undefined) return { kind: 'contradiction', contradiction };
  const [final] = finals;
  if (final !== undefined && finals.length >= needed) {
    return { kind: 'final', slot: final.value.slot, failure: final.value.failure };
  }
  const confirmed = final ?? known.find(({ value }) => value.commitment === 'confirmed');
  if (confirmed !== undefined) return { kind: 'confirmed', slot: confirmed.value.slot };
  return known.length > 0 ? { kind: 'seen' } : { kind: 'unknown' };
}

/** One calls it final, and another that is well past that slot, with its history, has never heard of it. */
export function findDenial(answers: readonly Answer<SurveyedStatus>[]): Contradiction | undefined {
  const final = answers.find(({ value }) => value.status?.commitment === 'finalized');
  const status = final?.value.status;
  if (final === undefined || !status) return undefined;
  const denial = answers.find(
    ({ value }) =>
      value.status === null && value.finalSlot > status.slot + FINALITY_MARGIN_SLOTS && value.firstSlot <= status.slot,
  );
  if (denial === undefined) return undefined;
  return {
    first: { url: final.url, value: describeStatus(status) },
    second: { url: denial.url, value: `unknown, at final slot ${denial.value.finalSlot}` },
  };
}

export type Absence =
  | { readonly kind: 'expired' }
  | { readonly kind: 'open' }
  | { readonly kind: 'unproven'; readonly problems: readonly string[] };

/**
 * Expired only if nobody knows it, and `needed` endpoints whose final height is past its last valid one have a history
 * that would hold it: it can then neither have landed nor land any more.
 */
export function judgeAbsence(
  attempt: Pick<StoredAttempt, 'lastValidBlockHeight' | 'signedSlot' | 'heightVotes'>,
  answers: readonly Answer<SurveyedStatus>[],
  needed: number,
): Absence {
  if (answers.some(({ value }) => value.status !== null)) return { kind: 'open' };
  if (attempt.heightVotes < needed) return { kind: 'open' };
  const past = answers.filter(({ value }) => value.finalHeight > attempt.lastValidBlockHeight);
  if (past.length < needed) return { kind: 'open' };
  const proofs = past.filter(({ value }) => value.firstSlot <= attempt.signedSlot);
  if (proofs.length >= needed) return { kind: 'expired' };
  const problems = past
    .filter(({ value }) => value.firstSlot > attempt.signedSlot)
    .map(
      ({ url, value }) =>
        `${url} keeps history from slot ${value.firstSlot} on, it was signed at ${attempt.signedSlot}`,
    );
  return { kind: 'unproven', problems };
}

function findContradiction(finals: readonly Answer<SignatureStatus>[]): Contradiction | undefined {
  const [first] = finals;
  if (first === undefined) return undefined;
  const second = finals.find(({ value }) => describeStatus(value) !== describeStatus(first.value));
  if (second === undefined) return undefined;
  return {
    first: { url: first.url, value: describeStatus(first.value) },
    second: { url: second.url, value: describeStatus(second.value) },
  };
}

function describeStatus({ slot, commitment, failure }: SignatureStatus): string {
  return `${commitment} in slot ${slot}${failure === null ? '' : `, failed: ${failure.detail}`}`;
}
