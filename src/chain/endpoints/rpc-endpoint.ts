import type { BlockHash } from '../../domain/chain.ts';
import { createDeadline, raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { CALL_TIMEOUT_FACTOR, SLOW_LATENCY_MS } from '../constants.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions, EndpointStatus } from '../interface.ts';
import type { EndpointMetrics } from '../metrics.ts';
import type { EndpointOptions } from '../options.ts';
import type { EndpointUrl } from './endpoint-url.ts';
import { SolanaRpc } from './solana-rpc.ts';

export interface RpcEndpointModules {
  readonly url: EndpointUrl;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: EndpointMetrics;
  /** Aborts when the pool is closed: a check of the genesis is shared by all who wait for it. */
  readonly closing: AbortSignal;
}

export type RpcCall<T> = (rpc: SolanaRpc, options: CallOptions) => Promise<T>;

const LATENCY_WEIGHT = 0.2;

/** One endpoint with what is known of its health. Nothing that it says is used before its genesis was checked. */
export class RpcEndpoint {
  readonly #modules: RpcEndpointModules;
  readonly #options: EndpointOptions & { readonly genesis: BlockHash };
  readonly #rpc: SolanaRpc;
  #checkedAtMs: number | undefined;
  #checking: Promise<void> | undefined;
  #state: EndpointStatus['state'] = 'untried';
  #failures = 0;
  #retryAtMs = 0;
  #heardAtMs: number | undefined;
  #slot: number | null = null;
  #latencyMs: number | null = null;
  #problem: ChainError | null = null;

  constructor(modules: RpcEndpointModules, options: EndpointOptions & { readonly genesis: BlockHash }) {
    this.#modules = modules;
    this.#options = options;
    this.#rpc = new SolanaRpc(
      {
        url: modules.url,
        onRequest: ({ method, elapsedMs }) => {
          modules.metrics.requests.increment({ method });
          modules.metrics.latency.observe(elapsedMs / 1_000);
          const before = this.#latencyMs ?? elapsedMs;
          this.#latencyMs = before + LATENCY_WEIGHT * (elapsedMs - before);
        },
        onSlot: (slot) => {
          this.#slot = Math.max(this.#slot ?? 0, slot);
        },
      },
      options,
    );
  }

  get label(): string {
    return this.#modules.url.label;
  }

  get slot(): number | null {
    return this.#slot;
  }

  get latencyMs(): number {
    return this.#latencyMs ?? 0;
  }

  get problem(): ChainError | null {
    return this.#problem;
  }

  get isRefused(): boolean {
    return this.#state === 'refused';
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** False while it is left alone after a failure. */
  get isDue(): boolean {
    return this.#modules.clock.monotonicMs() >= this.#retryAtMs;
  }

  get isSlow(): boolean {
    return this.latencyMs > SLOW_LATENCY_MS;
  }

  /** True if it should be asked something, only to know how it is. */
  isProbeDue(): boolean {
    const nowMs = this.#modules.clock.monotonicMs();
    if (this.#failures > 0) return nowMs >= this.#retryAtMs;
    return nowMs - (this.#heardAtMs ?? Number.NEGATIVE_INFINITY) > this.#options.probeAfterMs;
  }

  /** @throws ChainError what went wrong with this endpoint; whatever the signal aborts with */
  async use<T>(call: RpcCall<T>, { signal: parent }: CallOptions): Promise<T> {
    // A call of many requests, each answered just in time, must not hold up what waits for all endpoints.
    using deadline = createDeadline(this.#options.timeoutMs * CALL_TIMEOUT_FACTOR, parent);
    const { signal } = deadline;
    try {
      await this.#assertGenesis(signal);
      const answer = await call(this.#rpc, { signal });
      this.#succeeded();
      return answer;
    } catch (thrown) {
      parent.throwIfAborted();
      const error = signal.aborted ? this.#tooSlow() : thrown;
      if (error instanceof ChainError) this.#failed(error);
      throw error;
    }
  }

  status(): EndpointStatus {
    const latencyMs = this.#latencyMs === null ? null : Math.round(this.#latencyMs * 10) / 10;
    const problem = this.#problem?.message ?? null;
    return { url: this.label, state: this.#state, slot: this.#slot, latencyMs, problem };
  }

  async #assertGenesis(signal: AbortSignal): Promise<void> {
    const ageMs = this.#modules.clock.monotonicMs() - (this.#checkedAtMs ?? Number.NEGATIVE_INFINITY);
    if (ageMs < this.#options.genesisRecheckMs) return;
    this.#checking ??= this.#checkGenesis().finally(() => {
      this.#checking = undefined;
    });
    await raceSignal(this.#checking, signal);
  }

  async #checkGenesis(): Promise<void> {
    const { genesis: expected } = this.#options;
    const found = await this.#rpc.genesis({ signal: this.#modules.closing });
    if (found !== expected) throw new ChainError({ code: 'CHAIN_WRONG_CLUSTER', url: this.label, expected, found });
    this.#checkedAtMs = this.#modules.clock.monotonicMs();
  }

  #tooSlow(): ChainError {
    const reason = `a call took more than ${this.#options.timeoutMs * CALL_TIMEOUT_FACTOR} ms`;
    const { label: url } = this;
    return new ChainError({ code: 'CHAIN_ENDPOINT_FAILED', url, fault: 'timeout', reason, retryAfterMs: null });
  }

  #succeeded(): void {
    if (this.#failures > 0) this.#modules.logger.info({ endpoint: this.label }, 'RPC endpoint answers again');
    this.#failures = 0;
    this.#retryAtMs = 0;
    this.#problem = null;
    this.#state = 'ok';
    this.#heardAtMs = this.#modules.clock.monotonicMs();
  }

  #failed(error: ChainError): void {
    const { info } = error;
    this.#modules.metrics.failures.increment({ code: info.code });
    const isRefused = info.code === 'CHAIN_WRONG_CLUSTER';
    const isFault =
      isRefused ||
      info.code === 'CHAIN_BAD_RESPONSE' ||
      (info.code === 'CHAIN_ENDPOINT_FAILED' && info.fault !== 'behind');
    // An error of the question (an unknown method, a slot without a block) says nothing of the endpoint.
    if (!isFault) return;
    if (this.#failures === 0) this.#logFailure(error);
    this.#failures += 1;
    this.#state = isRefused ? 'refused' : 'failing';
    this.#problem = error;
    // Another server may answer at that address from now on: a local chain that was begun anew, say.
    this.#checkedAtMs = undefined;
    const { backoffMs, backoffMaxMs } = this.#options;
    const pauseMs = isRefused
      ? backoffMaxMs
      : Math.min(backoffMs * 2 ** Math.min(20, this.#failures - 1), backoffMaxMs);
    const askedMs = info.code === 'CHAIN_ENDPOINT_FAILED' ? (info.retryAfterMs ?? 0) : 0;
    this.#retryAtMs = this.#modules.clock.monotonicMs() + Math.max(pauseMs, askedMs);
  }

  #logFailure(error: ChainError): void {
    const fields = { endpoint: this.label, code: error.code, reason: error.message, hint: error.hint };
    this.#modules.logger.warn(fields, 'RPC endpoint fails');
  }
}
