import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FetchDocument } from '../../src/tee/produce/collateral/fetch-document.ts';

export interface VendorAnswer {
  readonly body: Uint8Array | string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server on this machine in the place of the vendors', by whole address; what it does not know is 404. */
export class VendorServices implements AsyncDisposable {
  readonly answers = new Map<string, VendorAnswer | 'hang'>();
  /** Addresses that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<VendorServices> {
    const services = new VendorServices();
    await new Promise<void>((resolve) => services.#server.listen(0, '127.0.0.1', resolve));
    return services;
  }

  /** Goes to the server whatever the host is. */
  readonly fetch: FetchDocument = (url, init) => {
    const { host, pathname, search } = new URL(url);
    const { port } = this.#server.address() as AddressInfo;
    return fetch(`http://127.0.0.1:${port}/${host}${pathname}${search}`, init);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = `https:/${request.url ?? ''}`;
    this.asked.push(url);
    const answer = this.answers.get(url) ?? { status: 404, body: 'not here' };
    if (answer === 'hang') return;
    response.writeHead(answer.status ?? 200, answer.headers);
    response.end(answer.body);
  }
}
