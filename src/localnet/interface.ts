/**
 * localnet owns a local chain: the Solana JSON-RPC and WebSocket API over LiteSVM (the real SVM), slots that advance,
 * block hashes that expire, and state on disk. It is no cluster: one process makes every block, and its operator knows
 * every block hash beforehand; it says so wherever it is asked.
 * It does not own our programs (programs/artifacts) nor any client (`chain`).
 */
import type { BlockHash, SolanaAddress } from '../domain/chain.ts';

/** A program that is there from the first slot, under the upgradeable loader. */
export interface GenesisProgram {
  readonly name: string;
  readonly address: SolanaAddress;
  /** The ELF file. */
  readonly bytes: Uint8Array;
}

export interface LocalChainStatus {
  /** JSON-RPC over HTTP; WebSocket upgrades are taken there too. */
  readonly url: string;
  /** Where Solana's clients look for subscriptions: the port above. */
  readonly webSocketUrl: string;
  readonly genesis: BlockHash;
  readonly slot: number;
  readonly slotMs: number;
  readonly programs: readonly Pick<GenesisProgram, 'name' | 'address'>[];
  readonly transactions: number;
  /** Null if nothing is kept on disk. */
  readonly directory: string | null;
}

/** Built by `cli/` for `fogproof localnet`, and by tests. Disposing ends it: state is on disk, connections are closed. */
export interface LocalChain extends AsyncDisposable {
  /** @throws LocalnetError LOCALNET_IN_USE, LOCALNET_PORT_TAKEN, LOCALNET_CORRUPT */
  start(options: { readonly signal: AbortSignal }): Promise<void>;
  status(): LocalChainStatus;
}
