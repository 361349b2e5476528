import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { pause } from '../../lib/pause.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import { CORROBORATION, SLOW_FACTOR } from '../constants.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, EndpointStatus } from '../interface.ts';
import { createEndpointMetrics, type EndpointMetrics } from '../metrics.ts';
import { ENDPOINT_DEFAULTS, type EndpointOptions, type EndpointPoolOptions } from '../options.ts';
import { type EndpointUrl, parseEndpointUrl } from './endpoint-url.ts';
import { type RpcCall, RpcEndpoint } from './rpc-endpoint.ts';

export interface EndpointPoolModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

export interface Answer<T> {
  /** Without credentials. */
  readonly url: string;
  readonly value: T;
}

/** What every endpoint said, or why it said nothing. */
export interface Poll<T> {
  readonly answers: readonly Answer<T>[];
  readonly problems: readonly ChainError[];
}

/**
 * The endpoints of one chain, in order of preference. `first` takes one answer and goes on to the next endpoint where
 * one fails; `poll` asks all of them; `corroborate` wants answers of two where two are configured.
 */
export class EndpointPool implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: EndpointOptions;
  readonly #metrics: EndpointMetrics;
  readonly #endpoints: readonly RpcEndpoint[];
  readonly #urls: readonly EndpointUrl[];
  readonly #closing = new AbortController();
  readonly #probes = new Map<RpcEndpoint, Promise<void>>();

  constructor(modules: EndpointPoolModules, options: EndpointPoolOptions) {
    this.#clock = modules.clock;
    this.#options = { ...ENDPOINT_DEFAULTS, ...options };
    this.#metrics = createEndpointMetrics(modules.metrics);
    const logger = modules.logger.child({ module: 'chain' });
    // The same address twice is one endpoint: it cannot corroborate itself.
    this.#urls = [...new Set(options.rpcUrls.map((url) => new URL(url).href))].map(parseEndpointUrl);
    const endpointOptions = { ...this.#options, genesis: options.genesis };
    this.#endpoints = this.#urls.map(
      (url) =>
        new RpcEndpoint(
          { url, clock: modules.clock, logger, metrics: this.#metrics, closing: this.#closing.signal },
          endpointOptions,
        ),
    );
  }

  /** How many must agree on what matters. An endpoint that fails counts: it may be made to. */
  get needed(): number {
    return Math.min(CORROBORATION, this.#endpoints.length);
  }

  get webSocketUrls(): readonly EndpointUrl[] {
    return this.#urls;
  }

  /**
   * The first usable answer. An endpoint that fails is followed by the next one; when all did, they are asked again
   * after a pause, a few times.
   * @throws ChainError CHAIN_UNREACHABLE, CHAIN_WRONG_CLUSTER, CHAIN_BAD_RESPONSE, CHAIN_RPC_ERROR, CHAIN_HISTORY_GONE
   */
  async first<T>(call: RpcCall<T>, { signal }: CallOptions): Promise<T> {
    this.#assertConfigured();
    const problems = new Map<RpcEndpoint, ChainError>();
    for (let round = 0; round < this.#options.rounds; round += 1) {
      if (round > 0) await this.#rest(round, signal);
      for (const [index, endpoint] of this.#candidates(round).entries()) {
        const outcome = await this.#attempt(endpoint, call, signal);
        if (outcome.kind === 'answer') {
          if (index > 0 || round > 0) this.#metrics.failovers.increment();
          return outcome.value;
        }
        problems.set(endpoint, outcome.problem);
      }
      if ([...problems.values()].every((problem) => !problem.retryable)) break;
    }
    throw summarise([...problems.values()], this.#endpoints);
  }

  /** Asks every endpoint that is not left alone at the moment, at once. Throws only what the signal aborts with. */
  async poll<T>(call: RpcCall<T>, { signal }: CallOptions): Promise<Poll<T>> {
    this.#assertConfigured();
    const answers: Answer<T>[] = [];
    const problems: ChainError[] = [];
    await Promise.all(
      this.#endpoints.map(async (endpoint) => {
        if (!endpoint.isDue && endpoint.problem !== null) return problems.push(endpoint.problem);
        const outcome = await this.#attempt(endpoint, call, signal);
        return outcome.kind === 'answer'
          ? answers.push({ url: endpoint.label, value: outcome.value })
          : problems.push(outcome.problem);
      }),
    );
    return { answers, problems };
  }

  /**
   * Answers of all endpoints that answer, and of at least as many as must agree (or `atLeast`). The caller compares
   * them with `assertSame`.
   * @throws ChainError CHAIN_NOT_CORROBORATED if fewer answer; as `first` if none does
   */
  async corroborate<T>(
    subject: string,
    call: RpcCall<T>,
    options: CallOptions & { readonly atLeast?: number },
  ): Promise<readonly Answer<T>[]> {
    for (let round = 0; ; round += 1) {
      if (round > 0) await this.#rest(round, options.signal);
      const { answers, problems } = await this.poll(call, options);
      if (answers.length >= (options.atLeast ?? this.needed)) return answers;
      const isLast = round + 1 >= this.#options.rounds || problems.every((problem) => !problem.retryable);
      if (!isLast) continue;
      if (answers.length === 0) throw summarise(problems, this.#endpoints);
      throw this.notCorroborated(subject, problems.map(describeError));
    }
  }

  /** The error of a poll that nobody answered. */
  unreachable(problems: readonly ChainError[]): ChainError {
    return summarise(problems, this.#endpoints);
  }

  notCorroborated(subject: string, problems: readonly string[]): ChainError {
    return new ChainError({ code: 'CHAIN_NOT_CORROBORATED', subject, needed: this.needed, problems });
  }

  /** What all of them say. @throws ChainError CHAIN_ENDPOINTS_DISAGREE naming two different answers */
  assertSame<T>(subject: string, answers: readonly Answer<T>[], describe: (value: T) => string): T {
    const [first, ...others] = answers;
    if (first === undefined) throw this.notCorroborated(subject, ['no answer']);
    const expected = describe(first.value);
    const other = others.find(({ value }) => describe(value) !== expected);
    if (other === undefined) return first.value;
    this.#metrics.disagreements.increment();
    throw new ChainError({
      code: 'CHAIN_ENDPOINTS_DISAGREE',
      subject,
      first: { url: first.url, answer: expected },
      second: { url: other.url, answer: describe(other.value) },
    });
  }

  /** @throws ChainError CHAIN_WRONG_CLUSTER if any endpoint is on another chain */
  assertNoneRefused(): void {
    const refused = this.#endpoints.find((endpoint) => endpoint.isRefused);
    if (refused?.problem) throw refused.problem;
  }

  status(): readonly EndpointStatus[] {
    return this.#endpoints.map((endpoint) => endpoint.status());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException('the chain is closed', 'AbortError'));
    await Promise.allSettled(this.#probes.values());
  }

  async #attempt<T>(
    endpoint: RpcEndpoint,
    call: RpcCall<T>,
    signal: AbortSignal,
  ): Promise<{ kind: 'answer'; value: T } | { kind: 'problem'; problem: ChainError }> {
    try {
      return { kind: 'answer', value: await endpoint.use(call, { signal }) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ChainError)) throw error;
      return { kind: 'problem', problem: error };
    }
  }

  /** Healthy ones first; those that failed last, and while left alone only if nothing else is there. */
  #candidates(round: number): readonly RpcEndpoint[] {
    const due = this.#endpoints.filter((endpoint) => endpoint.isDue);
    const isLastRound = round + 1 >= this.#options.rounds;
    const candidates = due.length === 0 && (round === 0 || isLastRound) ? this.#endpoints : due;
    const ordered = candidates.toSorted((a, b) => this.#rank(a) - this.#rank(b));
    this.#probe(ordered.slice(1));
    return ordered;
  }

  #rank(endpoint: RpcEndpoint): number {
    if (endpoint.isFailing) return 2;
    const healthy = this.#endpoints.filter((other) => !other.isFailing);
    const newest = Math.max(...healthy.map((other) => other.slot ?? 0));
    const quickestMs = Math.min(...healthy.map((other) => other.latencyMs));
    const isLagging = newest - (endpoint.slot ?? newest) > this.#options.maxSlotLag;
    const isSlow = endpoint.isSlow && endpoint.latencyMs > SLOW_FACTOR * quickestMs;
    return isLagging || isSlow ? 1 : 0;
  }

  /** Beside a call to another, those are asked for their slot that may have recovered or were not heard for long. */
  #probe(endpoints: readonly RpcEndpoint[]): void {
    if (this.#closing.signal.aborted) return;
    for (const endpoint of endpoints) {
      if (!endpoint.isProbeDue() || this.#probes.has(endpoint)) continue;
      const probe = this.#attempt(endpoint, (rpc, options) => rpc.slot('confirmed', options), this.#closing.signal)
        // Its failure is in the endpoint's health; an aborted probe has nothing to say.
        .then(
          () => {},
          () => {},
        )
        .finally(() => this.#probes.delete(endpoint));
      this.#probes.set(endpoint, probe);
    }
  }

  async #rest(round: number, signal: AbortSignal): Promise<void> {
    await pause(this.#clock, this.#options.roundBackoffMs * 2 ** (round - 1), signal);
    signal.throwIfAborted();
  }

  #assertConfigured(): void {
    if (this.#endpoints.length === 0) throw new ChainError({ code: 'CHAIN_NO_ENDPOINTS' });
  }
}

/** One error of several: the one that tells a person most. */
function summarise(problems: readonly ChainError[], endpoints: readonly RpcEndpoint[]): ChainError {
  const refused = problems.filter(({ code }) => code === 'CHAIN_WRONG_CLUSTER');
  if (refused[0] !== undefined && refused.length === endpoints.length) return refused[0];
  const answered = problems.filter(({ code }) => code === 'CHAIN_RPC_ERROR' || code === 'CHAIN_HISTORY_GONE');
  if (answered[0] !== undefined) return answered[0];
  const bad = problems.find(({ code }) => code === 'CHAIN_BAD_RESPONSE');
  if (bad !== undefined && problems.length === 1) return bad;
  const cause = new AggregateError(problems);
  return new ChainError({ code: 'CHAIN_UNREACHABLE', problems: problems.map(describeError) }, { cause });
}
