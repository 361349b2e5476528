import type { SolanaAddress } from '../../domain/chain.ts';
import { MAX_SWEEP_KEPT, MAX_SWEEP_PAGES, SIGNATURE_PAGE } from '../constants.ts';
import type { ListedSignature, SolanaRpc } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions } from '../interface.ts';

export interface SweepRequest {
  readonly address: SolanaAddress;
  /** Newest transaction that was given; undefined for all. */
  readonly since: ListedSignature | undefined;
}

export interface Sweep {
  /** Oldest first. Of the slot of `since` on: what is there again is for the caller to tell. */
  readonly entries: readonly ListedSignature[];
  /** False if newer ones were left out: sweep again from the last of these. */
  readonly isComplete: boolean;
}

/** Reads an address's history back to `since` at one endpoint. */
export async function sweepHistory(
  rpc: SolanaRpc,
  { address, since }: SweepRequest,
  { signal }: CallOptions,
): Promise<Sweep> {
  let kept: ListedSignature[] = [];
  let isComplete = true;
  for (let page = 0; page < MAX_SWEEP_PAGES; page += 1) {
    const before = kept.at(-1);
    const range = before === undefined ? {} : { before: before.signature };
    const listed = await rpc.signaturesFor(address, range, { signal, commitment: 'finalized' });
    assertDescending(rpc, before === undefined ? listed : [before, ...listed]);
    const wanted = listed.filter(({ slot }) => slot >= (since?.slot ?? 0));
    kept.push(...wanted);
    if (kept.length > MAX_SWEEP_KEPT) {
      kept = kept.slice(-MAX_SWEEP_KEPT);
      isComplete = false;
    }
    if (wanted.length < listed.length || listed.length < SIGNATURE_PAGE) {
      await assertReaches(rpc, since, { signal });
      return { entries: kept.toReversed(), isComplete };
    }
  }
  throw refuse(rpc, `more than ${MAX_SWEEP_PAGES} pages`);
}

/** An endpoint whose history begins after the last transaction handled may leave out what was between. */
async function assertReaches(rpc: SolanaRpc, since: ListedSignature | undefined, options: CallOptions): Promise<void> {
  if (since === undefined) return;
  const firstSlot = await rpc.firstAvailableBlock(options);
  if (firstSlot <= since.slot) return;
  throw new ChainError({ code: 'CHAIN_HISTORY_GONE', url: rpc.url.label, slot: since.slot, firstSlot });
}

function assertDescending(rpc: SolanaRpc, entries: readonly ListedSignature[]): void {
  const isDescending = entries.every(({ slot }, index) => index === 0 || slot <= (entries[index - 1]?.slot ?? 0));
  if (!isDescending) throw refuse(rpc, 'not from the newest to the oldest');
}

function refuse(rpc: SolanaRpc, reason: string): ChainError {
  return new ChainError({
    code: 'CHAIN_BAD_RESPONSE',
    url: rpc.url.label,
    method: 'getSignaturesForAddress',
    reason,
  });
}
