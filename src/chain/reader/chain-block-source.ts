import type { BeaconBlock, BlockSource } from '../../beacon/interface.ts';
import { BlockHash, decodeBase58, identifyCluster, isPredictable } from '../../domain/chain.ts';
import type { EndpointPool } from '../endpoints/endpoint-pool.ts';
import type { SolanaRpc } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions } from '../interface.ts';
import { type BlockLedger, searchBlock, type TimedBlock } from './block-search.ts';

/** Blocks for the beacon: every configured endpoint searches for itself, and as many as must agree have to. */
export class ChainBlockSource implements BlockSource {
  readonly isPredictable: boolean;
  readonly #pool: EndpointPool;

  constructor(modules: { readonly pool: EndpointPool }, options: { readonly genesis: BlockHash }) {
    this.#pool = modules.pool;
    this.isPredictable = isPredictable(identifyCluster(options.genesis));
  }

  async findBlockAtOrAfter(timeMs: number, { signal }: CallOptions): Promise<BeaconBlock | undefined> {
    const subject = `the first block at or after ${new Date(timeMs).toISOString()}`;
    const answers = await this.#pool.corroborate(
      subject,
      (rpc, options) => searchBlock(new RpcBlockLedger(rpc, options), timeMs),
      { signal },
    );
    const found = answers.flatMap(({ url, value }) => (value === undefined ? [] : [{ url, value }]));
    if (found.length === 0) return undefined;
    const block = this.#pool.assertSame(subject, found, ({ slot, blockHash }) => `${blockHash} in slot ${slot}`);
    // One that has no such block yet is a little behind.
    if (found.length < this.#pool.needed) return undefined;
    return { slot: block.slot, blockHash: decodeBase58(BlockHash(block.blockHash)), timeMs: block.timeMs };
  }
}

/** Final blocks of one endpoint. */
class RpcBlockLedger implements BlockLedger {
  readonly #rpc: SolanaRpc;
  readonly #options: CallOptions;

  constructor(rpc: SolanaRpc, options: CallOptions) {
    this.#rpc = rpc;
    this.#options = options;
  }

  head(): Promise<number> {
    return this.#rpc.slot('finalized', this.#options);
  }

  first(): Promise<number> {
    return this.#rpc.firstAvailableBlock(this.#options);
  }

  slots(first: number, last: number): Promise<readonly number[]> {
    return this.#rpc.blocks(first, last, this.#options);
  }

  async block(slot: number): Promise<TimedBlock> {
    const block = await this.#rpc.block(slot, this.#options);
    if (block === null || block.blockTime === null) throw this.refuse(`no block, or no time, at its own slot ${slot}`);
    return { slot, blockHash: block.blockHash, timeMs: block.blockTime * 1_000 };
  }

  refuse(reason: string): ChainError {
    return new ChainError({ code: 'CHAIN_BAD_RESPONSE', url: this.#rpc.url.label, method: 'getBlock', reason });
  }

  tooLate(firstSlot: number): ChainError {
    return new ChainError({ code: 'CHAIN_HISTORY_GONE', url: this.#rpc.url.label, slot: 0, firstSlot });
  }
}
