import { createDeadline, raceSignal } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError, isAbortError, isDaemonError } from '../lib/errors.ts';
import { pause } from '../lib/pause.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { computeChainBeacon } from './compute-beacon.ts';
import { BLOCK_HASH_BYTES, POLL_GROWTH } from './constants.ts';
import { BeaconError, type BeaconErrorInfo } from './errors.ts';
import type { Beacon, BeaconBlock, BeaconStatus, BeaconValue, BlockSource } from './interface.ts';
import { type BeaconMetrics, createBeaconMetrics } from './metrics.ts';
import { CHAIN_BEACON_DEFAULTS, type ChainBeaconOptions } from './options.ts';
import { RoundSchedule } from './round-schedule.ts';
import { RoundStore } from './round-store.ts';

export interface ChainBeaconModules {
  readonly blocks: BlockSource;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** Of the beacon itself, where the chain answered. */
const STALLED: BeaconErrorInfo['code'] = 'BEACON_UNAVAILABLE';

/** One question to the chain, shared by all who wait for that round. */
interface Asking {
  readonly answer: Promise<BeaconValue>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * The beacon of a network with a chain. The clock of this machine decides which round is the current one and nothing
 * else: the value comes from the first final block at or after the round's start, by the time of the chain.
 */
export class ChainBeacon implements Beacon, AsyncDisposable {
  readonly #modules: ChainBeaconModules;
  readonly #options: Required<ChainBeaconOptions>;
  readonly #schedule: RoundSchedule;
  readonly #store: RoundStore;
  readonly #logger: Logger;
  readonly #metrics: BeaconMetrics;
  readonly #asking = new Map<number, Asking>();
  readonly #stopping = new AbortController();
  #following: Promise<void> | undefined;
  #problem: BeaconStatus['problem'] = null;

  constructor(modules: ChainBeaconModules, options: ChainBeaconOptions) {
    this.#modules = modules;
    this.#options = { ...CHAIN_BEACON_DEFAULTS, ...options };
    this.#schedule = new RoundSchedule(options);
    this.#store = new RoundStore(modules, this.#options);
    this.#logger = modules.logger.child({ module: 'beacon' });
    this.#metrics = createBeaconMetrics(modules.metrics);
  }

  /** Draws every round from now on, so that its value is known when it is asked for. @throws StorageError */
  async start({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#store.load();
    this.#following ??= this.#follow(AbortSignal.any([signal, this.#stopping.signal]));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  roundAt(timeMs: number): number {
    return this.#schedule.roundAt(timeMs);
  }

  startOfRound(round: number): number {
    return this.#schedule.startOfRound(round);
  }

  epochOfRound(round: number): number {
    return this.#schedule.epochOfRound(round);
  }

  firstRoundOfEpoch(epoch: number): number {
    return this.#schedule.firstRoundOfEpoch(epoch);
  }

  async value(round: number, { signal }: { readonly signal: AbortSignal }): Promise<BeaconValue> {
    signal.throwIfAborted();
    this.#schedule.assertBegun(round, this.#modules.clock);
    await this.#store.load();
    const known = this.#store.get(round);
    return known === undefined ? this.#join(round, signal) : this.#compute(round, known);
  }

  status(): BeaconStatus {
    const latest = this.#store.latestRound();
    const block = latest === undefined ? undefined : this.#store.get(latest);
    return {
      source: 'chain',
      isPredictable: this.#modules.blocks.isPredictable,
      ...this.#schedule.describe(this.#modules.clock),
      latestKnown: latest === undefined || block === undefined ? null : this.#compute(latest, block),
      problem: this.#problem,
    };
  }

  #compute(round: number, block: BeaconBlock): BeaconValue {
    const { networkId } = this.#options;
    return {
      round,
      startsAtMs: this.#schedule.startOfRound(round),
      value: computeChainBeacon({ networkId, round }, block.blockHash),
      source: 'chain',
      isPredictable: this.#modules.blocks.isPredictable,
      block,
    };
  }

  async #join(round: number, signal: AbortSignal): Promise<BeaconValue> {
    const asking = this.#asking.get(round) ?? this.#begin(round);
    asking.waiters += 1;
    try {
      return await raceSignal(asking.answer, signal);
    } finally {
      asking.waiters -= 1;
      if (asking.waiters === 0) this.#end(round, asking);
    }
  }

  #begin(round: number): Asking {
    const { maxRoundsInFlight } = this.#options;
    if (this.#asking.size >= maxRoundsInFlight) {
      throw new BeaconError({ code: 'BEACON_BUSY', maxRounds: maxRoundsInFlight });
    }
    const controller = new AbortController();
    const answer = this.#ask(round, controller.signal);
    // Whoever waits hears of it; when nobody does any more, nobody needs to.
    answer.catch(() => {});
    const asking: Asking = { answer, controller, waiters: 0 };
    this.#asking.set(round, asking);
    return asking;
  }

  #end(round: number, asking: Asking): void {
    if (this.#asking.get(round) === asking) this.#asking.delete(round);
    asking.controller.abort();
  }

