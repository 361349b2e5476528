import type { BlockHash, SolanaAddress } from '../../domain/chain.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError, isAbortError } from '../../lib/errors.ts';
import type { Database } from '../../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import { MAX_PREPARING, MAX_STATUSES, PRUNE_INTERVAL_MS } from '../constants.ts';
import type { Answer, EndpointPool, Poll } from '../endpoints/endpoint-pool.ts';
import type { SignatureStatus } from '../endpoints/solana-rpc.ts';
import { ChainError } from '../errors.ts';
import type {
  CallOptions,
  ChainSigner,
  Commitment,
  TransactionIntent,
  TransactionRecord,
  TransactionSender,
} from '../interface.ts';
import { createJournalMetrics, type JournalMetrics } from '../metrics.ts';
import { JOURNAL_DEFAULTS, type JournalOptions } from '../options.ts';
import { pauseUntil } from '../pause-until.ts';
import { AttemptSigner } from './attempt-signer.ts';
import { JournalStore } from './journal-store.ts';
import { OpenTransactions } from './open-transactions.ts';
import { Preflight } from './preflight.ts';
import type { StoredAttempt, StoredTransaction } from './stored-transaction.ts';
import {
  createStoredTransaction,
  findPending,
  isTerminal,
  toTransactionRecord,
  withAttempt,
} from './stored-transaction.ts';
import { type Surveyed, surveyAttempts } from './survey.ts';
import { assertSendable } from './transaction-builder.ts';
import { describeProblem, TransactionDriver } from './transaction-driver.ts';

export interface JournalTransactionSenderModules {
  readonly pool: EndpointPool;
  readonly signer: ChainSigner;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

export interface JournalTransactionSenderOptions extends JournalOptions {
  readonly genesis: BlockHash;
}

interface Retry {
  readonly failures: number;
  readonly atMs: number;
}

/**
 * Sends what is in the journal. The intent is on disk before anything happens, the signed bytes before they leave; the
 * same bytes are sent until they land or provably never can. So whatever the process dies at, an intent lands once at
 * most, and at least once as long as it can.
 */
export class JournalTransactionSender implements TransactionSender, AsyncDisposable {
  readonly #modules: JournalTransactionSenderModules;
  readonly #options: Required<JournalOptions>;
  readonly #logger: Logger;
  readonly #metrics: JournalMetrics;
  readonly #store: JournalStore;
  readonly #open: OpenTransactions;
  readonly #preflight: Preflight;
  readonly #attempts: AttemptSigner;
  readonly #driver: TransactionDriver;
  readonly #stopping = new AbortController();
  readonly #preparing = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, Retry>();
  #running: Promise<void> | undefined;
  #submitting = 0;
  #idleRounds = 0;
  #wakeUp = Promise.withResolvers<void>();
  #surveyedAtMs = Number.NEGATIVE_INFINITY;
  #prunedAtMs = Number.NEGATIVE_INFINITY;

  constructor(modules: JournalTransactionSenderModules, options: JournalTransactionSenderOptions) {
    this.#modules = modules;
    this.#options = { ...JOURNAL_DEFAULTS, ...options };
    const { pool, clock, signer } = modules;
    const { genesis } = options;
    this.#logger = modules.logger.child({ module: 'chain' });
    this.#metrics = createJournalMetrics(modules.metrics);
    this.#store = new JournalStore(modules, { genesis });
    this.#open = new OpenTransactions({ store: this.#store });
    this.#preflight = new Preflight({ pool }, { genesis });
    this.#attempts = new AttemptSigner({ pool, signer, clock }, this.#options);
    this.#driver = new TransactionDriver(
      { pool, open: this.#open, clock, logger: this.#logger, metrics: this.#metrics },
      this.#options,
    );
  }

  get signer(): SolanaAddress {
    return this.#modules.signer.address;
  }

