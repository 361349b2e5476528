import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { SolanaAddress } from '../../domain/chain.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { pause } from '../../lib/pause.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { ENDPOINT_TIMEOUT_MS, MAX_NOTIFICATION_BYTES, SUBSCRIPTION_PING_MS } from '../constants.ts';
import type { EndpointUrl } from '../endpoints/endpoint-url.ts';
import type { FollowMetrics } from '../metrics.ts';

export interface LogSubscriptionModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: FollowMetrics;
  /** Something happened that may be in history now, or the subscription was lost. */
  readonly onWake: () => void;
}

export interface LogSubscriptionOptions {
  readonly address: SolanaAddress;
  /** Tried in order, again and again. */
  readonly urls: readonly EndpointUrl[];
  readonly reconnectMs: number;
}

const answerSchema = z.union([
  z.object({ id: z.literal(1), result: z.int() }),
  z.object({ method: z.literal('logsNotification') }),
]);

/**
 * Tells when to look into history. What a notification says is not used: history is complete and in order, and a
 * connection that is lost between two notifications loses nothing but the hint.
 */
export class LogSubscription implements AsyncDisposable {
  readonly #modules: LogSubscriptionModules;
  readonly #options: LogSubscriptionOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #isLive = false;

  private constructor(modules: LogSubscriptionModules, options: LogSubscriptionOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#running = this.#run();
  }

  static open(modules: LogSubscriptionModules, options: LogSubscriptionOptions): LogSubscription {
    return new LogSubscription(modules, options);
  }

  /** True while an endpoint tells of new transactions. */
  get isLive(): boolean {
    return this.#isLive;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { urls, reconnectMs } = this.#options;
    for (let attempt = 0; !signal.aborted && urls.length > 0; attempt += 1) {
      const url = urls[attempt % urls.length];
      if (url !== undefined) await this.#listen(url, signal);
      const wasLive = this.#isLive;
      this.#isLive = false;
      if (signal.aborted) return;
      if (wasLive) {
        this.#modules.metrics.subscriptionsLost.increment();
        this.#modules.onWake();
      }
      await pause(this.#modules.clock, reconnectMs, signal);
    }
  }

  /** Resolves when the connection is over. */
  async #listen(url: EndpointUrl, signal: AbortSignal): Promise<void> {
    const { WebSocket } = await import('ws');
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const socket = new WebSocket(url.webSocketUrl, {
      headers: url.headers,
      handshakeTimeout: ENDPOINT_TIMEOUT_MS,
      maxPayload: MAX_NOTIFICATION_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
    });
    const onAbort = (): void => socket.terminate();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.on('error', (error) => {
      const reason = url.redact(describeError(error)).slice(0, 200);
      this.#modules.logger.debug({ endpoint: url.label, reason }, 'subscription failed');
    });
    socket.on('close', resolve);
    socket.on('open', () => this.#subscribe(socket));
    socket.on('message', (data: Buffer) => this.#onMessage(socket, data.toString('utf8')));
    using _ping = this.#keepAlive(socket);
    await closed;
    signal.removeEventListener('abort', onAbort);
  }

  #subscribe(socket: WebSocket): void {
    const params = [{ mentions: [this.#options.address] }, { commitment: 'finalized' }];
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'logsSubscribe', params }));
  }

  #onMessage(socket: WebSocket, text: string): void {
    const parsed = answerSchema.safeParse(parseJson(text));
    if (!parsed.success) return socket.terminate();
    // What happened before the subscription began is in history only.
    this.#isLive = true;
    this.#modules.onWake();
  }

  /** A connection that is dead without a word (a router that forgot it) is found by pings that nobody answers. */
  #keepAlive(socket: WebSocket): Disposable {
    const { clock } = this.#modules;
    let isAnswered = true;
    let timer: Disposable;
    const beat = (): void => {
      if (!isAnswered) return socket.terminate();
      isAnswered = socket.readyState !== socket.OPEN;
      if (!isAnswered) socket.ping();
      timer = clock.schedule(SUBSCRIPTION_PING_MS, beat);
    };
    socket.on('pong', () => {
      isAnswered = true;
    });
    timer = clock.schedule(SUBSCRIPTION_PING_MS, beat);
    return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
