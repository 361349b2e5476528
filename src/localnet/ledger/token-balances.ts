import type { AccountState } from '../svm/interface.ts';
import { readTokenAccount, readTokenMint } from '../svm/token-state.ts';
import type { TokenBalance } from './interface.ts';

/** Balances of the token accounts among those of a transaction. */
export function readTokenBalances(
  keys: readonly string[],
  read: (address: string) => AccountState | undefined,
): TokenBalance[] {
  return keys.flatMap((address, accountIndex) => {
    const state = read(address);
    const token = readTokenAccount(state);
    const mint = token === undefined ? undefined : readTokenMint(read(token.mint));
    if (state === undefined || token === undefined || mint === undefined) return [];
    const { amount, owner } = token;
    const programId = state.owner;
    return [{ accountIndex, mint: token.mint, owner, programId, amount: String(amount), decimals: mint.decimals }];
  });
}
