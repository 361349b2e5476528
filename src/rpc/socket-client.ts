import { createConnection, type Socket } from 'node:net';
import { type AbortOptions, raceSignal } from '../lib/abort.ts';
import type { DaemonError } from '../lib/errors.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import type { RpcClient } from './client.ts';
import { MAX_BUFFERED_EVENTS, MAX_CLIENT_LINE_BYTES } from './constants.ts';
import { restoreError } from './error-codes.ts';
import { RpcError } from './errors.ts';
import { EventQueue } from './event-queue.ts';
import type { RpcMethodName, RpcMethods, RpcSubscriptionName, RpcSubscriptions } from './interface.ts';
import { type JsonForm, toJsonForm } from './json-form.ts';
import { LineDecoder } from './line-decoder.ts';

interface PendingCall {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** What the daemon may send; every field is looked at before use. */
interface Incoming {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  readonly params?: {
    readonly subscription?: string;
    readonly event?: unknown;
    readonly end?: boolean;
    readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
  };
}

/**
 * Connects to the control socket of a daemon.
 * @throws RpcError RPC_NO_DAEMON
 */
export async function connectSocket(path: string, options: AbortOptions = {}): Promise<RpcClient> {
  const socket = createConnection(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: Error): void => {
    const reason = systemErrorCode(error) ?? error.message;
    reject(new RpcError({ code: 'RPC_NO_DAEMON', path, reason }, { cause: error }));
  };
  socket.once('connect', resolve).once('error', onError);
  try {
    await (options.signal === undefined ? promise : raceSignal(promise, options.signal));
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    socket.off('error', onError);
  }
  return new SocketRpcClient(socket, path);
}

/** Calls go by id, so any number may be under way at once. */
class SocketRpcClient implements RpcClient {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #decoder = new LineDecoder(MAX_CLIENT_LINE_BYTES);
  readonly #calls = new Map<number, PendingCall>();
  readonly #queues = new Map<string, EventQueue<unknown>>();
  #lastId = 0;
  #lost: DaemonError | undefined;

  constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The reason is in the 'close' that follows: the connection is gone.
    socket.on('error', () => {});
    socket.once('close', () => this.#fail(new RpcError({ code: 'RPC_CONNECTION_LOST', path: this.#path })));
  }

  async call<Name extends RpcMethodName>(
    method: Name,
    params: RpcMethods[Name]['params'],
    options: AbortOptions = {},
  ): Promise<JsonForm<RpcMethods[Name]['result']>> {
    options.signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = this.#send(method, params, { resolve, reject });
    try {
      const result = await (options.signal === undefined ? promise : raceSignal(promise, options.signal));
      // The daemon is this user's own, and answers in the form that its schemas say.
      return result as JsonForm<RpcMethods[Name]['result']>;
    } finally {
      this.#calls.delete(id);
    }
  }

  async *subscribe<Name extends RpcSubscriptionName>(
    method: Name,
    params: RpcSubscriptions[Name]['params'],
    options: AbortOptions = {},
  ): AsyncGenerator<JsonForm<RpcSubscriptions[Name]['event']>, void, undefined> {
    const { signal } = options;
    signal?.throwIfAborted();
    const queue = new EventQueue<unknown>(MAX_BUFFERED_EVENTS);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    // Registered while the answer is read: events may follow it in the same chunk.
    const onAnswer = (result: unknown): void => resolve(this.#register(result, queue));
    this.#send(method, params, { resolve: onAnswer, reject });
    const onAbort = (): void => queue.fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    let subscription: string | undefined;
    try {
      subscription = await (signal === undefined ? promise : raceSignal(promise, signal));
      for await (const event of queue.read()) yield event as JsonForm<RpcSubscriptions[Name]['event']>;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#leave(subscription, promise);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('close', () => resolve());
    this.#socket.destroy();
    await promise;
  }

  #send(method: string, params: unknown, call: PendingCall): number {
    this.#lastId += 1;
    const id = this.#lastId;
    if (this.#lost !== undefined) {
      call.reject(this.#lost);
      return id;
    }
    this.#calls.set(id, call);
    this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params: toJsonForm(params) })}\n`);
    return id;
  }

  #register(result: unknown, queue: EventQueue<unknown>): string {
    const subscription =
      typeof result === 'object' && result !== null && 'subscription' in result ? result.subscription : undefined;
    if (typeof subscription !== 'string') {
      queue.fail(new RpcError({ code: 'RPC_BAD_RESPONSE', reason: 'a subscription without a name' }));
      return '';
    }
    this.#queues.set(subscription, queue);
    return subscription;
  }

  /** Also where the loop was left before the daemon had answered. */
  #leave(subscription: string | undefined, answer: Promise<string>): void {
    const unsubscribe = (name: string): void => {
      if (!this.#queues.delete(name) || this.#lost !== undefined) return;
      this.#send('rpc.unsubscribe', { subscription: name }, { resolve: () => {}, reject: () => {} });
    };
    if (subscription !== undefined) unsubscribe(subscription);
    else void answer.then(unsubscribe, () => {});
  }

  #receive(chunk: Buffer): void {
    for (const line of this.#decoder.push(chunk)) {
      if (line.kind !== 'line') return this.#abandon('a line that is too long or not UTF-8');
      const message = parseIncoming(line.text);
      if (message === undefined) return this.#abandon('a line that is not a JSON object');
      this.#dispatch(message);
    }
  }

  #dispatch(message: Incoming): void {
    if (message.params !== undefined) return this.#onEvent(message.params);
    if (message.id === null && message.error !== undefined) {
      // An answer to no request in particular: the daemon refuses this connection.
      this.#fail(restoreError(message.error));
      this.#socket.destroy();
      return;
    }
    const call = typeof message.id === 'number' ? this.#calls.get(message.id) : undefined;
    if (call === undefined) return;
    this.#calls.delete(message.id as number);
    if (message.error !== undefined) call.reject(restoreError(message.error));
    else call.resolve(message.result);
  }

  #onEvent(params: NonNullable<Incoming['params']>): void {
    const queue = this.#queues.get(params.subscription ?? '');
    if (queue === undefined) return;
    if (params.end !== true) return queue.push(params.event);
    this.#queues.delete(params.subscription ?? '');
    if (params.error === undefined) queue.end();
    else queue.fail(restoreError(params.error));
  }

  #abandon(reason: string): void {
    this.#fail(new RpcError({ code: 'RPC_BAD_RESPONSE', reason }));
    this.#socket.destroy();
  }

  #fail(error: DaemonError): void {
    this.#lost ??= error;
    for (const call of this.#calls.values()) call.reject(this.#lost);
    for (const queue of this.#queues.values()) queue.fail(this.#lost);
    this.#calls.clear();
    this.#queues.clear();
  }
}

function parseIncoming(text: string): Incoming | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Incoming) : undefined;
  } catch {
    return undefined;
  }
}
