import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { describeError } from '../../lib/errors.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { Logger } from '../../telemetry/interface.ts';
import {
  CLOSE_INTERVAL_MS,
  CLOSE_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  MAX_BUFFERED_BYTES,
  MAX_CONNECTIONS,
  PING_INTERVAL_MS,
  PORT_PAIR_ATTEMPTS,
  REQUEST_TIMEOUT_MS,
} from '../constants.ts';
import { LocalnetError } from '../errors.ts';
import type { SubscriptionHub } from '../pubsub/subscription-hub.ts';
import { answer, type CallHandler } from '../rpc/json-rpc.ts';
import { isAllowedHost, isAllowedOrigin } from './host-check.ts';
import { readBody } from './read-body.ts';

export interface RpcServerModules {
  readonly call: CallHandler;
  readonly hub: SubscriptionHub;
  readonly logger: Logger;
  readonly isHealthy: () => boolean;
}

export interface RpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly allowedHosts: readonly string[];
}

export interface Endpoints {
  readonly url: string;
  readonly webSocketUrl: string;
}

/** JSON-RPC on one port, WebSocket on that one and on the next, where Solana's clients look for it. */
export class RpcServer implements AsyncDisposable {
  readonly #modules: RpcServerModules;
  readonly #options: RpcServerOptions;
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: MAX_BODY_BYTES, clientTracking: true });
  readonly #servers: Server[] = [];
  readonly #pinger: NodeJS.Timeout;
  readonly #alive = new WeakSet<WebSocket>();

  constructor(modules: RpcServerModules, options: RpcServerOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#pinger = setInterval(() => this.#dropDeadSockets(), PING_INTERVAL_MS);
    this.#pinger.unref();
  }

  /** @throws LocalnetError LOCALNET_PORT_TAKEN, LOCALNET_BAD_ADDRESS */
  async listen(): Promise<Endpoints> {
    const { host, port } = this.#options;
    const attempts = port === 0 ? PORT_PAIR_ATTEMPTS : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#listenPair(host, port);
      } catch (error) {
        if (attempt < attempts && systemErrorCode(error) === 'EADDRINUSE') continue;
        throw toListenError(error, host, port);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pinger);
    for (const socket of this.#webSockets.clients) socket.terminate();
    this.#webSockets.close();
    await Promise.all(this.#servers.map(closeServer));
  }

  async #listenPair(host: string, port: number): Promise<Endpoints> {
    const http = createHttpServer((request, response) => void this.#onRequest(request, response));
    const upgrades = createHttpServer((_, response) => respond(response, 426, 'WebSocket only\n'));
    try {
      await listenOn(http, host, port);
      const taken = (http.address() as AddressInfo).port;
      await listenOn(upgrades, host, taken + 1);
      for (const server of [http, upgrades]) {
        server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
          this.#onUpgrade(request, socket, head),
        );
      }
      this.#servers.push(http, upgrades);
      const name = urlHost(host);
      return { url: `http://${name}:${taken}`, webSocketUrl: `ws://${name}:${taken + 1}` };
    } catch (error) {
      await Promise.all([closeServer(http), closeServer(upgrades)]);
      throw error;
    }
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#serve(request, response);
    } catch (error) {
      this.#modules.logger.debug({ reason: describeError(error) }, 'a request was not answered');
      response.destroy();
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isAllowedHost(request.headers.host, this.#options.allowedHosts)) {
      respond(response, 403, 'Host not allowed\n');
    } else if (request.method === 'GET' && request.url === '/health') {
      respond(response, 200, this.#modules.isHealthy() ? 'ok' : 'unhealthy');
    } else if (request.method !== 'POST') {
      respond(response, 405, 'Used HTTP Method is not allowed. POST is required\n');
    } else if (!isJson(request.headers['content-type'])) {
      // A page of another site can send text without asking first, and JSON not.
      respond(response, 415, 'Supplied content type is not allowed. Content-Type: application/json is required\n');
    } else await this.#answer(request, response);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, MAX_BODY_BYTES);
    if (body === undefined) {
      respond(response, 413, `Request is larger than ${MAX_BODY_BYTES} bytes\n`);
      return;
    }
    const call: CallHandler = async (request) => {
      // Between two calls of a batch slots are made, and others are answered.
      await setImmediate();
      return await this.#modules.call(request);
    };
    const text = await answer(body, call, this.#modules.logger);
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    response.end(text ?? '');
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { allowedHosts } = this.#options;
    const isWelcome =
      isAllowedHost(request.headers.host, allowedHosts) && isAllowedOrigin(request.headers.origin, allowedHosts);
    socket.on('error', () => socket.destroy());
    if (!isWelcome || this.#webSockets.clients.size >= MAX_CONNECTIONS) {
      socket.end(`HTTP/1.1 ${isWelcome ? '503 Service Unavailable' : '403 Forbidden'}\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => this.#onWebSocket(webSocket));
  }

  #onWebSocket(webSocket: WebSocket): void {
    const { hub, logger } = this.#modules;
    const send = (text: string): void => {
      if (webSocket.readyState !== webSocket.OPEN) return;
      if (webSocket.bufferedAmount <= MAX_BUFFERED_BYTES) return webSocket.send(text, () => {});
      // A client that does not read must not fill the memory, nor have more notifications made for it.
      webSocket.terminate();
      session[Symbol.dispose]();
    };
    const session = hub.open(send);
    this.#alive.add(webSocket);
    webSocket.on('pong', () => this.#alive.add(webSocket));
    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('close', () => session[Symbol.dispose]());
    webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#alive.add(webSocket);
      if (isBinary) return webSocket.close(1003, 'text only');
      const opened: number[] = [];
      void answer(data.toString('utf8'), (call) => session.call(call, opened), logger).then((text) => {
        if (text !== undefined) send(text);
        session.release(opened);
      });
    });
  }

  #dropDeadSockets(): void {
    for (const webSocket of this.#webSockets.clients) {
      if (!this.#alive.delete(webSocket)) webSocket.terminate();
      else webSocket.ping();
    }
  }
}

/** Tries the ports and leaves them again. @throws LocalnetError LOCALNET_PORT_TAKEN, LOCALNET_BAD_ADDRESS */
export async function assertListenable({ host, port }: Pick<RpcServerOptions, 'host' | 'port'>): Promise<void> {
  for (const wanted of port === 0 ? [0] : [port, port + 1]) {
    const server = createServer();
    try {
      await listenOn(server, host, wanted);
    } catch (error) {
      throw toListenError(error, host, port);
    } finally {
      await closeServer(server);
    }
  }
}

function createHttpServer(onRequest: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    onRequest,
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', (_, socket) => socket.destroy());
  return server;
}

/** By its essence alone: `text/plain; a=json` is text to a browser (Fetch standard, section 2.2.2). */
function isJson(contentType = ''): boolean {
  return /^\s*application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType);
}

function respond(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}

async function listenOn(server: Server, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port, exclusive: true }, resolve);
  await promise;
  server.removeListener('error', reject);
}

/** Requests that are being answered get their answer, unless that takes long. */
async function closeServer(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_INTERVAL_MS);
  const late = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  await promise;
  clearInterval(idle);
  clearTimeout(late);
}

/** Where everybody may connect, clients of this machine use the loopback address. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function toListenError(error: unknown, host: string, port: number): LocalnetError {
  const code = systemErrorCode(error);
  // 65535 has no port above it.
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'ERR_SOCKET_BAD_PORT') {
    return new LocalnetError({ code: 'LOCALNET_PORT_TAKEN', host, port }, { cause: error });
  }
  return new LocalnetError({ code: 'LOCALNET_BAD_ADDRESS', host, reason: describeError(error) }, { cause: error });
}
