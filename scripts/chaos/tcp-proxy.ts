import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import type { LinkRules, LinkTable } from './link-rules.ts';

/** Bytes of one direction that wait in the proxy before it stops reading. */
const MAX_WAITING_BYTES = 256 * 1024;

export interface TcpProxyModules {
  readonly links: LinkTable;
  /** Draws a number from 0 to 1. */
  readonly draw: () => number;
  /** The node whose process has this local port open; undefined if it is none of ours. */
  readonly findSource: (port: number) => string | undefined;
}

/** Stands in front of one node: others dial the proxy, which treats each connection by the rules of that pair. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** @param target name and port of the node; the port may be one on which nothing listens yet */
  static async open(
    modules: TcpProxyModules,
    target: { readonly name: string; readonly port: () => number },
  ): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new TcpProxy(server);
    server.on('connection', (inbound) => proxy.#join(inbound, modules, target));
    return proxy;
  }

  #join(inbound: Socket, modules: TcpProxyModules, target: { readonly name: string; readonly port: () => number }) {
    const source = modules.findSource(inbound.remotePort ?? 0) ?? '';
    const outbound = createConnection({ port: target.port(), host: '127.0.0.1', noDelay: true });
    const reset = (): void => {
      // Neither one that is not connected yet nor one that is shutting down can be reset: its handle would stay open for ever.
      for (const socket of [inbound, outbound]) {
        if (socket.connecting || socket.writableEnded) socket.destroy();
        else if (!socket.destroyed) socket.resetAndDestroy();
      }
    };
    const pumps = [inbound, outbound].map((from) => {
      const to = from === inbound ? outbound : inbound;
      const rules = (): LinkRules => modules.links.between(source, target.name);
      return new Pump({ from, to, rules, draw: modules.draw, reset });
    });
    const listening = modules.links.onChange(() => {
      for (const pump of pumps) pump.wake();
    });
    for (const socket of [inbound, outbound]) {
      this.#sockets.add(socket);
      socket.on('error', reset);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        listening[Symbol.dispose]();
      });
    }
    outbound.once('connect', () => {
      for (const pump of pumps) pump.start();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

interface PumpParts {
  readonly from: Socket;
  readonly to: Socket;
  readonly rules: () => LinkRules;
  readonly draw: () => number;
  readonly reset: () => void;
}

/** One direction of a connection: what comes in waits until it is due, and goes out in order. */
class Pump {
  readonly #parts: PumpParts;
  readonly #waiting: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #waitingBytes = 0;
  #lastDueMs = 0;
  #hasEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: PumpParts) {
    this.#parts = parts;
  }

  start(): void {
    const { from, to } = this.#parts;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => {
      this.#hasEnded = true;
      this.wake();
    });
    from.on('close', () => {
      clearTimeout(this.#timer);
      if (!this.#hasEnded) to.destroy();
    });
    to.on('drain', () => this.wake());
    from.resume();
  }

  #take(bytes: Buffer): void {
    const { from, rules, draw, reset } = this.#parts;
    const link = rules();
    const isLost = draw() < link.lossProbability;
    const delayMs = link.delayMs + (isLost ? link.repeatAfterMs : 0);
    const takesMs = link.bytesPerSecond === null ? 0 : (bytes.length / link.bytesPerSecond) * 1000;
    const nowMs = performance.now();
    // In order, and none before the one in front of it has gone over the wire.
    this.#lastDueMs = Math.max(nowMs + delayMs, this.#lastDueMs) + takesMs;
    if (draw() < link.flipProbability) flipBit(bytes, draw);
    const isReset = draw() < link.resetProbability;
    const kept = isReset ? bytes.subarray(0, Math.floor(bytes.length * draw())) : bytes;
    this.#waiting.push({ bytes: kept, dueMs: this.#lastDueMs });
    this.#waitingBytes += kept.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) from.pause();
    this.wake();
    if (isReset) reset();
  }

  /** Sends what is due; to be called whenever that may have changed. */
  wake(): void {
    clearTimeout(this.#timer);
    const { from, to, rules } = this.#parts;
    if (rules().isCut || to.destroyed) return;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.wake(), Math.ceil(leftMs));
        return;
      }
      this.#waiting.shift();
      this.#waitingBytes -= next.bytes.length;
      const canTakeMore = to.write(next.bytes);
      if (this.#waitingBytes <= MAX_WAITING_BYTES && from.isPaused()) from.resume();
      if (!canTakeMore) return;
    }
    if (this.#hasEnded && !to.writableEnded) to.end();
  }
}

function flipBit(bytes: Buffer, draw: () => number): void {
  const at = Math.floor(bytes.length * draw());
  bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(8 * draw()));
}
