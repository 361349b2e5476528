import type { BlockHash } from '../../domain/chain.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { BatchAppender } from './batch-appender.ts';
import type { BatchRecord, BatchRecords } from './batch-record.ts';
import { PAID_RETRY_LONGEST_MS } from './constants.ts';
import type { AnchoringErrorInfo } from './errors.ts';
import type { AnchoringMetrics } from './metrics.ts';
import { describeProblem, type Problem } from './problem.ts';
import { WakeUp } from './wake-up.ts';

/** Whatever keeps a transaction from succeeding on the chain has it cost a fee each time. */
const PAID_PROBLEM: AnchoringErrorInfo['code'] = 'ANCHORING_TRANSACTION_FAILED';

export interface FlightModules {
  readonly appender: Pick<BatchAppender, 'bring'>;
  readonly records: BatchRecords;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AnchoringMetrics;
  readonly onChange: () => void;
  /** No sealed batch is left. */
  readonly onIdle: () => void;
}

export interface FlightOptions {
  /** The chain whose anchors count. */
  readonly genesis: BlockHash;
  readonly retryFirstMs: number;
  readonly retryLongestMs: number;
}

/** Sealed batches on their way into the log, oldest first, one at a time; what keeps one is tried again by itself. */
export class Flight {
  readonly #modules: FlightModules;
  readonly #options: FlightOptions;
  readonly #wakeUp: WakeUp;
  /** Sealed and not final: leaves by batch, oldest first. */
  readonly #pending = new Map<number, number>();
  #problem: Problem | null = null;
  #anchored = 0;

  constructor(modules: FlightModules, options: FlightOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#wakeUp = new WakeUp(modules);
  }

  /** What a former run left. */
  async load(): Promise<void> {
    let before = 0;
    for await (const [batch, { state, leaves, total, landing }] of this.#modules.records.summaries()) {
      // What was forgotten before it was of the same chain: the last batch of each is kept.
      if (state === 'finalized' && landing?.place.genesis === this.#options.genesis) this.#anchored += total - before;
      if (state === 'sealed' || state === 'confirmed') this.#pending.set(batch, leaves);
      before = total;
    }
  }

  get batches(): number {
    return this.#pending.size;
  }

  /** Leaves of the batches. */
  get leaves(): number {
    return [...this.#pending.values()].reduce((sum, leaves) => sum + leaves, 0);
  }

  /** Leaves whose batch is final on this chain. */
  get anchored(): number {
    return this.#anchored;
  }

  get problem(): Problem | null {
    return this.#problem;
  }

  /** What keeps this batch, if it is its turn. */
  problemOf(batch: number): Problem | null {
    const [current] = this.#pending.keys();
    return current === batch ? this.#problem : null;
  }

  add(batch: number, record: BatchRecord): void {
    this.#pending.set(batch, record.leaves);
    this.#modules.metrics.batches.increment({ state: 'sealed' });
    this.#wakeUp.wake();
  }

  /** Tries at once what waits for another try. */
  hurry(): void {
    this.#wakeUp.wake();
  }

  setProblem(problem: Problem | null): void {
    if (problem?.code === this.#problem?.code && problem?.message === this.#problem?.message) return;
    this.#problem = problem;
    this.#modules.onChange();
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    let paidFailures = 0;
    while (!signal.aborted) {
      const [batch] = this.#pending.keys();
      if (batch === undefined) {
        this.#modules.onIdle();
        await this.#wakeUp.sleep(null, signal);
        continue;
      }
      const problem = await this.#bring(batch, signal);
      this.setProblem(problem);
      if (problem === null) {
        failures = 0;
        paidFailures = 0;
        continue;
      }
      const { retryFirstMs, retryLongestMs } = this.#options;
      const pauseMs = Math.min(retryFirstMs * 2 ** failures, retryLongestMs);
      const paidPauseMs = Math.min(retryFirstMs * 2 ** paidFailures, PAID_RETRY_LONGEST_MS);
      const isPaid = problem.code === PAID_PROBLEM;
      await this.#wakeUp.sleep(isPaid ? Math.max(pauseMs, paidPauseMs) : pauseMs, signal);
      failures += 1;
      if (isPaid) paidFailures += 1;
    }
  }

  async #bring(batch: number, signal: AbortSignal): Promise<Problem | null> {
    const { appender, logger, metrics } = this.#modules;
    try {
      const problem = await appender.bring(batch, { signal });
      if (problem === null) await this.#finish(batch);
      else this.#report(batch, problem);
      return problem;
    } catch (error) {
      if (signal.aborted) return null;
      const problem = describeProblem(error);
      if (problem.code === 'INTERNAL') {
        metrics.problems.increment({ code: problem.code });
        logger.error({ batch, error }, 'anchoring met a defect; it is tried again');
      } else {
        this.#report(batch, problem);
      }
      return problem;
    }
  }

  #report(batch: number, { code, message }: Problem): void {
    this.#modules.metrics.problems.increment({ code });
    const isNews = code !== this.#problem?.code;
    this.#modules.logger[isNews ? 'warn' : 'debug']({ batch, code, reason: message }, 'a batch waits to be anchored');
  }

  async #finish(batch: number): Promise<void> {
    const { records, metrics, logger, clock } = this.#modules;
    const record = await records.get(batch);
    this.#pending.delete(batch);
    this.#problem = null;
    if (record !== undefined) {
      this.#anchored += record.leaves;
      if (record.sealedAtMs !== null) metrics.finality.observe((clock.nowMs() - record.sealedAtMs) / 1000);
      logger.info(
        { batch, leaves: record.leaves, entry: record.landing?.place.entry, slot: record.landing?.slot },
        'a batch is anchored',
      );
    }
    metrics.batches.increment({ state: 'finalized' });
    this.#modules.onChange();
  }
}
