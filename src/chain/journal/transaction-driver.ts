import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { FACT_TRIES, MAX_HEIGHT_SPREAD } from '../constants.ts';
import type { Answer, EndpointPool, Poll } from '../endpoints/endpoint-pool.ts';
import type { SignatureStatus } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, ChainTransaction, TransactionFailure } from '../interface.ts';
import type { JournalMetrics } from '../metrics.ts';
import { type Contradiction, findDenial, judgeAbsence, judgeStatuses, type SurveyedStatus } from './judge.ts';
import type { OpenTransactions } from './open-transactions.ts';
import { findPending, type StoredTransaction, withLastAttempt } from './stored-transaction.ts';
import { mergeStatuses, pickSurveyed, type Surveyed } from './survey.ts';

export interface TransactionDriverModules {
  readonly pool: EndpointPool;
  readonly open: OpenTransactions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: JournalMetrics;
}

/** What was learned in one round about all pending transactions. */
export interface Observations {
  /** By signature. */
  readonly recent: ReadonlyMap<string, readonly Answer<SignatureStatus | null>[]>;
  readonly survey: Poll<Surveyed> | undefined;
}

/** Moves a sent transaction to what became of it. */
export class TransactionDriver {
  readonly #modules: TransactionDriverModules;
  readonly #rebroadcastMs: number;
  readonly #sentAtMs = new Map<string, number>();
  readonly #factTries = new Map<string, number>();

  constructor(modules: TransactionDriverModules, options: { readonly rebroadcastMs: number }) {
    this.#modules = modules;
    this.#rebroadcastMs = options.rebroadcastMs;
  }

  /** Gives the same bytes to every endpoint. That all of them refuse is a problem to show and nothing more. */
  async send(record: StoredTransaction, options: CallOptions): Promise<void> {
    const pending = findPending(record);
    if (pending === undefined) return;
    const { pool, clock, metrics } = this.#modules;
    metrics.sent.increment({ kind: this.#sentAtMs.has(record.key) ? 'again' : 'first' });
    this.#sentAtMs.set(record.key, clock.monotonicMs());
    const { answers, problems } = await pool.poll((rpc, o) => rpc.send(pending.wire, o), options);
    const [problem] = problems;
    if (answers.length === 0 && problem !== undefined) await this.setProblem(record, pool.unreachable(problems));
  }

  /** To be called with exclusive use of the record. */
  async advance(record: StoredTransaction, seen: Observations, options: CallOptions): Promise<void> {
    const pending = findPending(record);
    if (pending === undefined) return;
    const { signature } = pending.attempt;
    const { needed } = this.#modules.pool;
    const surveyed = pickSurveyed(seen.survey?.answers ?? [], signature);
    const statuses = mergeStatuses(seen.recent.get(signature) ?? [], surveyed);
    const judgement = judgeStatuses(statuses, needed);
    switch (judgement.kind) {
      case 'contradiction':
        return this.setProblem(record, disagree(signature, judgement.contradiction));
      case 'final':
        return this.#settle(record, judgement, options);
      case 'confirmed':
        return this.#confirm(record, judgement.slot, surveyed);
      case 'seen':
        return;
      case 'unknown':
        return this.#advanceUnknown(record, { surveyed, survey: seen.survey }, options);
      default:
        return judgement satisfies never;
    }
  }

  /** Shows why it waits. Written only when it is another problem than before. */
  async setProblem(record: StoredTransaction, error: ChainError): Promise<void> {
    const problem = describeProblem(error);
    if (record.problem?.message === problem.message) return;
    this.#modules.logger.warn(
      { transaction: record.key, code: error.code, reason: error.message },
      'transaction waits',
    );
    await this.#modules.open.put({ ...record, problem });
  }

  /** Terminal. */
  async end(record: StoredTransaction): Promise<void> {
    const { open, clock, logger, metrics } = this.#modules;
    const ended = await open.put({ ...record, wire: null, endedAtMs: clock.nowMs() });
    this.#sentAtMs.delete(record.key);
    this.#factTries.delete(record.key);
    metrics.ended.increment({ state: ended.state });
    if (ended.feeLamports !== null) metrics.feeLamports.increment({}, Number(ended.feeLamports));
    const { key, state, signature, slot, feeLamports, computeUnits } = ended;
    logger.info({ transaction: key, state, signature, slot, feeLamports, computeUnits }, 'transaction ended');
  }

  async #confirm(record: StoredTransaction, slot: number, surveyed: readonly Answer<SurveyedStatus>[]): Promise<void> {
    const { open } = this.#modules;
    const signature = findPending(record)?.attempt.signature ?? null;
    const denial = findDenial(surveyed);
    if (denial !== undefined && signature !== null) return this.setProblem(record, disagree(signature, denial));
    if (record.state === 'confirmed' && record.slot === slot && record.problem === null) return;
    await open.put({ ...record, state: 'confirmed', signature, slot, problem: null });
  }