  async #ask(round: number, signal: AbortSignal): Promise<BeaconValue> {
    try {
      const block = await this.#awaitBlock(round, signal);
      await this.#store.keep(round, block);
      this.#problem = null;
      this.#metrics.latestRound.set(this.#store.latestRound() ?? round);
      this.#metrics.rounds.increment({ outcome: 'known' });
      return this.#compute(round, block);
    } catch (error) {
      if (isAbortError(error)) throw error;
      this.#metrics.rounds.increment({ outcome: 'unavailable' });
      this.#problem = describeProblem(error);
      throw error;
    }
  }

  /** Asks until the block is final, the chain has failed too often, or too much time has gone. */
  async #awaitBlock(round: number, signal: AbortSignal): Promise<BeaconBlock> {
    const { clock } = this.#modules;
    const { blockWaitMs, maxFailures, maxPollIntervalMs } = this.#options;
    const deadlineMs = clock.monotonicMs() + blockWaitMs;
    let pollIntervalMs = this.#options.pollIntervalMs;
    let failures = 0;
    for (;;) {
      try {
        const block = await this.#findBlock(round, signal);
        this.#forgetSilence();
        if (block !== undefined) return block;
        failures = 0;
      } catch (error) {
        failures += 1;
        if (signal.aborted || !isPassing(error)) throw this.#explain(error, round, signal);
        if (failures >= maxFailures) throw this.#explain(error, round, signal);
      }
      if (clock.monotonicMs() >= deadlineMs) {
        const reason = `it has no final block of that time after ${blockWaitMs / 1000} s`;
        throw new BeaconError({ code: 'BEACON_UNAVAILABLE', round, reason });
      }
      await pause(clock, pollIntervalMs, signal);
      signal.throwIfAborted();
      pollIntervalMs = Math.min(pollIntervalMs * POLL_GROWTH, maxPollIntervalMs);
    }
  }

  /** The chain answers, final block or not. That it makes no blocks is another problem, and stands until one comes. */
  #forgetSilence(): void {
    if (this.#problem?.code !== STALLED) this.#problem = null;
  }

  async #findBlock(round: number, signal: AbortSignal): Promise<BeaconBlock | undefined> {
    const startsAtMs = this.#schedule.startOfRound(round);
    using deadline = createDeadline(this.#options.askDeadlineMs, signal);
    const asked = this.#modules.blocks.findBlockAtOrAfter(startsAtMs, { signal: deadline.signal });
    const block = await raceSignal(asked, deadline.signal);
    // A value is for ever: the one thing that must never be kept is one of another block.
    if (block !== undefined && (block.timeMs < startsAtMs || block.blockHash.length !== BLOCK_HASH_BYTES)) {
      const reason = `slot ${block.slot} was given for it, which is not of its time or has no proper hash`;
      throw new BeaconError({ code: 'BEACON_UNAVAILABLE', round, reason });
    }
    return block;
  }

  /** What the chain says is wrong becomes the reason; defects and interruptions stay what they are. */
  #explain(error: unknown, round: number, signal: AbortSignal): unknown {
    if (signal.aborted || error instanceof BeaconError) return error;
    if (!isDaemonError(error) && !isAbortError(error)) return error;
    return new BeaconError({ code: 'BEACON_UNAVAILABLE', round, reason: describeError(error) }, { cause: error });
  }

  /** Once for each outage for whoever runs it; a defect with where it is. */
  #logFailure(error: unknown, { round, isNews }: { readonly round: number; readonly isNews: boolean }): void {
    const { code, message: reason } = describeProblem(error);
    const fields = { round, code, reason, ...(code === 'INTERNAL' ? { error } : {}) };
    if (isNews) this.#logger.warn(fields, 'no value of the beacon: the last one stands');
    else this.#logger.debug(fields, 'still no value of the beacon');
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock } = this.#modules;
    const { failurePauseMs, roundMs } = this.#options;
    let isFailing = false;
    while (!signal.aborted) {
      const round = this.#schedule.roundAt(clock.nowMs());
      try {
        await this.value(round, { signal });
        if (isFailing) this.#logger.info({ round }, 'the beacon has values again');
        isFailing = false;
      } catch (error) {
        if (signal.aborted) return;
        this.#logFailure(error, { round, isNews: !isFailing });
        isFailing = true;
      }
      const untilNextMs = Math.max(1, this.#schedule.startOfRound(round + 1) - clock.nowMs());
      // At most a round: a clock that was set back must not silence it for long.
      await pause(clock, Math.min(roundMs, isFailing ? failurePauseMs : untilNextMs), signal);
    }
  }
}

/** Worth asking again at once: no answer in time, or an error of the chain that may pass. */
function isPassing(error: unknown): boolean {
  return isDaemonError(error) ? error.retryable : isAbortError(error);
}

function describeProblem(error: unknown): { readonly code: string; readonly message: string } {
  const cause = error instanceof BeaconError && isDaemonError(error.cause) ? error.cause : error;
  return { code: isDaemonError(cause) ? cause.code : 'INTERNAL', message: describeError(cause) };
}
