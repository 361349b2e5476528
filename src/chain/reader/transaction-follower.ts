import type { SolanaAddress } from '../../domain/chain.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_UNHANDLED } from '../constants.ts';
import type { EndpointPool } from '../endpoints/endpoint-pool.ts';
import type { ListedSignature } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, ChainTransaction } from '../interface.ts';
import type { FollowMetrics } from '../metrics.ts';
import type { FollowOptions } from '../options.ts';
import { pauseUntil } from '../pause-until.ts';
import type { CursorStore } from './cursor-store.ts';
import { fetchAhead } from './fetch-ahead.ts';
import { HandledQueue } from './handled-queue.ts';
import { sweepHistory } from './history-sweep.ts';
import { LogSubscription } from './log-subscription.ts';

export interface TransactionFollowerModules {
  readonly pool: EndpointPool;
  readonly cursors: CursorStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: FollowMetrics;
  /** A final transaction that an endpoint listed. @throws ChainError */
  readonly fetchTransaction: (entry: ListedSignature, options: CallOptions) => Promise<ChainTransaction>;
}

export interface FollowedTransaction {
  readonly transaction: ChainTransaction;
  handled(): Promise<void>;
}

/**
 * Final transactions of one address, each once and in order. History is the only source; the subscription says when to
 * look, and a clock does where there is none.
 */
export class TransactionFollower {
  readonly #modules: TransactionFollowerModules;
  readonly #options: Required<FollowOptions> & { readonly address: SolanaAddress };
  #wakeUp = Promise.withResolvers<void>();
  #roomFreed = Promise.withResolvers<void>();

  constructor(
    modules: TransactionFollowerModules,
    options: Required<FollowOptions> & { readonly address: SolanaAddress },
  ) {
    this.#modules = modules;
    this.#options = options;
  }

  async *follow({ signal }: CallOptions): AsyncGenerator<FollowedTransaction, void, undefined> {
    const { pool, cursors, clock, logger, metrics } = this.#modules;
    const { address, reconnectMs, sweepMs, pollMs } = this.#options;
    const queue = new HandledQueue((await cursors.get(address)) ?? { slot: 0, signatures: [] });
    await using subscription = LogSubscription.open(
      { clock, logger, metrics, onWake: () => this.#wakeUp.resolve() },
      { address, urls: pool.webSocketUrls, reconnectMs },
    );
    for (;;) {
      signal.throwIfAborted();
      this.#wakeUp = Promise.withResolvers();
      let isComplete = false;
      try {
        const sweep = await pool.first((rpc, o) => sweepHistory(rpc, { address, since: queue.newest }, o), { signal });
        isComplete = sweep.isComplete;
        const fresh = sweep.entries.filter((entry) => !queue.has(entry));
        const fetch = (entry: ListedSignature): Promise<ChainTransaction> =>
          this.#modules.fetchTransaction(entry, { signal });
        for await (const [entry, transaction] of fetchAhead(fresh, fetch)) {
          await this.#awaitRoom(queue, signal);
          yield this.#give(queue, entry, transaction);
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ChainError) || error.code === 'CHAIN_NO_ENDPOINTS') throw error;
        logger.warn({ address, code: error.code, reason: error.message }, 'history of an address cannot be read');
        await this.#rest(pollMs, signal);
        continue;
      }
      if (isComplete) await this.#rest(subscription.isLive ? sweepMs : pollMs, signal);
    }
  }

  #give(queue: HandledQueue, entry: ListedSignature, transaction: ChainTransaction): FollowedTransaction {
    const given = queue.give(entry);
    return {
      transaction,
      handled: async () => {
        const cursor = given.handled();
        this.#roomFreed.resolve();
        if (cursor !== undefined) await this.#modules.cursors.put(this.#options.address, cursor);
        this.#modules.metrics.transactions.increment();
      },
    };
  }

  async #awaitRoom(queue: HandledQueue, signal: AbortSignal): Promise<void> {
    while (queue.waiting >= MAX_UNHANDLED) {
      this.#roomFreed = Promise.withResolvers();
      await raceSignal(this.#roomFreed.promise, signal);
    }
  }

  /** Until something wakes it, or the time is over. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    await pauseUntil(this.#modules.clock, ms, { wake: this.#wakeUp.promise, signal });
    signal.throwIfAborted();
  }
}
