/** What the ledger tells and takes: the rest of localnet (JSON-RPC, subscriptions) reads it and never the machine. */
import type { AccountState, InnerInstructions, ReturnData } from '../svm/interface.ts';
import type { TransactionErrorJson } from '../svm/transaction-error.ts';
import type { WireTransaction } from '../svm/wire-transaction.ts';

export type Commitment = 'processed' | 'confirmed' | 'finalized';

export interface BlockHeader {
  /** Also its height: no slot is skipped. */
  readonly slot: number;
  readonly blockhash: string;
  readonly previousBlockhash: string;
  /** Unix seconds, when the slot began: what the sysvar Clock said in it. */
  readonly blockTime: number;
  /** Transactions in it, and of the chain with it. */
  readonly transactionCount: number;
  readonly totalTransactions: number;
}

export interface LoadedAddresses {
  readonly writable: readonly string[];
  readonly readonly: readonly string[];
}

export interface TokenBalance {
  readonly accountIndex: number;
  readonly mint: string;
  readonly owner: string;
  readonly programId: string;
  readonly amount: string;
  readonly decimals: number;
}

/** What the execution of a transaction left. */
export interface TransactionMeta {
  readonly error: TransactionErrorJson | null;
  readonly fee: bigint;
  readonly preBalances: readonly bigint[];
  readonly postBalances: readonly bigint[];
  readonly preTokenBalances: readonly TokenBalance[];
  readonly postTokenBalances: readonly TokenBalance[];
  readonly innerInstructions: readonly InnerInstructions[];
  readonly logs: readonly string[];
  readonly loadedAddresses: LoadedAddresses;
  readonly unitsConsumed: bigint;
  readonly returnData: ReturnData | null;
}

export interface TransactionRecord {
  readonly wire: WireTransaction;
  readonly slot: number;
  /** Place in its block. */
  readonly index: number;
  readonly blockTime: number;
  readonly meta: TransactionMeta;
}

export type AccountChanges = ReadonlyMap<string, AccountState | undefined>;

export interface ExecutedTransaction {
  readonly record: TransactionRecord;
  readonly changes: AccountChanges;
}

export interface SignatureStatus {
  readonly slot: number;
  readonly error: TransactionErrorJson | null;
}

/** Static accounts, then those of lookup tables. */
export interface ResolvedAccounts {
  readonly keys: readonly string[];
  readonly isWritable: readonly boolean[];
  readonly loaded: LoadedAddresses;
}

export interface LedgerListener {
  /** Executed, and on disk. */
  onTransaction(transaction: ExecutedTransaction): void;
  /** A slot began; its parent is closed and on disk. */
  onSlot(slot: number): void;
  /** All of `slot` has reached a commitment. */
  onCommitment(commitment: 'confirmed' | 'finalized', slot: number): void;
}
