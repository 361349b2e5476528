import type { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import { TokenBucket } from '../lib/token-bucket.ts';
import type { Logger } from '../telemetry/interface.ts';
import { BatchAnswer } from './batch-answer.ts';
import { CLOSE_GRACE_MS } from './constants.ts';
import { mapError } from './error-codes.ts';
import { RpcError } from './errors.ts';
import {
  findRequestId,
  type JsonRpcRequest,
  type JsonRpcResponse,
  type MethodTable,
  parseJson,
  parseRequest,
  type RequestId,
} from './json-rpc.ts';
import { type DecodedLine, LineDecoder } from './line-decoder.ts';
import { LineQueue } from './line-queue.ts';
import type { RpcMetrics } from './metrics.ts';
import type { ConnectionLimits } from './options.ts';
import { OutboundLines } from './outbound-lines.ts';
import { ReadGate } from './read-gate.ts';
import { SubscriptionSet } from './subscription-set.ts';
import { WorkTurns } from './work-turns.ts';

export interface ConnectionModules {
  readonly socket: Socket;
  readonly methods: MethodTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: RpcMetrics;
}

export interface ConnectionOptions {
  /** Names this connection in the log. */
  readonly id: string;
  readonly limits: ConnectionLimits;
}

/** An answer, and what may only happen once it was sent. */
interface Answer {
  readonly response: JsonRpcResponse | undefined;
  readonly afterSend: readonly (() => void)[];
}

/** One client of the control socket: requests in, answers and events out, inside its limits. */
export class Connection {
  readonly closed: Promise<void>;
  readonly #modules: ConnectionModules;
  readonly #options: ConnectionOptions;
  readonly #decoder: LineDecoder;
  readonly #bucket: TokenBucket;
  readonly #abort = new AbortController();
  readonly #turns: WorkTurns;
  readonly #lines: LineQueue;
  readonly #outbound: OutboundLines;
  readonly #subscriptions: SubscriptionSet;
  #inFlight = 0;
  #sequence = 0;
  #isEnding = false;

  constructor(modules: ConnectionModules, options: ConnectionOptions) {
    const { limits } = options;
    const { socket } = modules;
    this.#modules = modules;
    this.#options = options;
    this.#decoder = new LineDecoder(limits.maxLineBytes);
    this.#bucket = new TokenBucket(
      { perSecond: limits.ratePerSecond, burst: limits.rateBurst },
      modules.clock.monotonicMs(),
    );
    this.#turns = new WorkTurns(modules);
    const gate = new ReadGate<'lines' | 'reader'>({ socket });
    this.#lines = new LineQueue({ turns: this.#turns, gate, begin: (line) => this.#answerLine(line) });
    this.#outbound = new OutboundLines(
      { socket, clock: modules.clock, gate, onStuck: () => this.#drop('slow-reader') },
      limits,
    );
    this.#subscriptions = new SubscriptionSet(
      { send: (message) => this.#outbound.send(message), mapError: (thrown) => this.#describe(thrown, 'subscription') },
      { idPrefix: options.id, max: limits.maxSubscriptions, signal: this.#abort.signal },
    );
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(this.#onClose())));
    socket.on('data', (chunk: Buffer) => this.#lines.push(this.#decoder.push(chunk)));
    socket.once('end', () => void this.#lines.whenIdle().then(() => this.end('client-ended')));
    socket.on('error', (error) => modules.logger.debug({ reason: describeError(error) }, 'control connection failed'));
  }

  /**
   * Takes no more requests, lets answers under way leave for a moment, then closes. If the server stops, what still
   * waits is cut off at once, so that its answer says so.
   */
  end(cause: 'client-ended' | 'server-stops'): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#subscriptions.endAll();
    if (cause === 'server-stops') this.#abort.abort(new DOMException('the daemon is stopping', 'AbortError'));
    if (this.#inFlight === 0) this.#finish();
    else this.#modules.clock.schedule(CLOSE_GRACE_MS, () => this.#finish());
  }

  #finish(): void {
    this.#abort.abort(new DOMException('the connection is closing', 'AbortError'));
    this.#modules.socket.end();
    this.#modules.clock.schedule(CLOSE_GRACE_MS, () => this.#modules.socket.destroy());
  }

  #onClose(): void {
    this.#isEnding = true;
    this.#outbound.close();
    this.#abort.abort(new DOMException('the connection is closed', 'AbortError'));
  }

  #drop(reason: 'slow-reader'): void {
    this.#modules.metrics.dropped.increment({ reason });
    this.#modules.logger.warn({ code: 'RPC_SLOW_READER', connection: this.#options.id }, 'control connection dropped');
    this.#modules.socket.destroy();
  }

  /** Never rejects: whatever goes wrong becomes an answer. */
  async #answerLine(line: DecodedLine): Promise<void> {
    if (this.#isEnding) return;
    this.#inFlight += 1;
    try {
      const value = this.#parseLine(line);
      if (Array.isArray(value)) await this.#answerBatch(this.#checkBatch(value));
      else {
        const { response, afterSend } = await this.#answer(value);
        if (response !== undefined) void this.#outbound.send(response);
        for (const task of afterSend) task();
      }
    } catch (error) {
      void this.#outbound.send(this.#createError(null, error, 'unknown'));
    } finally {
      this.#inFlight -= 1;
      if (this.#isEnding && this.#inFlight === 0) this.#finish();
    }
  }

  /** Calls that wait for something do so together; what needs no waiting is done one after the other. */
  async #answerBatch(items: readonly unknown[]): Promise<void> {
    const maxBytes = this.#options.limits.maxUnreadBytes;
    const batch = new BatchAnswer({ maxBytes });
    const tooLarge = (wasBegun: boolean) => new RpcError({ code: 'RPC_BATCH_ANSWER_TOO_LARGE', maxBytes, wasBegun });
    const afterSend: (() => void)[] = [];
    const note = ({ response, afterSend: tasks }: Answer, place: number): void => {
      afterSend.push(...tasks);
      if (response === undefined) return;
      const fail = (thrown: unknown): JsonRpcResponse => this.#createError(response.id, thrown, 'unknown');
      try {
        batch.set(place, response, () => fail(tooLarge(true)));
      } catch (error) {
        batch.set(place, fail(error), () => fail(tooLarge(true)));
      }
    };
    const answers: Promise<void>[] = [];
    for (const [place, item] of items.entries()) {
      if (this.#abort.signal.aborted) return;
      const refusal = batch.isFull ? tooLarge(false) : undefined;
      const answer = this.#answer(item, refusal).then((given) => note(given, place));
      answers.push(answer);
      await this.#turns.after(answer);
    }
    await Promise.all(answers);
    const text = batch.render();
    if (text !== undefined) void this.#outbound.sendText(() => text);
    for (const task of afterSend) task();
  }

  #parseLine(line: DecodedLine): unknown {
    switch (line.kind) {
      case 'line':
        return parseJson(line.text);
      case 'malformed':
        throw new RpcError({ code: 'RPC_PARSE_ERROR' });
      case 'too-long':
        throw new RpcError({ code: 'RPC_LINE_TOO_LONG', maxBytes: this.#options.limits.maxLineBytes });
      default:
        return line satisfies never;
    }
  }

  /** Section 6: an empty array is no batch. */
  #checkBatch(items: readonly unknown[]): readonly unknown[] {
    const { maxBatchRequests } = this.#options.limits;
    if (items.length === 0) throw new RpcError({ code: 'RPC_INVALID_REQUEST', reason: 'the batch is empty' });
    if (items.length > maxBatchRequests) {
      throw new RpcError({ code: 'RPC_BATCH_TOO_LARGE', maxRequests: maxBatchRequests });
    }
    return items;
  }

  async #answer(value: unknown, refusal?: RpcError): Promise<Answer> {
    let request: JsonRpcRequest;
    try {
      request = parseRequest(value);
    } catch (error) {
      return { response: this.#createError(findRequestId(value), error, 'unknown'), afterSend: [] };
    }
    const { id, method } = request;
    const label = this.#modules.methods.has(method) ? method : 'unknown';
    const startedAtMs = this.#modules.clock.monotonicMs();
    const afterSend: (() => void)[] = [];
    try {
      if (refusal !== undefined) throw refusal;
      const result = await this.#invoke(request, afterSend);
      this.#modules.metrics.requests.increment({ method: label, outcome: 'ok' });
      const response = id === undefined ? undefined : { jsonrpc: '2.0' as const, id, result: result ?? null };
      return { response, afterSend };
    } catch (error) {
      const response = this.#createError(id ?? null, error, label);
      return { response: id === undefined ? undefined : response, afterSend: [] };
    } finally {
      const seconds = (this.#modules.clock.monotonicMs() - startedAtMs) / 1000;
      this.#modules.metrics.duration.observe(seconds, { method: label });
    }
  }

  #invoke(request: JsonRpcRequest, afterSend: (() => void)[]): unknown {
    const { limits } = this.#options;
    if (!this.#bucket.take(this.#modules.clock.monotonicMs())) {
      throw new RpcError({ code: 'RPC_RATE_LIMITED', perSecond: limits.ratePerSecond });
    }
    if (this.#inFlight > limits.maxInFlight) {
      throw new RpcError({ code: 'RPC_TOO_MANY_IN_FLIGHT', max: limits.maxInFlight });
    }
    const method = this.#modules.methods.get(request.method);
    if (method === undefined) throw new RpcError({ code: 'RPC_METHOD_NOT_FOUND', method: request.method.slice(0, 80) });
    return method.invoke(request.params, {
      signal: this.#abort.signal,
      subscribe: (open) => {
        const subscription = this.#subscriptions.add(open);
        afterSend.push(subscription.start);
        return subscription.id;
      },
      unsubscribe: (subscription) => this.#subscriptions.remove(subscription),
    });
  }

  #createError(id: RequestId, thrown: unknown, method: string): JsonRpcResponse {
    this.#modules.metrics.requests.increment({ method, outcome: 'error' });
    return { jsonrpc: '2.0', id, error: this.#describe(thrown, method) };
  }

  #describe(thrown: unknown, method: string): NonNullable<JsonRpcResponse['error']> {
    this.#sequence += 1;
    const reference = `${this.#options.id}-${this.#sequence}`;
    const { error, isDefect } = mapError(thrown, reference);
    const { logger } = this.#modules;
    if (isDefect) logger.error({ err: thrown, method, reference }, 'a method of the control socket failed');
    else logger.debug({ method, code: error.data.code }, 'a call on the control socket was refused');
    return error;
  }
}