  async #settle(
    record: StoredTransaction,
    { slot, failure }: { readonly slot: number; readonly failure: TransactionFailure | null },
    options: CallOptions,
  ): Promise<void> {
    const pending = findPending(record);
    if (pending === undefined) return;
    const { signature } = pending.attempt;
    const facts = await this.#fetchFacts(record, signature, options);
    if (facts === 'later') return;
    await this.end({
      ...withLastAttempt(record, { outcome: 'landed' }),
      state: failure === null ? 'finalized' : 'failed',
      signature,
      slot,
      failure,
      feeLamports: facts === undefined ? null : String(facts.feeLamports),
      computeUnits: facts?.computeUnits ?? null,
      problem: null,
    });
  }

  /** Fee and compute units; an index may be a moment behind its chain, and is not waited for for ever. */
  async #fetchFacts(
    { key }: StoredTransaction,
    signature: StoredTransaction['attempts'][number]['signature'],
    options: CallOptions,
  ): Promise<ChainTransaction | 'later' | undefined> {
    try {
      const facts = await this.#modules.pool.first((rpc, o) => rpc.transaction(signature, 'finalized', o), options);
      if (facts !== undefined) return facts;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof ChainError)) throw error;
    }
    const tries = (this.#factTries.get(key) ?? 0) + 1;
    this.#factTries.set(key, tries);
    return tries < FACT_TRIES ? 'later' : undefined;
  }

  async #advanceUnknown(
    record: StoredTransaction,
    {
      surveyed,
      survey,
    }: { readonly surveyed: readonly Answer<SurveyedStatus>[]; readonly survey: Poll<Surveyed> | undefined },
    options: CallOptions,
  ): Promise<void> {
    const pending = findPending(record);
    if (pending === undefined) return;
    const { pool, open, metrics, logger } = this.#modules;
    const { attempt } = pending;
    let current = record;
    if (survey !== undefined && surveyed.length >= pool.needed) {
      if (current.state === 'confirmed') current = await this.#rollBack(current);
      if (attempt.heightVotes < pool.needed) return this.#raiseHeight(current, survey.answers);
    }
    const absence = judgeAbsence(attempt, surveyed, pool.needed);
    if (absence.kind === 'expired') {
      metrics.expired.increment();
      logger.info({ transaction: record.key, signature: attempt.signature }, 'attempt expired');
      this.#sentAtMs.delete(record.key);
      await open.put({ ...withLastAttempt(current, { outcome: 'expired' }), wire: null, problem: null });
      return;
    }
    if (absence.kind === 'unproven') {
      const { problems } = absence;
      await this.setProblem(
        current,
        new ChainError({ code: 'CHAIN_EXPIRY_UNPROVEN', signature: attempt.signature, problems }),
      );
    }
    await this.#sendAgain(current, options);
  }

  async #sendAgain(record: StoredTransaction, options: CallOptions): Promise<void> {
    const sentAtMs = this.#sentAtMs.get(record.key) ?? Number.NEGATIVE_INFINITY;
    if (this.#modules.clock.monotonicMs() - sentAtMs < this.#rebroadcastMs) return;
    await this.send(record, options);
  }

  /** It was voted for and nobody knows it any more: the fork that it was in lost. */
  async #rollBack(record: StoredTransaction): Promise<StoredTransaction> {
    const { open, logger, metrics } = this.#modules;
    const { signature, slot } = record;
    metrics.rolledBack.increment();
    logger.warn({ transaction: record.key, signature, slot }, 'confirmed transaction is gone');
    this.#sentAtMs.delete(record.key);
    const problem =
      signature === null || slot === null
        ? null
        : describeProblem(new ChainError({ code: 'CHAIN_ROLLED_BACK', signature, slot }));
    return open.put({ ...record, state: 'sent', signature: null, slot: null, problem });
  }

  /** Too few endpoints told the height when it was signed: what they tell now is above it, whatever it was. */
  async #raiseHeight(record: StoredTransaction, answers: readonly Answer<Surveyed>[]): Promise<void> {
    const heights = answers.map(({ url, value }) => ({ url, height: value.expiryHeight }));
    const sorted = heights.toSorted((a, b) => a.height - b.height);
    const [lowest] = sorted;
    const highest = sorted.at(-1);
    if (lowest === undefined || highest === undefined) return;
    if (highest.height - lowest.height > MAX_HEIGHT_SPREAD) {
      const first = { url: lowest.url, value: String(lowest.height) };
      const second = { url: highest.url, value: String(highest.height) };
      return this.setProblem(record, disagree('the height of its newest block', { first, second }));
    }
    const told = findPending(record)?.attempt.lastValidBlockHeight ?? 0;
    // Nodes behind give less than was told with the block hash; what is far above them was made up.
    const isNear = told - highest.height <= MAX_HEIGHT_SPREAD;
    const lastValidBlockHeight = isNear ? Math.max(told, highest.height) : highest.height;
    const change = { lastValidBlockHeight, heightVotes: answers.length };
    await this.#modules.open.put(withLastAttempt(record, change));
  }
}

/** A code and a sentence with what to do next. */
export function describeProblem(error: ChainError): { readonly code: string; readonly message: string } {
  return { code: error.code, message: `${error.message}. ${error.hint}`.slice(0, 4_000) };
}

function disagree(subject: string, { first, second }: Contradiction): ChainError {
  return new ChainError({
    code: 'CHAIN_ENDPOINTS_DISAGREE',
    subject,
    first: { url: first.url, answer: first.value },
    second: { url: second.url, answer: second.value },
  });
}
