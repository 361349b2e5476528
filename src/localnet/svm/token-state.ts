import { encodeBase58 } from '../../domain/chain.ts';
import type { AccountState } from './interface.ts';
import { TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from './program-ids.ts';

/** Layouts of SPL Token (https://github.com/solana-program/token, `state.rs`); Token-2022 puts extensions behind them. */
const MINT_BYTES = 82;
const ACCOUNT_BYTES = 165;
const MULTISIG_BYTES = 355;
/** Token-2022: what an account with extensions is, behind the 165 bytes. */
const KIND_MINT = 1;
const KIND_ACCOUNT = 2;

const ACCOUNT_STATES = ['uninitialized', 'initialized', 'frozen'] as const;

export interface TokenMint {
  readonly kind: 'mint';
  readonly mintAuthority: string | null;
  readonly supply: bigint;
  readonly decimals: number;
  readonly isInitialized: boolean;
  readonly freezeAuthority: string | null;
}

export interface TokenAccount {
  readonly kind: 'account';
  readonly mint: string;
  readonly owner: string;
  readonly amount: bigint;
  readonly delegate: string | null;
  readonly state: (typeof ACCOUNT_STATES)[number];
  /** Rent reserve of wrapped SOL. */
  readonly nativeReserve: bigint | null;
  readonly delegatedAmount: bigint;
  readonly closeAuthority: string | null;
}

export interface TokenMultisig {
  readonly kind: 'multisig';
  readonly numRequiredSigners: number;
  readonly numValidSigners: number;
  readonly isInitialized: boolean;
  readonly signers: readonly string[];
}

export type TokenState = TokenMint | TokenAccount | TokenMultisig;

export function isTokenProgram(address: string): boolean {
  return address === TOKEN_PROGRAM || address === TOKEN_2022_PROGRAM;
}

/** What a token program's account holds; undefined if it is none, or not initialised. */
export function readTokenState({ owner, data }: AccountState): TokenState | undefined {
  if (!isTokenProgram(owner)) return undefined;
  const kind = data.length > ACCOUNT_BYTES && data.length !== MULTISIG_BYTES ? data[ACCOUNT_BYTES] : undefined;
  const hasExtensions = owner === TOKEN_2022_PROGRAM;
  if (data.length === MINT_BYTES || (hasExtensions && kind === KIND_MINT)) return readMint(data);
  if (data.length === ACCOUNT_BYTES || (hasExtensions && kind === KIND_ACCOUNT)) return readAccount(data);
  return data.length === MULTISIG_BYTES ? readMultisig(data) : undefined;
}

export function readTokenAccount(state: AccountState | undefined): TokenAccount | undefined {
  const token = state === undefined ? undefined : readTokenState(state);
  return token?.kind === 'account' ? token : undefined;
}

export function readTokenMint(state: AccountState | undefined): TokenMint | undefined {
  const token = state === undefined ? undefined : readTokenState(state);
  return token?.kind === 'mint' ? token : undefined;
}

function readMint(data: Uint8Array): TokenMint | undefined {
  const view = viewOf(data);
  if (data[45] !== 1) return undefined;
  return {
    kind: 'mint',
    mintAuthority: readOptionalKey(data, 0),
    supply: view.getBigUint64(36, true),
    decimals: data[44] ?? 0,
    isInitialized: true,
    freezeAuthority: readOptionalKey(data, 46),
  };
}

function readAccount(data: Uint8Array): TokenAccount | undefined {
  const view = viewOf(data);
  const state = ACCOUNT_STATES[data[108] ?? 0];
  if (state === undefined || state === 'uninitialized') return undefined;
  return {
    kind: 'account',
    mint: readKey(data, 0),
    owner: readKey(data, 32),
    amount: view.getBigUint64(64, true),
    delegate: readOptionalKey(data, 72),
    state,
    nativeReserve: view.getUint32(109, true) === 1 ? view.getBigUint64(113, true) : null,
    delegatedAmount: view.getBigUint64(121, true),
    closeAuthority: readOptionalKey(data, 129),
  };
}

function readMultisig(data: Uint8Array): TokenMultisig | undefined {
  if (data[2] !== 1) return undefined;
  const numValidSigners = data[1] ?? 0;
  return {
    kind: 'multisig',
    numRequiredSigners: data[0] ?? 0,
    numValidSigners,
    isInitialized: true,
    signers: Array.from({ length: Math.min(numValidSigners, 11) }, (_, index) => readKey(data, 3 + index * 32)),
  };
}

/** A `COption`: u32 tag, then 32 bytes either way. */
function readOptionalKey(data: Uint8Array, offset: number): string | null {
  return viewOf(data).getUint32(offset, true) === 1 ? readKey(data, offset + 4) : null;
}

function readKey(data: Uint8Array, offset: number): string {
  return encodeBase58(data.subarray(offset, offset + 32));
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
