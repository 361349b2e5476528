import type { Connection, ConnectionConfig } from '@solana/web3.js';
import type { z } from 'zod';
import { createDeadline, raceSignal } from '../../lib/abort.ts';
import { describeError } from '../../lib/errors.ts';
import { MAX_RESPONSE_BYTES } from '../constants.ts';
import { ChainError } from '../errors.ts';
import type { CallOptions } from '../interface.ts';
import type { EndpointUrl } from './endpoint-url.ts';
import { LimitedFetch } from './limited-fetch.ts';
import { loadWeb3, type Web3 } from './web3.ts';

export interface RpcTransportModules {
  readonly url: EndpointUrl;
  /** Every request, once it ended. */
  readonly onRequest: (request: { readonly method: string; readonly elapsedMs: number }) => void;
}

export interface Request {
  readonly method: string;
  readonly maxBytes?: number;
}

export interface Question<T> extends Request {
  readonly schema: z.ZodType<T>;
  readonly ask: (connection: Connection, web3: Web3) => Promise<unknown>;
}

const MAX_REASON = 300;

/** Runs calls of the Solana client against one endpoint: with a deadline, a size limit and a schema each. */
export class RpcTransport {
  readonly #modules: RpcTransportModules;
  readonly #timeoutMs: number;
  readonly #fetch: LimitedFetch;
  #connection: Connection | undefined;

  constructor(modules: RpcTransportModules, options: { readonly timeoutMs: number }) {
    this.#modules = modules;
    this.#timeoutMs = options.timeoutMs;
    this.#fetch = new LimitedFetch(modules);
  }

  /** @throws ChainError CHAIN_ENDPOINT_FAILED, CHAIN_BAD_RESPONSE, CHAIN_RPC_ERROR */
  ask<T>({ schema, ask, ...request }: Question<T>, options: CallOptions): Promise<T> {
    return this.run(request, options, async (connection, web3) => {
      const parsed = schema.safeParse(await ask(connection, web3));
      if (parsed.success) return parsed.data;
      const [issue] = parsed.error.issues;
      throw this.bad(request.method, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'another shape'}`);
    });
  }

  async run<T>(
    { method, maxBytes = MAX_RESPONSE_BYTES }: Request,
    { signal: parent }: CallOptions,
    ask: (connection: Connection, web3: Web3) => Promise<T>,
  ): Promise<T> {
    const web3 = await raceSignal(loadWeb3(), parent);
    const connection = this.#connect(web3);
    const startedAtMs = performance.now();
    using deadline = createDeadline(this.#timeoutMs, parent);
    const { signal } = deadline;
    try {
      const call = this.#fetch.within({ method, signal, maxBytes }, () => ask(connection, web3));
      return await raceSignal(call, signal);
    } catch (error) {
      parent.throwIfAborted();
      if (signal.aborted) throw this.#timedOut(method);
      if (error instanceof ChainError) throw error;
      throw this.bad(method, describeError(error), { cause: error });
    } finally {
      this.#modules.onRequest({ method, elapsedMs: performance.now() - startedAtMs });
    }
  }

  /** The error of an answer that is something else. */
  bad(method: string, reason: string, options: ErrorOptions = {}): ChainError {
    const { url } = this.#modules;
    const text = url.redact(reason).slice(0, MAX_REASON);
    return new ChainError({ code: 'CHAIN_BAD_RESPONSE', url: url.label, method, reason: text }, options);
  }

  #connect(web3: Web3): Connection {
    this.#connection ??= new web3.Connection(this.#modules.url.requestUrl, {
      commitment: 'confirmed',
      // Its type is that of node-fetch, of which the client uses `ok`, `status`, `statusText` and `text()`.
      fetch: this.#fetch.fetch as unknown as NonNullable<ConnectionConfig['fetch']>,
      httpAgent: false,
      disableRetryOnRateLimit: true,
    });
    return this.#connection;
  }

  #timedOut(method: string): ChainError {
    return new ChainError({
      code: 'CHAIN_ENDPOINT_FAILED',
      url: this.#modules.url.label,
      fault: 'timeout',
      reason: `no answer to ${method} within ${this.#timeoutMs} ms`,
      retryAfterMs: null,
    });
  }
}
