import type { BlockHash, Lamports, SolanaAddress, TransactionSignature } from '../../domain/chain.ts';
import { blockHashSchema, transactionSignatureSchema } from '../../domain/chain.ts';
import { MAX_ACCOUNT_RESPONSE_BYTES, MAX_TRANSACTION_RESPONSE_BYTES, SIGNATURE_PAGE } from '../constants.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, ChainAccount, ChainTransaction, Commitment, TransactionFailure } from '../interface.ts';
import type { EndpointUrl } from './endpoint-url.ts';
import {
  accountSchema,
  balanceSchema,
  blockSchema,
  countSchema,
  epochInfoSchema,
  feeSchema,
  lamportsSchema,
  latestBlockHashSchema,
  prioritizationFeesSchema,
  signatureStatusesSchema,
  signaturesSchema,
  simulationSchema,
  slotsSchema,
} from './rpc-schemas.ts';
import { RpcTransport, type RpcTransportModules } from './rpc-transport.ts';
import { decodeTransactionResponse } from './transaction-decoder.ts';
import { parseTransactionError } from './transaction-error.ts';

export interface LatestBlockHash {
  readonly blockHash: BlockHash;
  readonly lastValidBlockHeight: number;
  /** Slot at which the endpoint read it. */
  readonly slot: number;
}

export interface SignatureStatus {
  readonly slot: number;
  readonly commitment: 'processed' | Commitment;
  readonly failure: TransactionFailure | null;
}

export interface Simulation {
  readonly failure: TransactionFailure | null;
  readonly logs: readonly string[];
  readonly computeUnits: number | null;
}

export interface ListedSignature {
  readonly signature: TransactionSignature;
  readonly slot: number;
}

export interface Block {
  readonly blockHash: BlockHash;
  /** Unix seconds. */
  readonly blockTime: number | null;
}

export interface SolanaRpcModules extends RpcTransportModules {
  /** Every slot that an answer names. */
  readonly onSlot: (slot: number) => void;
}

/** JSON-RPC codes for a slot without a block (skipped, or not in this node's ledger). */
const NO_BLOCK_CODES: ReadonlySet<number> = new Set([-32_007, -32_009]);

/** The questions that we ask one endpoint, through the Solana client. Answers are validated; slow ones are given up. */
export class SolanaRpc {
  readonly #modules: SolanaRpcModules;
  readonly #transport: RpcTransport;

  constructor(modules: SolanaRpcModules, options: { readonly timeoutMs: number }) {
    this.#modules = modules;
    this.#transport = new RpcTransport(modules, options);
  }

  get url(): EndpointUrl {
    return this.#modules.url;
  }

