import type { TokenState } from '../svm/token-state.ts';

export interface UiTokenAmount {
  readonly amount: string;
  readonly decimals: number;
  readonly uiAmount: number | null;
  readonly uiAmountString: string;
}

export function encodeTokenAmount(amount: bigint, decimals: number): UiTokenAmount {
  const uiAmountString = formatUnits(amount, decimals);
  return { amount: String(amount), decimals, uiAmount: Number(uiAmountString), uiAmountString };
}

/** Without trailing zeros, as Solana's nodes write it. */
function formatUnits(amount: bigint, decimals: number): string {
  if (decimals === 0) return String(amount);
  const digits = String(amount).padStart(decimals + 1, '0');
  const text = `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
  return text.replace(/\.?0+$/, '');
}

/** `jsonParsed` of a token program's account; undefined for an account whose mint is not known. */
export function encodeTokenState(token: TokenState, decimals: number | undefined): object | undefined {
  switch (token.kind) {
    case 'mint': {
      const { mintAuthority, supply, freezeAuthority, isInitialized } = token;
      const info = { decimals: token.decimals, freezeAuthority, isInitialized, mintAuthority, supply: String(supply) };
      return { type: 'mint', info };
    }
    case 'multisig': {
      const { kind, ...info } = token;
      return { type: kind, info };
    }
    case 'account':
      return decimals === undefined ? undefined : { type: 'account', info: encodeTokenAccount(token, decimals) };
    default:
      return token satisfies never;
  }
}

function encodeTokenAccount(token: Extract<TokenState, { kind: 'account' }>, decimals: number): object {
  const { mint, owner, state, amount, delegate, delegatedAmount, closeAuthority, nativeReserve } = token;
  return {
    isNative: nativeReserve !== null,
    mint,
    owner,
    state,
    tokenAmount: encodeTokenAmount(amount, decimals),
    ...(delegate === null ? {} : { delegate, delegatedAmount: encodeTokenAmount(delegatedAmount, decimals) }),
    ...(closeAuthority === null ? {} : { closeAuthority }),
    ...(nativeReserve === null ? {} : { rentExemptReserve: encodeTokenAmount(nativeReserve, decimals) }),
  };
}
