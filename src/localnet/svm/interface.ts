/** What the rest of localnet knows of the virtual machine. */
import type { TransactionErrorJson } from './transaction-error.ts';

export interface AccountState {
  readonly lamports: bigint;
  /** Base58. */
  readonly owner: string;
  readonly data: Uint8Array;
  readonly executable: boolean;
  readonly rentEpoch: bigint;
}

export interface InnerInstructions {
  /** The instruction that called. */
  readonly index: number;
  readonly instructions: readonly {
    readonly programIdIndex: number;
    readonly accounts: readonly number[];
    readonly data: Uint8Array;
    readonly stackHeight: number;
  }[];
}

export interface ReturnData {
  readonly programId: string;
  readonly data: Uint8Array;
}

export interface Outcome {
  readonly error: TransactionErrorJson | null;
  /** False if it was refused before it ran: no fee, no trace in a block. */
  readonly isIncluded: boolean;
  readonly logs: readonly string[];
  readonly innerInstructions: readonly InnerInstructions[];
  readonly unitsConsumed: bigint;
  readonly returnData: ReturnData | null;
}

export interface Simulation extends Outcome {
  /** Writable accounts as they would be; empty if it failed. */
  readonly accounts: ReadonlyMap<string, AccountState>;
}

/** What programs see of the chain: the sysvars Clock, SlotHashes and RecentBlockhashes. */
export interface SlotView {
  readonly slot: number;
  readonly unixTimestamp: number;
  readonly epoch: number;
  readonly epochStartTimestamp: number;
  /** Closed blocks, newest first. */
  readonly blocks: readonly { readonly slot: number; readonly blockhash: Uint8Array }[];
}
