import type { Clock } from '../../lib/clock.ts';
import { MAX_FEE_ACCOUNTS, MAX_HEIGHT_SPREAD } from '../constants.ts';
import type { Answer, EndpointPool } from '../endpoints/endpoint-pool.ts';
import type { LatestBlockHash } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, ChainSigner } from '../interface.ts';
import { computePriorityFee } from './priority-fee.ts';
import { readSignature, type StoredAttempt, type StoredTransaction } from './stored-transaction.ts';
import { buildMessage, computeReference, encodeWire } from './transaction-builder.ts';

export interface AttemptSignerModules {
  readonly pool: EndpointPool;
  readonly signer: ChainSigner;
  readonly clock: Clock;
}

export interface SignedAttempt {
  readonly attempt: StoredAttempt;
  readonly wire: Uint8Array;
}

/** Makes an attempt at an intent: a fresh block hash, a price, a signature. Sends nothing and keeps nothing. */
export class AttemptSigner {
  readonly #modules: AttemptSignerModules;
  readonly #maxPriorityFee: number;

  constructor(modules: AttemptSignerModules, options: { readonly maxPriorityFee: number }) {
    this.#modules = modules;
    this.#maxPriorityFee = options.maxPriorityFee;
  }

  /** Micro-lamports a compute unit that the next attempt offers. */
  async price(record: StoredTransaction, options: CallOptions): Promise<number> {
    if (this.#maxPriorityFee === 0) return 0;
    const writable = record.instructions.flatMap(({ accounts }) =>
      accounts.filter(({ isWritable }) => isWritable).map(({ address }) => address),
    );
    const accounts = [...new Set([record.signer, ...writable])].slice(0, MAX_FEE_ACCOUNTS);
    try {
      const recent = await this.#modules.pool.first((rpc, o) => rpc.prioritizationFees(accounts, o), options);
      return computePriorityFee({ recent, expiredAttempts: record.attemptCount, maximum: this.#maxPriorityFee });
    } catch (error) {
      // An endpoint without that method is one of a chain without such fees.
      if (error instanceof ChainError && error.code === 'CHAIN_RPC_ERROR') return 0;
      throw error;
    }
  }

  async sign(record: StoredTransaction, computeUnitPrice: number, options: CallOptions): Promise<SignedAttempt> {
    const { pool, signer, clock } = this.#modules;
    const { answers, problems } = await pool.poll((rpc, o) => rpc.latestBlockHash('confirmed', o), options);
    // Another endpoint's block hash each time: one that is made up can never land.
    const chosen = answers[record.attemptCount % Math.max(1, answers.length)];
    if (chosen === undefined) throw pool.unreachable(problems);
    assertNear(answers);
    const { blockHash } = chosen.value;
    const { instructions, computeUnitLimit } = record;
    const message = await buildMessage({
      payer: signer.address,
      instructions,
      computeUnitLimit,
      computeUnitPrice,
      blockHash,
      reference: computeReference(record),
    });
    const wire = encodeWire(await signer.sign(message, options), message);
    return {
      wire,
      attempt: {
        signature: readSignature(wire),
        blockHash,
        // The highest: one that is told too low would make it look expired while it can still land.
        lastValidBlockHeight: Math.max(...answers.map(({ value }) => value.lastValidBlockHeight)),
        heightVotes: answers.length,
        signedSlot: Math.min(...answers.map(({ value }) => value.slot)),
        signedAtMs: clock.nowMs(),
        outcome: 'pending',
      },
    };
  }
}

/** Two endpoints of one chain are never far apart; what is far off is not the height of its newest block. */
function assertNear(answers: readonly Answer<LatestBlockHash>[]): void {
  const sorted = answers.toSorted((a, b) => a.value.lastValidBlockHeight - b.value.lastValidBlockHeight);
  const [lowest] = sorted;
  const highest = sorted.at(-1);
  if (lowest === undefined || highest === undefined) return;
  if (highest.value.lastValidBlockHeight - lowest.value.lastValidBlockHeight <= MAX_HEIGHT_SPREAD) return;
  throw new ChainError({
    code: 'CHAIN_ENDPOINTS_DISAGREE',
    subject: 'the height until which its newest block hash is valid',
    first: { url: lowest.url, answer: String(lowest.value.lastValidBlockHeight) },
    second: { url: highest.url, answer: String(highest.value.lastValidBlockHeight) },
  });
}
