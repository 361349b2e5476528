import { type LookupAddress, lookup } from 'node:dns';
import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { connect, isIP, type LookupFunction, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type EgressHost, parseEgressHost } from '../../domain/egress.ts';
import { isPublicIp } from '../../lib/public-ip.ts';
import {
  EGRESS_CONNECT_TIMEOUT_MS,
  EGRESS_IDLE_MS,
  EGRESS_MAX_CONNECTIONS,
  EGRESS_MAX_HEADER_BYTES,
} from './constants.ts';

export interface EgressOptions {
  /** Where it leads, and nowhere else. */
  readonly hosts: readonly EgressHost[];
  /** Most bytes in both directions together, over all connections. */
  readonly maxBytes: number;
  /** Also to addresses of the node's own networks: a name may lead anywhere. */
  readonly allowsPrivate: boolean;
  /** Told of each connection that was refused, in words. */
  readonly onRefused: (wanted: string, reason: string) => void;
  /** Default: the host's resolver. */
  readonly resolve?: typeof lookup;
}

export interface EgressUsage {
  readonly connections: number;
  readonly refused: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Why nothing was connected, with the HTTP status that says so. */
type Refusal = readonly [status: string, reason: string];

/**
 * The one way out of a sandbox: HTTP's CONNECT (RFC 9110, 9.3.6) to hosts that its job lists. The node looks names up itself
 * and connects to what it found, so that a name that leads into the node's own network, or to a cloud's metadata, leads nowhere.
 */
export class EgressProxy implements Disposable {
  readonly #options: EgressOptions;
  readonly #http: HttpServer;
  readonly #open = new Set<Duplex>();
  readonly #listeners: Server[] = [];
  #connections = 0;
  #refused = 0;
  #sentBytes = 0;
  #receivedBytes = 0;

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#http = createServer({ maxHeaderSize: EGRESS_MAX_HEADER_BYTES, headersTimeout: EGRESS_CONNECT_TIMEOUT_MS });
    this.#http.on('request', (_request, response) => {
      this.#refused += 1;
      response.writeHead(405, { connection: 'close', allow: 'CONNECT' });
      response.end('This proxy takes CONNECT only: use https, or let the program tunnel (curl --proxytunnel).\n');
    });
    this.#http.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#take(request, socket, head),
    );
    this.#http.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Takes the connections of a listener, and closes it with itself. */
  serve(listener: Server): void {
    this.#listeners.push(listener);
    listener.on('connection', (socket: Socket) => {
      socket.on('error', () => socket.destroy());
      if (this.#open.size >= EGRESS_MAX_CONNECTIONS) {
        this.#refused += 1;
        socket.destroy();
        return;
      }
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      this.#http.emit('connection', socket);
    });
  }

  get usage(): EgressUsage {
    return {
      connections: this.#connections,
      refused: this.#refused,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
    };
  }

  #take({ url = '' }: IncomingMessage, inner: Duplex, head: Buffer): void {
    const wanted = parseEgressHost(url);
    if (wanted === undefined) return this.#refuse(inner, url, ['400 Bad Request', 'no host and port']);
    const refusal = this.#judge(wanted);
    if (refusal !== null) return this.#refuse(inner, url, refusal);
    let found: readonly LookupAddress[] | null = null;
    const outer = connect({
      ...wanted,
      lookup: this.#lookUp((addresses) => {
        found = addresses;
      }),
      autoSelectFamily: true,
      timeout: EGRESS_CONNECT_TIMEOUT_MS,
    });
    this.#open.add(outer);
    let isConnected = false;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      outer.destroy();
      this.#open.delete(outer);
      if (isConnected || inner.destroyed) inner.destroy();
      else if (found?.length === 0) this.#refuse(inner, url, ['403 Forbidden', 'it has no address on the Internet']);
      else this.#refuse(inner, url, ['502 Bad Gateway', 'it could not be reached']);
    };
    inner.once('close', () => outer.destroy());
    for (const event of ['error', 'timeout', 'close'] as const) outer.once(event, end);
    outer.once('connect', () => {
      isConnected = true;
      this.#connections += 1;
      outer.setTimeout(EGRESS_IDLE_MS);
      inner.write('HTTP/1.1 200 Connection established\r\n\r\n');
      this.#join(inner, outer, head);
    });
  }

  #judge(wanted: EgressHost): Refusal | null {
    const { hosts, allowsPrivate } = this.#options;
    if (!hosts.some(({ host, port }) => host === wanted.host && port === wanted.port)) {
      return ['403 Forbidden', 'the job does not list it'];
    }
    if (isIP(wanted.host) !== 0 && !allowsPrivate && !isPublicIp(wanted.host)) {
      return ['403 Forbidden', 'it is no address of the Internet'];
    }
    return this.#leftBytes > 0 ? null : ['403 Forbidden', "the attempt's bytes are used up"];
  }

  get #leftBytes(): number {
    return this.#options.maxBytes - this.#sentBytes - this.#receivedBytes;
  }

  /** Only addresses that may be connected to are given on. */
  #lookUp(onFound: (addresses: readonly LookupAddress[]) => void): LookupFunction {
    const { resolve = lookup, allowsPrivate } = this.#options;
    return (host, options, answer) => {
      resolve(host, { ...options, all: true }, (error, all) => {
        const addresses = error === null ? all.filter(({ address }) => allowsPrivate || isPublicIp(address)) : [];
        if (error === null) onFound(addresses);
        const [first] = addresses;
        const problem = error ?? (first === undefined ? new Error('it has no address on the Internet') : null);
        if (problem !== null || first === undefined) answer(problem, '', 0);
        else if (options.all === true) answer(null, addresses);
        else answer(null, first.address, first.family);
      });
    };
  }

  #join(inner: Duplex, outer: Socket, head: Buffer): void {
    const count = (bytes: number, isSent: boolean): void => {
      if (isSent) this.#sentBytes += bytes;
      else this.#receivedBytes += bytes;
      if (this.#leftBytes < 0) {
        inner.destroy();
        outer.destroy();
      }
    };
    inner.on('data', (chunk: Buffer) => count(chunk.length, true));
    outer.on('data', (chunk: Buffer) => count(chunk.length, false));
    count(head.length, true);
    outer.write(head);
    inner.pipe(outer);
    outer.pipe(inner);
  }

  #refuse(inner: Duplex, wanted: string, [status, reason]: Refusal): void {
    this.#refused += 1;
    this.#options.onRefused(wanted.slice(0, 300), reason);
    inner.on('error', () => inner.destroy());
    inner.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${reason}\n`);
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener.close();
    this.#http.close();
    for (const stream of this.#open) stream.destroy();
  }
}
