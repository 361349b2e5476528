import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';

/** Stands before a TCP port and can be shut: a cable that is pulled and plugged in again. */
export class TcpGate implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: 'open' | 'shut' | 'frozen' = 'open';

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async before(port: number): Promise<TcpGate> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gate = new TcpGate(server);
    server.on('connection', (inbound) =>
      gate.#join(inbound, createConnection({ port, host: '127.0.0.1', noDelay: true })),
    );
    return gate;
  }

  #join(inbound: Socket, outbound: Socket): void {
    const pair = [inbound, outbound] as const;
    if (this.#state !== 'open') return end(pair);
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => end(pair));
      socket.once('close', () => {
        this.#pairs.delete(pair);
        end(pair);
      });
    }
    inbound.pipe(outbound);
    outbound.pipe(inbound);
  }

  /** Connections break, and new ones are refused. */
  shut(): void {
    this.#state = 'shut';
    for (const pair of this.#pairs) end(pair);
  }

  /** Nothing passes, and nobody is told: a connection that is dead without anybody knowing. */
  freeze(): void {
    this.#state = 'frozen';
    for (const [inbound, outbound] of this.#pairs) {
      inbound.unpipe(outbound).pause();
      outbound.unpipe(inbound).pause();
    }
  }

  open(): void {
    this.#state = 'open';
    // What waits is too old to be waited for.
    for (const pair of this.#pairs) if (pair[0].isPaused()) end(pair);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const pair of this.#pairs) end(pair);
    await once(this.#server, 'close');
  }
}

function end(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) socket.destroy();
}
