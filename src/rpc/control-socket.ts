import { lstat, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { AbortOptions } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import { describeError } from '../lib/errors.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { Connection } from './connection.ts';
import { mapError } from './error-codes.ts';
import { RpcError } from './errors.ts';
import type { MethodTable } from './json-rpc.ts';
import { createRpcMetrics, type RpcMetrics } from './metrics.ts';
import { type ControlSocketOptions, DEFAULT_CONNECTION_LIMITS, DEFAULT_MAX_CONNECTIONS } from './options.ts';
import { listenPrivately } from './socket-path.ts';

export interface ControlSocketModules {
  readonly methods: MethodTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** JSON-RPC 2.0, newline-delimited, over a Unix socket that only its owner may open. */
export class ControlSocketServer implements AsyncDisposable {
  readonly #modules: ControlSocketModules;
  readonly #options: ControlSocketOptions;
  readonly #metrics: RpcMetrics;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #inode: number | undefined;
  #sequence = 0;

  constructor(modules: ControlSocketModules, options: ControlSocketOptions) {
    this.#modules = { ...modules, logger: modules.logger.child({ module: 'rpc' }) };
    this.#options = options;
    this.#metrics = createRpcMetrics(modules.metrics);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** @throws RpcError RPC_SOCKET_IN_USE, RPC_SOCKET_PATH_TAKEN, RPC_SOCKET_PATH_TOO_LONG, RPC_SOCKET_UNSAFE_FOLDER */
  async start(options: AbortOptions = {}): Promise<void> {
    if (this.#server.listening) return;
    options.signal?.throwIfAborted();
    const { path } = this.#options;
    await listenPrivately(this.#server, path);
    this.#inode = (await lstat(path)).ino;
    this.#server.on('error', (error) => {
      this.#modules.logger.error({ reason: describeError(error) }, 'the control socket failed');
    });
    this.#modules.logger.info({ path }, 'control socket open');
  }

  /** Lets answers under way leave, closes every connection, removes the socket. Idempotent. */
  async stop(): Promise<void> {
    if (this.#inode === undefined) return;
    const inode = this.#inode;
    this.#inode = undefined;
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await removeOwnSocket(this.#options.path, inode);
    const connections = [...this.#connections];
    for (const connection of connections) connection.end('server-stops');
    await Promise.all([closed, ...connections.map((connection) => connection.closed)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #accept(socket: Socket): void {
    const max = this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    if (this.#connections.size >= max) {
      this.#refuse(socket, max);
      return;
    }
    this.#sequence += 1;
    const { methods, clock, logger } = this.#modules;
    const connection = new Connection(
      { socket, methods, clock, logger, metrics: this.#metrics },
      { id: `c${this.#sequence}`, limits: { ...DEFAULT_CONNECTION_LIMITS, ...this.#options.limits } },
    );
    this.#connections.add(connection);
    this.#metrics.connections.set(this.#connections.size);
    void connection.closed.then(() => {
      this.#connections.delete(connection);
      this.#metrics.connections.set(this.#connections.size);
    });
  }

  #refuse(socket: Socket, max: number): void {
    this.#metrics.dropped.increment({ reason: 'too-many-connections' });
    const { error } = mapError(new RpcError({ code: 'RPC_TOO_MANY_CONNECTIONS', max }), '');
    socket.on('error', () => socket.destroy());
    socket.end(`${JSON.stringify({ jsonrpc: '2.0', id: null, error })}\n`, () => socket.destroy());
  }
}

/** A daemon that was started on the same path since then has a socket of its own there. */
async function removeOwnSocket(path: string, inode: number): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.ino === inode) await rm(path, { force: true });
}
