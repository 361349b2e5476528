import { type BlockHash, identifyCluster } from '../../domain/chain.ts';
import { SIGNATURE_FEE_LAMPORTS } from '../constants.ts';
import type { EndpointPool } from '../endpoints/endpoint-pool.ts';
import type { Simulation } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, TransactionFailure } from '../interface.ts';
import { computeNeed, isShortOfFunds } from './funds.ts';
import type { StoredTransaction } from './stored-transaction.ts';
import { buildMessage, computeReference, encodeWire, PLACEHOLDER_BLOCK_HASH } from './transaction-builder.ts';

export interface Refusal {
  readonly failure: TransactionFailure;
  readonly error: ChainError;
}

interface SeenFailure {
  readonly message: Uint8Array;
  readonly computeUnitPrice: number;
  readonly failure: TransactionFailure;
  readonly logs: readonly string[];
}

/** Failures of the moment, or of the endpoint's view: they say nothing of what will happen when it is sent. */
const PASSING_FAILURES: ReadonlySet<string> = new Set([
  'BlockhashNotFound',
  'AlreadyProcessed',
  'AccountInUse',
  'ClusterMaintenance',
  'CommitCancelled',
  'WouldExceedMaxBlockCostLimit',
  'WouldExceedMaxAccountCostLimit',
  'WouldExceedAccountDataBlockLimit',
  'WouldExceedAccountDataTotalLimit',
  'WouldExceedMaxVoteCostLimit',
  'ProgramCacheHitMaxLimit',
]);

/** Tells before anything is signed whether a transaction would fail: as many endpoints as must agree have to say so. */
export class Preflight {
  readonly #pool: EndpointPool;
  readonly #genesis: BlockHash;

  constructor(modules: { readonly pool: EndpointPool }, options: { readonly genesis: BlockHash }) {
    this.#pool = modules.pool;
    this.#genesis = options.genesis;
  }

  /**
   * Undefined if it may be sent.
   * @throws ChainError if no endpoint answers, or one refuses it and too few others say the same
   */
  async check(record: StoredTransaction, computeUnitPrice: number, options: CallOptions): Promise<Refusal | undefined> {
    const { signer: payer, instructions, computeUnitLimit } = record;
    const message = await buildMessage({
      payer,
      instructions,
      computeUnitLimit,
      computeUnitPrice,
      blockHash: PLACEHOLDER_BLOCK_HASH,
      reference: computeReference(record),
    });
    const wire = encodeWire(new Uint8Array(64), message);
    const first = await this.#pool.first((rpc, o) => rpc.simulate(wire, 'confirmed', o), options);
    if (!isRefused(first)) return undefined;
    const subject = `that ${record.key} would fail`;
    const answers = await this.#pool.corroborate(subject, (rpc, o) => rpc.simulate(wire, 'confirmed', o), options);
    // Where one endpoint sees it succeed, another may be behind: what happens decides.
    if (!answers.every(({ value }) => isRefused(value))) return undefined;
    const [answer] = answers;
    const { failure, logs } = answer?.value ?? first;
    if (failure === null) return undefined;
    if (isShortOfFunds(failure, logs)) {
      return {
        failure,
        error: await this.#describeFunds(record, { message, computeUnitPrice, failure, logs }, options),
      };
    }
    const lastLog = logs.findLast((line) => line.startsWith('Program log:'));
    const reason = lastLog === undefined ? failure.detail : `${failure.detail} (${lastLog.slice(0, 300)})`;
    return {
      failure,
      error: new ChainError({ code: 'CHAIN_REFUSED', reason, customCode: failure.customCode }),
    };
  }

  async #describeFunds(
    { signer: payer, instructions, computeUnitLimit }: StoredTransaction,
    seen: SeenFailure,
    options: CallOptions,
  ): Promise<ChainError> {
    const { message, computeUnitPrice, failure, logs } = seen;
    const has = await this.#pool.first((rpc, o) => rpc.balance(payer, 'confirmed', o), options);
    const priorityFee = (BigInt(computeUnitLimit) * BigInt(computeUnitPrice) + 999_999n) / 1_000_000n;
    const fee = (await this.#askFee(message, options)) ?? SIGNATURE_FEE_LAMPORTS + priorityFee;
    const rentLamports = await this.#pool.first((rpc, o) => rpc.rentExemption(0, o), options);
    const needs = computeNeed({ payer, instructions, failure, logs, feeLamports: fee, rentLamports });
    return new ChainError({
      code: 'CHAIN_INSUFFICIENT_FUNDS',
      address: payer,
      has: String(has),
      needs: String(needs),
      isLocal: identifyCluster(this.#genesis).name === null,
    });
  }

  /** Null where the placeholder for a block hash keeps an endpoint from telling. */
  async #askFee(message: Uint8Array, options: CallOptions): Promise<bigint | null> {
    try {
      return await this.#pool.first((rpc, o) => rpc.fee(message, 'confirmed', o), options);
    } catch (error) {
      if (error instanceof ChainError && error.code === 'CHAIN_RPC_ERROR') return null;
      throw error;
    }
  }
}

function isRefused({ failure }: Simulation): boolean {
  return failure !== null && !PASSING_FAILURES.has(failure.name);
}
