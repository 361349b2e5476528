import {
  type BlockHash,
  type Cluster,
  identifyCluster,
  type Lamports,
  type SolanaAddress,
  type TransactionSignature,
} from '../../domain/chain.ts';
import type { Clock } from '../../lib/clock.ts';
import { pause } from '../../lib/pause.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import { MAX_AIRDROP_LAMPORTS, MISSING_TRANSACTION_TRIES, ROUND_BACKOFF_MS, SIGNATURE_PAGE } from '../constants.ts';
import type { EndpointPool } from '../endpoints/endpoint-pool.ts';
import { isRpcError, type ListedSignature } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type {
  CallOptions,
  ChainAccount,
  ChainReader,
  ChainStatus,
  ChainTransaction,
  Commitment,
} from '../interface.ts';
import { createFollowMetrics, type FollowMetrics } from '../metrics.ts';
import { FOLLOW_DEFAULTS, type FollowOptions } from '../options.ts';
import type { CursorStore } from './cursor-store.ts';
import { fetchAhead } from './fetch-ahead.ts';
import { type FollowedTransaction, TransactionFollower } from './transaction-follower.ts';

export interface SolanaChainReaderModules {
  readonly pool: EndpointPool;
  readonly cursors: CursorStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

export interface SolanaChainReaderOptions {
  readonly genesis: BlockHash;
  readonly follow?: FollowOptions;
}

const METHOD_NOT_FOUND: ReadonlySet<number> = new Set([-32_601]);

/** Reads a Solana chain through a pool of endpoints. The pool is closed by whoever made it. */
export class SolanaChainReader implements ChainReader {
  readonly #modules: SolanaChainReaderModules;
  readonly #options: SolanaChainReaderOptions;
  readonly #pool: EndpointPool;
  readonly #followMetrics: FollowMetrics;

  constructor(modules: SolanaChainReaderModules, options: SolanaChainReaderOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#pool = modules.pool;
    this.#followMetrics = createFollowMetrics(modules.metrics);
  }

  async cluster({ signal }: CallOptions): Promise<Cluster> {
    const { genesis } = this.#options;
    await this.#pool.corroborate('the genesis', (rpc, options) => rpc.genesis(options), { signal, atLeast: 1 });
    this.#pool.assertNoneRefused();
    return identifyCluster(genesis);
  }

  slot({ signal, commitment }: CallOptions & { readonly commitment: Commitment }): Promise<number> {
    return this.#pool.first((rpc, options) => rpc.slot(commitment, options), { signal });
  }

  balance(
    address: SolanaAddress,
    { signal, commitment }: CallOptions & { readonly commitment: Commitment },
  ): Promise<Lamports> {
    return this.#pool.first((rpc, options) => rpc.balance(address, commitment, options), { signal });
  }

  account(
    address: SolanaAddress,
    options: CallOptions & { readonly commitment: Commitment; readonly minSlot?: number },
  ): Promise<ChainAccount | undefined> {
    return this.#pool.first((rpc, { signal }) => rpc.account(address, { ...options, signal }), options);
  }

  async transaction(
    signature: TransactionSignature,
    { signal, commitment }: CallOptions & { readonly commitment: Commitment },
  ): Promise<ChainTransaction | undefined> {
    const subject = `the transaction ${signature}`;
    const answers = await this.#pool.corroborate(
      subject,
      (rpc, options) => rpc.transaction(signature, commitment, options),
      { signal, atLeast: 1 },
    );
    // One that has not heard of it contradicts nobody: it may be behind, or keep no history.
    const known = answers.flatMap(({ url, value }) => (value === undefined ? [] : [{ url, value }]));
    return known.length === 0 ? undefined : this.#pool.assertSame(subject, known, describeOutcome);
  }

