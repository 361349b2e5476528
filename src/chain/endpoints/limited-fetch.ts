import { AsyncLocalStorage } from 'node:async_hooks';
import { z } from 'zod';
import { describeError } from '../../lib/errors.ts';
import { RETRY_AFTER_MAX_MS } from '../constants.ts';
import { ChainError, type EndpointFault } from '../errors.ts';
import type { EndpointUrl } from './endpoint-url.ts';

/** What the call in progress allows; the client library has no way to pass it on. */
export interface RequestLimits {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly maxBytes: number;
}

const MAX_REASON = 300;

const envelopeSchema = z.union([
  z.object({
    jsonrpc: z.literal('2.0'),
    error: z.object({ code: z.int(), message: z.string(), data: z.unknown().optional() }),
  }),
  z.object({ jsonrpc: z.literal('2.0'), result: z.unknown() }),
]);

/** JSON-RPC errors of Solana that say something of the endpoint and nothing of the question (rpc-client-api). */
const ENDPOINT_FAULTS: Readonly<Record<number, EndpointFault>> = {
  [-32_603]: 'unhealthy',
  [-32_005]: 'unhealthy',
  [-32_016]: 'behind',
  429: 'rate-limited',
};

/** What a faucet says to a wish that it does not grant, where other methods fail with the same codes (rpc requestAirdrop). */
const FAUCET_REFUSALS: ReadonlySet<number> = new Set([-32_603, 429]);

/**
 * The `fetch` that the Solana client is given: with a deadline and a limit on the size of the answer, without
 * redirects (they would take credentials elsewhere), and with every failure as a coded error.
 */
export class LimitedFetch {
  readonly #url: EndpointUrl;
  readonly #limits = new AsyncLocalStorage<RequestLimits>();

  constructor(modules: { readonly url: EndpointUrl }) {
    this.#url = modules.url;
  }

  /** Requests that `call` makes have these limits. */
  within<T>(limits: RequestLimits, call: () => Promise<T>): Promise<T> {
    return this.#limits.run(limits, call);
  }

  /** Answers with the text of a JSON-RPC success. @throws ChainError */
  readonly fetch = async (_address: unknown, request: { readonly body?: unknown } = {}): Promise<Response> => {
    const limits = this.#limits.getStore();
    if (limits === undefined) throw new TypeError('a request outside of a call');
    const response = await this.#post(limits, String(request.body));
    const text = await this.#readBody(response, limits);
    this.#assertSuccess(text, limits.method);
    return new Response(text, { status: 200, headers: { 'content-type': 'application/json' } });
  };

  async #post({ signal, maxBytes, method }: RequestLimits, body: string): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.#url.requestUrl, {
        method: 'POST',
        body,
        signal,
        redirect: 'error',
        headers: { 'content-type': 'application/json', ...this.#url.headers },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failed('network', describeFetchError(error), { cause: error });
    }
    if (response.ok && Number(response.headers.get('content-length') ?? 0) <= maxBytes) return response;
    await response.body?.cancel();
    if (response.ok) throw this.#bad(method, `more than ${maxBytes} bytes`);
    const fault = response.status === 429 ? 'rate-limited' : 'http';
    throw this.#failed(fault, `HTTP ${response.status}`, { retryAfterMs: parseRetryAfter(response.headers) });
  }

  async #readBody(response: Response, { signal, maxBytes, method }: RequestLimits): Promise<string> {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    try {
      for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        sizeBytes += part.length;
        // Leaving the loop cancels the rest of the body.
        if (sizeBytes > maxBytes) break;
        parts.push(part);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failed('network', describeFetchError(error), { cause: error });
    }
    if (sizeBytes > maxBytes) throw this.#bad(method, `more than ${maxBytes} bytes`);
    return Buffer.concat(parts).toString('utf8');
  }

  #assertSuccess(text: string, method: string): void {
    const parsed = envelopeSchema.safeParse(parseJson(text));
    if (!parsed.success) throw this.#bad(method, 'no JSON-RPC response');
    if (!('error' in parsed.data)) return;
    const { code, message } = parsed.data.error;
    const reason = this.#url.redact(message).slice(0, MAX_REASON);
    const isFaucet = method === 'requestAirdrop' && FAUCET_REFUSALS.has(code);
    const fault = isFaucet ? undefined : ENDPOINT_FAULTS[code];
    if (fault !== undefined) throw this.#failed(fault, `${reason} (${code})`);
    throw new ChainError({ code: 'CHAIN_RPC_ERROR', url: this.#url.label, method, rpcCode: code, reason });
  }

  #failed(
    fault: EndpointFault,
    reason: string,
    more: { readonly cause?: unknown; readonly retryAfterMs?: number | null } = {},
  ): ChainError {
    const { label: url } = this.#url;
    const text = this.#url.redact(reason).slice(0, MAX_REASON);
    return new ChainError(
      { code: 'CHAIN_ENDPOINT_FAILED', url, fault, reason: text, retryAfterMs: more.retryAfterMs ?? null },
      more.cause === undefined ? {} : { cause: more.cause },
    );
  }

  #bad(method: string, reason: string): ChainError {
    return new ChainError({ code: 'CHAIN_BAD_RESPONSE', url: this.#url.label, method, reason });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `fetch failed` says nothing; its cause names what happened, such as `connect ECONNREFUSED 127.0.0.1:8899`. */
function describeFetchError(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof AggregateError) return cause.errors.map(describeError).join(', ');
  return describeError(cause);
}

/** RFC 9110 section 10.2.3: seconds or a date. */
function parseRetryAfter(headers: Headers): number | null {
  const text = headers.get('retry-after');
  if (text === null) return null;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), RETRY_AFTER_MAX_MS);
}
