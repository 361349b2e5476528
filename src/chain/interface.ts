/**
 * chain owns everything that speaks to Solana: RPC endpoints with failover, the transaction journal (durable before
 * anything is sent), signers, anchoring of receipts, and reading of anchors for verification.
 * It does not own what is anchored (scheduler hands receipts over), the programs (programs/) nor a local chain (localnet).
 *
 * ChainReader asks the endpoints. TransactionSender journals and sends. AnchorService batches leaves, keeps their trees
 * and appends the roots to this node's log. What any endpoint answers is checked before it is used; where two are
 * configured and disagree, that is an error with both answers, never a choice.
 */
import type { Anchor, AnchorLeaf } from '../domain/anchor.ts';
import type { BlockHash, Cluster, Lamports, SolanaAddress, TransactionSignature } from '../domain/chain.ts';
import type { UnixMs } from '../domain/ids.ts';

export interface CallOptions {
  readonly signal: AbortSignal;
}

export type Commitment = 'confirmed' | 'finalized';

export interface ChainInstruction {
  readonly program: SolanaAddress;
  readonly accounts: readonly {
    readonly address: SolanaAddress;
    readonly isSigner: boolean;
    readonly isWritable: boolean;
  }[];
  readonly data: Uint8Array;
}

export interface ChainAccount {
  readonly address: SolanaAddress;
  readonly owner: SolanaAddress;
  readonly lamports: Lamports;
  readonly data: Uint8Array;
  /** Slot at which the endpoint read it. */
  readonly slot: number;
}

/** Why a transaction failed on chain: the index of the instruction, and the custom error code of its program if any. */
export interface TransactionFailure {
  /** As Solana's RPC names it, such as `InstructionError` or `InsufficientFundsForFee`. */
  readonly name: string;
  readonly instruction: number | null;
  readonly customCode: number | null;
  /** The whole error as the endpoint gave it, for people. */
  readonly detail: string;
}

export interface ChainTransaction {
  readonly signature: TransactionSignature;
  readonly slot: number;
  readonly blockTimeMs: UnixMs | null;
  readonly failure: TransactionFailure | null;
  /** Top-level instructions in order. */
  readonly instructions: readonly ChainInstruction[];
  readonly logs: readonly string[];
  readonly feeLamports: Lamports;
  readonly computeUnits: number | null;
}

export interface ChainReader {
  /** By genesis hash; every configured endpoint has the same. @throws ChainError */
  cluster(options: CallOptions): Promise<Cluster>;
  slot(options: CallOptions & { readonly commitment: Commitment }): Promise<number>;
  balance(address: SolanaAddress, options: CallOptions & { readonly commitment: Commitment }): Promise<Lamports>;
  account(
    address: SolanaAddress,
    options: CallOptions & {
      readonly commitment: Commitment;
      /** An endpoint that is behind this slot is not believed. */
      readonly minSlot?: number;
    },
  ): Promise<ChainAccount | undefined>;
  /** Undefined if no configured endpoint knows it at that commitment. */
  transaction(
    signature: TransactionSignature,
    options: CallOptions & { readonly commitment: Commitment },
  ): Promise<ChainTransaction | undefined>;
  /** Free lamports where the chain has a faucet: a local one, devnet, testnet. @throws ChainError CHAIN_NO_FAUCET, CHAIN_FAUCET_REFUSED */
  requestAirdrop(address: SolanaAddress, lamports: Lamports, options: CallOptions): Promise<TransactionSignature>;
  /** Lamports that keep an account of this size from being collected. */
  rentExemption(sizeBytes: number, options: CallOptions): Promise<Lamports>;
  /**
   * Transactions that name `address`, oldest first, from the last one handled: live by subscription, and what a lost
   * connection, a restart or a switch of endpoints left out is fetched from history, each once. `handled` moves the
   * durable cursor; a transaction is given again after a restart until it was called.
   */
  follow(
    address: SolanaAddress,
    options: CallOptions,
  ): AsyncIterable<{ readonly transaction: ChainTransaction; handled(): Promise<void> }>;
  /**
   * Transactions that name `address`, failed ones too, newest first, as far back as slot `sinceSlot` or as the endpoints'
   * history goes. Fetched page by page as it is iterated. @throws ChainError
   */
  history(
    address: SolanaAddress,
    options: CallOptions & { readonly commitment: Commitment; readonly sinceSlot: number },
  ): AsyncIterable<ChainTransaction>;
  status(): ChainStatus;
}

export interface EndpointStatus {
  /** Without credentials: user, password and query are left out. */
  readonly url: string;
  readonly state: 'untried' | 'ok' | 'failing' | 'refused';
  /** Newest slot that it told. */
  readonly slot: number | null;
  readonly latencyMs: number | null;
  /** Why it fails, or why it is refused (another genesis, a contradiction). */
  readonly problem: string | null;
}

export interface ChainStatus {
  readonly expectedGenesis: BlockHash;
  readonly cluster: Cluster | null;
  readonly isReachable: boolean;
  readonly endpoints: readonly EndpointStatus[];
}

/** Holds the key that pays and signs. */
export interface ChainSigner {
  readonly address: SolanaAddress;
  /** Where the key is, in words: `derived from the identity`, a file, or an external program. Never the key. */
  readonly description: string;
  /** Ed25519 signature (64 bytes) over the bytes of a transaction's message. @throws ChainError CHAIN_SIGNER_FAILED */
  sign(message: Uint8Array, options: CallOptions): Promise<Uint8Array>;
}