  async requestAirdrop(
    address: SolanaAddress,
    lamports: Lamports,
    { signal }: CallOptions,
  ): Promise<TransactionSignature> {
    const { name } = identifyCluster(this.#options.genesis);
    if (name === 'mainnet-beta') throw noFaucet('it is mainnet-beta, where SOL is money');
    if (lamports > MAX_AIRDROP_LAMPORTS) throw noFaucet(`at most ${MAX_AIRDROP_LAMPORTS} lamports at once`);
    try {
      return await this.#pool.first((rpc, options) => rpc.airdrop(address, lamports, options), { signal });
    } catch (error) {
      if (isRpcError(error, METHOD_NOT_FOUND)) throw noFaucet('its endpoints have no requestAirdrop', { cause: error });
      if (!(error instanceof ChainError) || error.info.code !== 'CHAIN_RPC_ERROR') throw error;
      const reason = `${error.info.url} says: ${error.info.reason}`;
      throw new ChainError({ code: 'CHAIN_FAUCET_REFUSED', reason }, { cause: error });
    }
  }

  rentExemption(sizeBytes: number, { signal }: CallOptions): Promise<Lamports> {
    return this.#pool.first((rpc, options) => rpc.rentExemption(sizeBytes, options), { signal });
  }

  follow(address: SolanaAddress, { signal }: CallOptions): AsyncIterable<FollowedTransaction> {
    const { pool, cursors, clock, logger } = this.#modules;
    const follower = new TransactionFollower(
      {
        pool,
        cursors,
        clock,
        logger: logger.child({ module: 'chain' }),
        metrics: this.#followMetrics,
        fetchTransaction: (entry, options) => this.#fetchListed(entry, { ...options, commitment: 'finalized' }),
      },
      { ...FOLLOW_DEFAULTS, ...this.#options.follow, address },
    );
    return follower.follow({ signal });
  }

  async *history(
    address: SolanaAddress,
    options: CallOptions & { readonly commitment: Commitment; readonly sinceSlot: number },
  ): AsyncGenerator<ChainTransaction, void, undefined> {
    const { signal, commitment, sinceSlot } = options;
    let before: TransactionSignature | undefined;
    for (;;) {
      const range = before === undefined ? {} : { before };
      const page = await this.#pool.first((rpc, o) => rpc.signaturesFor(address, range, { ...o, commitment }), {
        signal,
      });
      const wanted = page.filter(({ slot }) => slot >= sinceSlot);
      const fetch = (entry: ListedSignature): Promise<ChainTransaction> =>
        this.#fetchListed(entry, { signal, commitment });
      for await (const [, transaction] of fetchAhead(wanted, fetch)) yield transaction;
      if (wanted.length < page.length) return;
      before = page.at(-1)?.signature;
      if (page.length < SIGNATURE_PAGE || before === undefined) return;
    }
  }

  status(): ChainStatus {
    const { genesis: expectedGenesis } = this.#options;
    const endpoints = this.#pool.status();
    const isReachable = endpoints.some(({ state }) => state === 'ok');
    return { expectedGenesis, isReachable, endpoints, cluster: isReachable ? identifyCluster(expectedGenesis) : null };
  }

  /** What an endpoint lists is there: another one may only be a moment behind. */
  async #fetchListed(
    { signature, slot }: ListedSignature,
    options: CallOptions & { readonly commitment: Commitment },
  ): Promise<ChainTransaction> {
    for (let attempt = 0; attempt < MISSING_TRANSACTION_TRIES; attempt += 1) {
      const transaction = await this.transaction(signature, options);
      if (transaction !== undefined) return transaction;
      await pause(this.#modules.clock, ROUND_BACKOFF_MS * 2 ** attempt, options.signal);
      options.signal.throwIfAborted();
    }
    throw new ChainError({ code: 'CHAIN_TRANSACTION_MISSING', signature, slot });
  }
}

/** Where two endpoints must not differ about a transaction that both know. */
function describeOutcome({ slot, failure }: ChainTransaction): string {
  return failure === null ? `success in slot ${slot}` : `${failure.detail} in slot ${slot}`;
}

function noFaucet(reason: string, options?: ErrorOptions): ChainError {
  return new ChainError({ code: 'CHAIN_NO_FAUCET', reason }, options);
}
