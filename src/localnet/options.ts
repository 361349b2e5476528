import type { SolanaAddress } from '../domain/chain.ts';
import type { GenesisProgram } from './interface.ts';
import type { AccountState } from './svm/interface.ts';

export interface GenesisAccount {
  readonly address: SolanaAddress;
  readonly state: AccountState;
}

export interface LocalnetOptions {
  /** Folder of the state; null keeps it in memory. */
  readonly directory: string | null;
  /** Begins a new chain: what the folder holds is thrown away, once the ports are known to be free. */
  readonly reset?: boolean;
  readonly host?: string;
  /** HTTP; WebSocket is one above it. 0 takes a free pair. */
  readonly port?: number;
  /** Length of a slot in ms. */
  readonly slotMs?: number;
  /** Slots after which a block counts as confirmed, and as finalized. */
  readonly confirmedLag?: number;
  readonly finalizedLag?: number;
  /** Transactions kept; older ones are forgotten, oldest first. */
  readonly maxTransactions?: number;
  /** Blocks without transactions kept. */
  readonly maxEmptyBlocks?: number;
  readonly programs?: readonly GenesisProgram[];
  /** Accounts that a new chain begins with. */
  readonly accounts?: readonly GenesisAccount[];
  /** Names, besides localhost and IP addresses, under which clients may call. */
  readonly allowedHosts?: readonly string[];
}

export type ResolvedLocalnetOptions = Required<LocalnetOptions>;

export const LOCALNET_DEFAULTS = {
  reset: false,
  host: '127.0.0.1',
  port: 8899,
  // Solana's target.
  slotMs: 400,
  // Nothing votes here, so a block is certain as soon as it is closed: one slot keeps `processed` apart from
  // `confirmed`, and two keep `confirmed` apart from `finalized`, so that clients meet all three states in this order.
  confirmedLag: 1,
  finalizedLag: 2,
  maxTransactions: 200_000,
  maxEmptyBlocks: 432_000,
  programs: [],
  accounts: [],
  allowedHosts: [],
} as const satisfies Partial<LocalnetOptions>;

export const MIN_SLOT_MS = 5;
export const MAX_SLOT_MS = 60_000;

export function resolveLocalnetOptions(options: LocalnetOptions): ResolvedLocalnetOptions {
  return { ...LOCALNET_DEFAULTS, ...options };
}