  /** Takes up every open transaction. */
  async start(): Promise<void> {
    if (this.#running !== undefined || this.#stopping.signal.aborted) return;
    await this.#open.load();
    this.#metrics.open.set(this.#open.size);
    this.#running ??= this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new DOMException('the transaction journal is closed', 'AbortError'));
    await this.#running;
    await Promise.allSettled(this.#preparing.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async submit(intent: TransactionIntent, { signal }: CallOptions): Promise<TransactionRecord> {
    signal.throwIfAborted();
    const known = this.#open.find(intent.key);
    if (known !== undefined) return toTransactionRecord(known);
    await assertSendable(intent, this.signer);
    return this.#open.exclusive(intent.key, () => this.#submitNew(intent));
  }

  async wait(key: string, { signal, until }: CallOptions & { readonly until: Commitment }): Promise<TransactionRecord> {
    for (;;) {
      signal.throwIfAborted();
      const open = this.#open.find(key);
      const record = open ?? (await this.#store.get(key));
      if (record === undefined) throw new ChainError({ code: 'CHAIN_NO_INTENT', key });
      if (isTerminal(record) || (until === 'confirmed' && record.state === 'confirmed'))
        return toTransactionRecord(record);
      // Found and taken in one turn, so that no change is missed; what is only on disk yet has to be read once more.
      const change = this.#open.nextChange(key);
      if (open === undefined && (await this.#find(key))?.state !== record.state) continue;
      await raceSignal(raceSignal(change, this.#stopping.signal), signal);
    }
  }

  async get(key: string): Promise<TransactionRecord | undefined> {
    const record = await this.#find(key);
    return record === undefined ? undefined : toTransactionRecord(record);
  }

  forget(key: string): Promise<void> {
    return this.#open.exclusive(key, async () => {
      const record = await this.#find(key);
      if (record === undefined) throw new ChainError({ code: 'CHAIN_NO_INTENT', key });
      const { state } = record;
      if (state !== 'refused' && state !== 'failed')
        throw new ChainError({ code: 'CHAIN_NOT_FORGETTABLE', key, state });
      await this.#store.delete(key);
    });
  }

  async #submitNew(intent: TransactionIntent): Promise<TransactionRecord> {
    const known = await this.#find(intent.key);
    if (known !== undefined) return toTransactionRecord(known);
    const { maxOpen } = this.#options;
    if (this.#open.size + this.#submitting >= maxOpen) throw new ChainError({ code: 'CHAIN_TOO_MANY_OPEN', maxOpen });
    this.#submitting += 1;
    try {
      const nowMs = this.#modules.clock.nowMs();
      const record = await this.#open.put(createStoredTransaction(intent, { signer: this.signer, nowMs }));
      this.#wake();
      return toTransactionRecord(record);
    } finally {
      this.#submitting -= 1;
    }
  }

  async #find(key: string): Promise<StoredTransaction | undefined> {
    return this.#open.find(key) ?? this.#store.get(key);
  }

  #wake(): void {
    this.#idleRounds = 0;
    this.#wakeUp.resolve();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wakeUp = Promise.withResolvers();
      try {
        await this.#round(signal);
      } catch (error) {
        if (signal.aborted || isAbortError(error)) continue;
        this.#logger.error({ reason: describeError(error) }, 'a round of the transaction journal failed');
      }
      this.#metrics.open.set(this.#open.size);
      await this.#rest(signal);
    }
  }

  /** Soon again after something happened, then ever later. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { pollMs } = this.#options;
    const restMs = Math.min(pollMs, (pollMs / 16) * 2 ** Math.min(4, this.#idleRounds));
    this.#idleRounds += 1;
    await pauseUntil(this.#modules.clock, restMs, { wake: this.#wakeUp.promise, signal });
  }

  async #round(signal: AbortSignal): Promise<void> {
    const nowMs = this.#modules.clock.monotonicMs();
    const open = this.#open.list().filter(({ key }) => !this.#preparing.has(key));
    const pending = open.filter((record) => findPending(record) !== undefined);
    for (const record of open) {
      if (findPending(record) === undefined) this.#startPreparing(record.key, signal);
    }
    const isSurveyDue = nowMs - this.#surveyedAtMs >= this.#options.surveyMs;
    if (isSurveyDue) this.#surveyedAtMs = nowMs;
    for (let start = 0; start < pending.length; start += MAX_STATUSES) {
      await this.#observe(pending.slice(start, start + MAX_STATUSES), { signal, isSurveyDue });
    }
    if (nowMs - this.#prunedAtMs < PRUNE_INTERVAL_MS) return;
    this.#prunedAtMs = nowMs;
    await this.#store.prune({ nowMs: this.#modules.clock.nowMs(), ...this.#options });
  }

  async #observe(
    records: readonly StoredTransaction[],
    { signal, isSurveyDue }: CallOptions & { readonly isSurveyDue: boolean },
  ): Promise<void> {
    const { pool } = this.#modules;
    const attempts = records.flatMap((record) => findPending(record)?.attempt ?? []);
    const recent = await pollStatuses(pool, attempts, { signal });
    const survey: Poll<Surveyed> | undefined = isSurveyDue
      ? await pool.poll((rpc, options) => surveyAttempts(rpc, attempts, options), { signal })
      : undefined;
    await Promise.all(
      records.map(({ key }) =>
        this.#open.exclusive(key, async () => {
          const record = this.#open.find(key);
          if (record === undefined) return;
          await this.#driver.advance(record, { recent, survey }, { signal });
          if (this.#open.find(key) !== record) this.#wake();
        }),
      ),
    );
  }

  #startPreparing(key: string, signal: AbortSignal): void {
    const isDue = this.#modules.clock.monotonicMs() >= (this.#retries.get(key)?.atMs ?? 0);
    if (!isDue || this.#preparing.size >= MAX_PREPARING) return;
    const task = this.#open
      .exclusive(key, () => this.#prepare(key, signal))
      .then(
        () => {
          this.#retries.delete(key);
        },
        (error: unknown) => this.#prepareLater(key, error, signal),
      )
      .finally(() => {
        this.#preparing.delete(key);
        this.#wake();
      });
    this.#preparing.set(key, task);
  }

  async #prepare(key: string, signal: AbortSignal): Promise<void> {
    const record = this.#open.find(key);
    if (record === undefined || findPending(record) !== undefined) return;
    if (record.signer !== this.signer) return this.#refuseOtherSigner(record);
    const price = await this.#attempts.price(record, { signal });
    const refusal = await this.#preflight.check(record, price, { signal });
    if (refusal !== undefined) {
      const { failure, error } = refusal;
      await this.#driver.end({ ...record, state: 'refused', failure, problem: describeProblem(error) });
      return;
    }
    const { attempt, wire } = await this.#attempts.sign(record, price, { signal });
    signal.throwIfAborted();
    const signed = await this.#open.put(withAttempt(record, attempt, wire));
    await this.#driver.send(signed, { signal });
  }

  /** Every attempt of the other wallet has provably expired: it was never on chain, and this wallet cannot sign it. */
  async #refuseOtherSigner(record: StoredTransaction): Promise<void> {
    const { key, signer: expected } = record;
    const error = new ChainError({ code: 'CHAIN_OTHER_SIGNER', key, expected, found: this.signer });
    await this.#driver.end({ ...record, state: 'refused', problem: describeProblem(error) });
  }

  async #prepareLater(key: string, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const failures = (this.#retries.get(key)?.failures ?? 0) + 1;
    const { retryMs, retryMaxMs } = this.#options;
    const delayMs = Math.min(retryMs * 2 ** Math.min(20, failures - 1), retryMaxMs);
    this.#retries.set(key, { failures, atMs: this.#modules.clock.monotonicMs() + delayMs });
    try {
      const record = this.#open.find(key);
      if (record !== undefined && error instanceof ChainError) await this.#driver.setProblem(record, error);
      else this.#logger.error({ transaction: key, reason: describeError(error) }, 'transaction cannot be prepared');
    } catch (failure) {
      this.#logger.error({ transaction: key, reason: describeError(failure) }, 'a problem cannot be written down');
    }
  }
}

/** What each endpoint's cache of recent transactions says, by signature. */
async function pollStatuses(
  pool: EndpointPool,
  attempts: readonly StoredAttempt[],
  options: CallOptions,
): Promise<ReadonlyMap<string, readonly Answer<SignatureStatus | null>[]>> {
  const signatures = attempts.map(({ signature }) => signature);
  const { answers } = await pool.poll(
    (rpc, o) => rpc.signatureStatuses(signatures, { ...o, searchTransactionHistory: false }),
    options,
  );
  return new Map(
    signatures.map((signature, index) => [
      signature,
      answers.map(({ url, value }) => ({ url, value: value[index] ?? null })),
    ]),
  );
}
