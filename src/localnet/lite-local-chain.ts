import { join } from 'node:path';
import type { BlockHash } from '../domain/chain.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import type { Random } from '../lib/random.ts';
import type { Logger } from '../telemetry/interface.ts';
import type { LocalChain, LocalChainStatus } from './interface.ts';
import { Ledger } from './ledger/ledger.ts';
import { openLedger } from './ledger/open-ledger.ts';
import { type LocalnetOptions, type ResolvedLocalnetOptions, resolveLocalnetOptions } from './options.ts';
import { SubscriptionHub } from './pubsub/subscription-hub.ts';
import { API_VERSION } from './rpc/commitments.ts';
import type { RpcContext } from './rpc/interface.ts';
import { callMethod } from './rpc/methods/methods.ts';
import { assertListenable, type Endpoints, RpcServer } from './server/rpc-server.ts';
import { SlotTicker } from './slot-ticker.ts';
import type { ChainStore } from './store/interface.ts';
import { LevelChainStore } from './store/level-chain-store.ts';
import { MemoryChainStore } from './store/memory-chain-store.ts';

export interface LocalnetModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

interface Running {
  readonly ledger: Ledger;
  readonly endpoints: Endpoints;
}

/** The database inside the folder of a chain. */
const DATABASE = 'chain';

/** A local chain over LiteSVM, served as a Solana node serves its own. */
export class LiteLocalChain implements LocalChain {
  readonly #modules: LocalnetModules;
  readonly #options: ResolvedLocalnetOptions;
  readonly #resources = new AsyncDisposableStack();
  #running: Running | undefined;
  #starting: Promise<void> | undefined;

  constructor(modules: LocalnetModules, options: LocalnetOptions) {
    this.#modules = { ...modules, logger: modules.logger.child({ module: 'localnet' }) };
    this.#options = resolveLocalnetOptions(options);
  }

  /** Throws away what a folder holds. @throws LocalnetError LOCALNET_IN_USE, LOCALNET_DISK */
  static async reset(directory: string): Promise<void> {
    await LevelChainStore.reset(join(directory, DATABASE));
  }

  start(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#starting ??= this.#start(options.signal);
    return this.#starting;
  }

  status(): LocalChainStatus {
    const { url, webSocketUrl } = this.#running?.endpoints ?? { url: '', webSocketUrl: '' };
    const ledger = this.#running?.ledger;
    const { slotMs, programs, directory } = this.#options;
    return {
      url,
      webSocketUrl,
      genesis: (ledger?.genesis ?? '') as BlockHash,
      slot: ledger?.slotAt('processed') ?? 0,
      slotMs,
      programs: programs.map(({ name, address }) => ({ name, address })),
      transactions: ledger?.totalTransactions ?? 0,
      directory,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#starting?.catch(() => {});
    await this.#resources.disposeAsync();
  }

  async #start(signal: AbortSignal): Promise<void> {
    try {
      await this.#build(signal);
    } catch (error) {
      await this.#resources.disposeAsync();
      throw error;
    }
  }

  async #build(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#modules;
    const { slotMs, confirmedLag, finalizedLag, host, port, allowedHosts } = this.#options;
    // What cannot be listened on is said before a folder is made, or what it holds is thrown away.
    await assertListenable({ host, port });
    const store = this.#resources.use(await this.#openStore());
    signal.throwIfAborted();
    const state = await openLedger(
      { ...this.#modules, store },
      { ...this.#options, directory: this.#options.directory ?? 'memory' },
    );
    signal.throwIfAborted();
    const ledger = new Ledger({ state, clock, logger }, { slotMs, confirmedLag, finalizedLag });
    // What is there is final from the start: nothing takes a transaction back, and a client finds blocks at every commitment.
    for (let count = 0; count <= finalizedLag; count += 1) await ledger.advance();
    const hub = this.#resources.use(new SubscriptionHub({ ledger, logger }));
    const context: RpcContext = { ledger, clock, slotMs, addresses: () => this.#addresses() };
    const server = this.#resources.use(
      new RpcServer(
        { call: (request) => callMethod(request, context), hub, logger, isHealthy: () => ledger.failure === undefined },
        { host, port, allowedHosts },
      ),
    );
    const endpoints = await server.listen();
    this.#running = { ledger, endpoints };
    this.#resources.use(
      new SlotTicker({ clock, advance: () => ledger.advance(), onFailure: (error) => this.#onStop(error) }, { slotMs }),
    );
    logger.info({ ...endpoints, genesis: ledger.genesis, version: API_VERSION }, 'local chain is up');
  }

  async #openStore(): Promise<ChainStore> {
    const { directory, reset } = this.#options;
    if (directory === null) return new MemoryChainStore();
    if (reset) await LiteLocalChain.reset(directory);
    return await LevelChainStore.open(join(directory, DATABASE));
  }

  #addresses(): { rpc: string; webSocket: string } {
    const { url, webSocketUrl } = this.status();
    return { rpc: url.replace('http://', ''), webSocket: webSocketUrl.replace('ws://', '') };
  }

  #onStop(error: unknown): void {
    this.#modules.logger.error({ reason: describeError(error) }, 'no more blocks are made');
  }
}