  genesis(options: CallOptions): Promise<BlockHash> {
    return this.#transport.ask(
      { method: 'getGenesisHash', schema: blockHashSchema, ask: (c) => c.getGenesisHash() },
      options,
    );
  }

  async slot(commitment: Commitment, options: CallOptions): Promise<number> {
    const slot = await this.#transport.ask(
      { method: 'getSlot', schema: countSchema, ask: (c) => c.getSlot(commitment) },
      options,
    );
    this.#modules.onSlot(slot);
    return slot;
  }

  /** Slot and block height: their difference is the slots without a block. */
  async height(
    commitment: 'processed' | Commitment,
    options: CallOptions,
  ): Promise<{ slot: number; blockHeight: number }> {
    const { absoluteSlot: slot, blockHeight } = await this.#transport.ask(
      { method: 'getEpochInfo', schema: epochInfoSchema, ask: (c) => c.getEpochInfo(commitment) },
      options,
    );
    this.#modules.onSlot(slot);
    return { slot, blockHeight };
  }

  async balance(address: SolanaAddress, commitment: Commitment, options: CallOptions): Promise<Lamports> {
    const { context, value } = await this.#transport.ask(
      {
        method: 'getBalance',
        schema: balanceSchema,
        ask: (c, web3) => c.getBalanceAndContext(new web3.PublicKey(address), commitment),
      },
      options,
    );
    this.#modules.onSlot(context.slot);
    return value;
  }

  async account(
    address: SolanaAddress,
    options: CallOptions & { readonly commitment: Commitment; readonly minSlot?: number },
  ): Promise<ChainAccount | undefined> {
    const { commitment, minSlot } = options;
    const { context, value } = await this.#transport.ask(
      {
        method: 'getAccountInfo',
        schema: accountSchema,
        maxBytes: MAX_ACCOUNT_RESPONSE_BYTES,
        ask: async (c, web3) => {
          const config = minSlot === undefined ? { commitment } : { commitment, minContextSlot: minSlot };
          const answer = await c.getAccountInfoAndContext(new web3.PublicKey(address), config);
          const account = answer.value;
          return { ...answer, value: account === null ? null : { ...account, owner: account.owner.toBase58() } };
        },
      },
      options,
    );
    this.#modules.onSlot(context.slot);
    if (context.slot < (minSlot ?? 0)) throw this.#behind(`it is at slot ${context.slot}, before ${minSlot}`);
    return value === null ? undefined : { address, ...value, data: new Uint8Array(value.data), slot: context.slot };
  }

  /** With a valid signature over exactly what is given: an endpoint cannot make one up or alter it. */
  transaction(
    signature: TransactionSignature,
    commitment: Commitment,
    options: CallOptions,
  ): Promise<ChainTransaction | undefined> {
    return this.#transport.run(
      { method: 'getTransaction', maxBytes: MAX_TRANSACTION_RESPONSE_BYTES },
      options,
      async (connection) => {
        const answer = await connection.getTransaction(signature, { commitment, maxSupportedTransactionVersion: 0 });
        return answer === null
          ? undefined
          : decodeTransactionResponse(signature, answer, (reason) => this.#transport.bad('getTransaction', reason));
      },
    );
  }

  /** An answer from before `minSlot` is refused: behind one address there may be several nodes. */
  async signatureStatuses(
    signatures: readonly TransactionSignature[],
    options: CallOptions & { readonly searchTransactionHistory: boolean; readonly minSlot?: number },
  ): Promise<readonly (SignatureStatus | null)[]> {
    const { searchTransactionHistory, minSlot = 0 } = options;
    const { context, value } = await this.#transport.ask(
      {
        method: 'getSignatureStatuses',
        schema: signatureStatusesSchema,
        ask: (c) => c.getSignatureStatuses([...signatures], { searchTransactionHistory }),
      },
      options,
    );
    this.#modules.onSlot(context.slot);
    if (context.slot < minSlot) throw this.#behind(`it is at slot ${context.slot}, before ${minSlot}`);
    if (value.length !== signatures.length) throw this.#transport.bad('getSignatureStatuses', 'statuses are missing');
    return value.map((status) => {
      if (status === null) return null;
      // Solana's RPC: a rooted transaction has no count of confirmations.
      const commitment = status.confirmationStatus ?? (status.confirmations === null ? 'finalized' : 'processed');
      return {
        slot: status.slot,
        commitment,
        failure: status.err === null ? null : parseTransactionError(status.err),
      };
    });
  }

  async latestBlockHash(commitment: Commitment, options: CallOptions): Promise<LatestBlockHash> {
    const { context, value } = await this.#transport.ask(
      {
        method: 'getLatestBlockhash',
        schema: latestBlockHashSchema,
        ask: (c) => c.getLatestBlockhashAndContext(commitment),
      },
      options,
    );
    this.#modules.onSlot(context.slot);
    return {
      blockHash: value.blockhash,
      lastValidBlockHeight: value.lastValidBlockHeight,
      slot: context.slot,
    };
  }

  /** @param transaction wire bytes; their signature is not checked, and the newest block hash is taken */
  async simulate(transaction: Uint8Array, commitment: Commitment, options: CallOptions): Promise<Simulation> {
    const { value } = await this.#transport.ask(
      {
        method: 'simulateTransaction',
        schema: simulationSchema,
        ask: (c, web3) =>
          c.simulateTransaction(web3.VersionedTransaction.deserialize(transaction), {
            commitment,
            sigVerify: false,
            replaceRecentBlockhash: true,
          }),
      },
      options,
    );
    return {
      failure: value.err === null ? null : parseTransactionError(value.err),
      logs: value.logs ?? [],
      computeUnits: value.unitsConsumed ?? null,
    };
  }

  /** Sends without preflight, and without the endpoint's own retries: the journal sends again. */
  send(transaction: Uint8Array, options: CallOptions): Promise<TransactionSignature> {
    return this.#transport.ask(
      {
        method: 'sendTransaction',
        schema: transactionSignatureSchema,
        ask: (c) => c.sendRawTransaction(transaction, { skipPreflight: true, maxRetries: 0 }),
      },
      options,
    );
  }

  /** @param message bytes of a transaction's message */
  async fee(message: Uint8Array, commitment: Commitment, options: CallOptions): Promise<Lamports | null> {
    const { value } = await this.#transport.ask(
      {
        method: 'getFeeForMessage',
        schema: feeSchema,
        ask: (c, web3) => c.getFeeForMessage(web3.VersionedMessage.deserialize(message), commitment),
      },
      options,
    );
    return value;
  }

  /** Micro-lamports a compute unit that transactions writing to these accounts paid in recent slots. */
  async prioritizationFees(accounts: readonly SolanaAddress[], options: CallOptions): Promise<readonly number[]> {
    const fees = await this.#transport.ask(
      {
        method: 'getRecentPrioritizationFees',
        schema: prioritizationFeesSchema,
        ask: (c, web3) =>
          c.getRecentPrioritizationFees({
            lockedWritableAccounts: accounts.map((account) => new web3.PublicKey(account)),
          }),
      },
      options,
    );
    return fees.map(({ prioritizationFee }) => prioritizationFee);
  }

  /** Newest first. */
  async signaturesFor(
    address: SolanaAddress,
    page: { readonly before?: TransactionSignature; readonly until?: TransactionSignature },
    options: CallOptions & { readonly commitment: Commitment },
  ): Promise<readonly ListedSignature[]> {
    return this.#transport.ask(
      {
        method: 'getSignaturesForAddress',
        schema: signaturesSchema,
        ask: (c, web3) =>
          c.getSignaturesForAddress(
            new web3.PublicKey(address),
            { ...page, limit: SIGNATURE_PAGE },
            options.commitment,
          ),
      },
      options,
    );
  }

  firstAvailableBlock(options: CallOptions): Promise<number> {
    return this.#transport.ask(
      { method: 'getFirstAvailableBlock', schema: countSchema, ask: (c) => c.getFirstAvailableBlock() },
      options,
    );
  }

  /** Slots with a final block, ascending, both ends included. */
  blocks(first: number, last: number, options: CallOptions): Promise<readonly number[]> {
    return this.#transport.ask(
      { method: 'getBlocks', schema: slotsSchema, ask: (c) => c.getBlocks(first, last, 'finalized') },
      options,
    );
  }

  /** Null if the slot has no block. */
  async block(slot: number, options: CallOptions): Promise<Block | null> {
    try {
      const block = await this.#transport.ask(
        {
          method: 'getBlock',
          schema: blockSchema,
          ask: (c) =>
            c.getBlock(slot, {
              commitment: 'finalized',
              transactionDetails: 'none',
              rewards: false,
              maxSupportedTransactionVersion: 0,
            }),
        },
        options,
      );
      return block === null ? null : { blockHash: block.blockhash, blockTime: block.blockTime };
    } catch (error) {
      if (isRpcError(error, NO_BLOCK_CODES)) return null;
      throw error;
    }
  }

  rentExemption(sizeBytes: number, options: CallOptions): Promise<Lamports> {
    return this.#transport.ask(
      {
        method: 'getMinimumBalanceForRentExemption',
        schema: lamportsSchema,
        ask: (c) => c.getMinimumBalanceForRentExemption(sizeBytes),
      },
      options,
    );
  }

  airdrop(address: SolanaAddress, lamports: Lamports, options: CallOptions): Promise<TransactionSignature> {
    return this.#transport.ask(
      {
        method: 'requestAirdrop',
        schema: transactionSignatureSchema,
        ask: (c, web3) => c.requestAirdrop(new web3.PublicKey(address), Number(lamports)),
      },
      options,
    );
  }

  #behind(reason: string): ChainError {
    const { label: url } = this.url;
    return new ChainError({ code: 'CHAIN_ENDPOINT_FAILED', url, fault: 'behind', reason, retryAfterMs: null });
  }
}

export function isRpcError(error: unknown, codes: ReadonlySet<number>): boolean {
  return error instanceof ChainError && error.info.code === 'CHAIN_RPC_ERROR' && codes.has(error.info.rpcCode);
}
