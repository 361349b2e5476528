import { RpcError } from './errors.ts';
import type { JsonRpcResponse } from './json-rpc.ts';

/** Name of the notifications that carry events. */
export const SUBSCRIPTION_METHOD = 'subscription';

/** Params of those notifications: events, then one last that says that it is over. */
export type SubscriptionMessage =
  | { readonly subscription: string; readonly event: unknown }
  | { readonly subscription: string; readonly end: true; readonly error?: JsonRpcResponse['error'] };

export interface SubscriptionModules {
  /** Resolves when the reader can take more. */
  send(message: unknown): Promise<void> | undefined;
  mapError(thrown: unknown): NonNullable<JsonRpcResponse['error']>;
}

export interface SubscriptionOptions {
  readonly idPrefix: string;
  readonly max: number;
  readonly signal: AbortSignal;
}

/** The subscriptions of one connection. */
export class SubscriptionSet {
  readonly #modules: SubscriptionModules;
  readonly #options: SubscriptionOptions;
  readonly #open = new Map<string, AbortController>();
  #sequence = 0;

  constructor(modules: SubscriptionModules, options: SubscriptionOptions) {
    this.#modules = modules;
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#abortAll(), { once: true });
  }

  /** @throws RpcError RPC_TOO_MANY_SUBSCRIPTIONS */
  add(open: (signal: AbortSignal) => AsyncIterable<unknown>): { readonly id: string; readonly start: () => void } {
    const { max, idPrefix, signal } = this.#options;
    if (this.#open.size >= max) throw new RpcError({ code: 'RPC_TOO_MANY_SUBSCRIPTIONS', max });
    this.#sequence += 1;
    const id = `${idPrefix}.${this.#sequence}`;
    const controller = new AbortController();
    if (signal.aborted) controller.abort(signal.reason);
    this.#open.set(id, controller);
    return { id, start: () => void this.#pump(id, open, controller.signal) };
  }

  /** Ends one without a last message. */
  remove(id: string): boolean {
    const controller = this.#open.get(id);
    this.#open.delete(id);
    controller?.abort(new DOMException('unsubscribed', 'AbortError'));
    return controller !== undefined;
  }

  /** Tells every reader that it is over. */
  endAll(): void {
    for (const id of this.#open.keys()) {
      const error = this.#modules.mapError(new RpcError({ code: 'RPC_ABORTED', reason: 'the connection is closing' }));
      this.#sendLast(id, error);
    }
    this.#abortAll();
  }

  #abortAll(): void {
    for (const id of this.#open.keys()) this.remove(id);
  }

  /** Never rejects. What is not in the set any more sends nothing more. */
  async #pump(id: string, open: (signal: AbortSignal) => AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
    try {
      for await (const event of open(signal)) {
        if (!this.#open.has(id)) return;
        await this.#send({ subscription: id, event });
      }
      if (this.#open.has(id)) this.#sendLast(id, undefined);
    } catch (error) {
      if (this.#open.has(id)) this.#sendLast(id, this.#modules.mapError(error));
    } finally {
      this.remove(id);
    }
  }

  #sendLast(id: string, error: JsonRpcResponse['error']): void {
    void this.#send({ subscription: id, end: true, ...(error === undefined ? {} : { error }) });
  }

  #send(params: SubscriptionMessage): Promise<void> | undefined {
    return this.#modules.send({ jsonrpc: '2.0', method: SUBSCRIPTION_METHOD, params });
  }
}