/** What is to happen on chain. The same key is the same intent: it happens at most once, whoever asks again. */
export interface TransactionIntent {
  /** Such as `anchor/7/0`. At most 200 characters. */
  readonly key: string;
  /** For people, such as `anchor 812 receipts`. */
  readonly purpose: string;
  readonly instructions: readonly ChainInstruction[];
  /** Compute units asked for. */
  readonly computeUnitLimit: number;
}

/**
 * `intended` durable, nothing sent · `sent` a signed transaction is durable and was or is being sent · `confirmed` voted
 * for · `finalized` and `failed` (on chain, at finality) are terminal · `refused` terminal: it cannot be sent as it is
 * (simulation fails, funds are missing) and was never on chain.
 * An attempt whose block hash is provably expired (finalised height above its last valid height, unknown to every
 * reachable endpoint with history search) is followed by another with a fresh one, by itself.
 */
export type TransactionState = 'intended' | 'sent' | 'confirmed' | 'finalized' | 'failed' | 'refused';

export interface TransactionAttempt {
  readonly signature: TransactionSignature;
  readonly blockHash: BlockHash;
  readonly lastValidBlockHeight: number;
  readonly signedAtMs: UnixMs;
  readonly outcome: 'pending' | 'landed' | 'expired';
}

export interface TransactionRecord {
  readonly key: string;
  readonly purpose: string;
  readonly state: TransactionState;
  readonly attempts: readonly TransactionAttempt[];
  /** Set once it landed. */
  readonly signature: TransactionSignature | null;
  readonly slot: number | null;
  readonly feeLamports: Lamports | null;
  readonly computeUnits: number | null;
  readonly failure: TransactionFailure | null;
  /** Why it waits or was refused: a code and a sentence. */
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly createdAtMs: UnixMs;
}

export interface TransactionSender {
  readonly signer: SolanaAddress;
  /** Durable when it resolves; sent soon after. Known keys give the record that is there. @throws ChainError */
  submit(intent: TransactionIntent, options: CallOptions): Promise<TransactionRecord>;
  /** Resolves at `confirmed` (or beyond) or `finalized`, or at a terminal state before that. */
  wait(key: string, options: CallOptions & { readonly until: Commitment }): Promise<TransactionRecord>;
  get(key: string): Promise<TransactionRecord | undefined>;
  /** Forgets a `refused` or `failed` intent, so that its key can be submitted anew. @throws ChainError if it is neither */
  forget(key: string): Promise<void>;
}

/**
 * `open` collects leaves · `sealed` its tree is durable · `sent`, `confirmed`, `finalized` as its transaction ·
 * `waiting` something keeps it from being sent (`problem`): it is tried again by itself.
 */
export type AnchorState = 'open' | 'sealed' | 'waiting' | 'sent' | 'confirmed' | 'finalized';

export interface AnchorView {
  /** Number of the batch at this node, from 0. */
  readonly batch: number;
  readonly state: AnchorState;
  readonly receipts: number;
  readonly checkpoints: number;
  /** Null while it is open. */
  readonly batchRoot: Uint8Array | null;
  readonly createdAtMs: UnixMs;
  /** The chain that its root is on or is sent to, by genesis hash. */
  readonly genesis: BlockHash;
  /** It is final on a chain that is not the one of this network: an earlier network of this node had that one. */
  readonly isOtherChain: boolean;
  readonly log: SolanaAddress;
  readonly generation: number | null;
  readonly entry: number | null;
  readonly transaction: TransactionSignature | null;
  readonly slot: number | null;
  readonly feeLamports: Lamports | null;
  readonly computeUnits: number | null;
  readonly problem: { readonly code: string; readonly message: string } | null;
}

export interface AnchorService {
  /** Durable when it resolves. A leaf that was given before is not anchored twice. */
  add(leaves: readonly AnchorLeaf[]): Promise<void>;
  /** Seals what is open now instead of waiting for more; resolves when it is sealed. Null if nothing is open. */
  flush(): Promise<AnchorView | null>;
  /** Resolves when the batch is finalised. @throws ChainError CHAIN_NO_BATCH */
  wait(batch: number, options: CallOptions): Promise<AnchorView>;
  /** Newest first. */
  list(filter: { readonly limit: number }): Promise<readonly AnchorView[]>;
  /** The proof of a receipt once its batch is confirmed; undefined before, and for a receipt that was never given. */
  proof(receiptDigest: Uint8Array): Promise<Anchor | undefined>;
  /** The batch that a receipt is in, anchored yet or not; undefined for one that was never given. */
  batchOf(receiptDigest: Uint8Array): Promise<number | undefined>;
  status(): AnchoringStatus;
}

export interface AnchoringStatus {
  readonly log: SolanaAddress;
  /** Leaves that wait in the open batch. */
  readonly waiting: number;
  readonly batchesInFlight: number;
  /** Leaves that are final on the chain of this network. */
  readonly anchored: number;
  readonly problem: { readonly code: string; readonly message: string } | null;
}

/** Wallet of this node, as the control socket shows it. */
export interface WalletView {
  readonly address: SolanaAddress;
  readonly signer: string;
  /** Null if no endpoint answers. */
  readonly lamports: Lamports | null;
  readonly cluster: Cluster | null;
}
