import type { TransactionSignature } from '../../domain/chain.ts';
import { BLOCK_HASH_LIFETIME } from '../constants.ts';
import type { Answer } from '../endpoints/endpoint-pool.ts';
import type { SignatureStatus, SolanaRpc } from '../endpoints/solana-rpc.ts';
import type { CallOptions } from '../interface.ts';
import type { SurveyedStatus } from './judge.ts';
import type { StoredAttempt } from './stored-transaction.ts';

export interface Surveyed {
  /** Height above which nothing signed before this survey can land, by this endpoint. */
  readonly expiryHeight: number;
  readonly statuses: ReadonlyMap<TransactionSignature, SurveyedStatus>;
}

/**
 * What one endpoint knows for sure of these attempts. The order matters: a status that is asked for after the final
 * height was told is one of a chain that has at least that height, if it comes from a node that is as far.
 */
export async function surveyAttempts(
  rpc: SolanaRpc,
  attempts: readonly Pick<StoredAttempt, 'signature'>[],
  { signal }: CallOptions,
): Promise<Surveyed> {
  const { blockHeight: newestHeight } = await rpc.height('processed', { signal });
  const { slot: finalSlot, blockHeight: finalHeight } = await rpc.height('finalized', { signal });
  const firstSlot = await rpc.firstAvailableBlock({ signal });
  const signatures = attempts.map(({ signature }) => signature);
  const statuses = await rpc.signatureStatuses(signatures, {
    signal,
    searchTransactionHistory: true,
    minSlot: finalSlot,
  });
  return {
    expiryHeight: newestHeight + BLOCK_HASH_LIFETIME,
    statuses: new Map(
      signatures.map((signature, index) => [
        signature,
        { status: statuses[index] ?? null, finalSlot, finalHeight, firstSlot },
      ]),
    ),
  };
}

/** What the endpoints say of one attempt. */
export function pickSurveyed(
  answers: readonly Answer<Surveyed>[],
  signature: TransactionSignature,
): readonly Answer<SurveyedStatus>[] {
  return answers.flatMap(({ url, value }) => {
    const status = value.statuses.get(signature);
    return status === undefined ? [] : [{ url, value: status }];
  });
}

/** Recent statuses, with what only the search of a history found. */
export function mergeStatuses(
  recent: readonly Answer<SignatureStatus | null>[],
  surveyed: readonly Answer<SurveyedStatus>[],
): readonly Answer<SignatureStatus | null>[] {
  const found = new Map(surveyed.map(({ url, value }) => [url, value.status]));
  const merged = recent.map(({ url, value }) => ({ url, value: value ?? found.get(url) ?? null }));
  const others = surveyed.filter(({ url }) => recent.every((answer) => answer.url !== url));
  return [...merged, ...others.map(({ url, value }) => ({ url, value: value.status }))];
}
