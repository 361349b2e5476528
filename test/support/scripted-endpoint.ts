import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { VersionedTransaction } from '@solana/web3.js';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodeBase58 } from '../../src/domain/chain.ts';
import type { ScriptedChain } from './scripted-chain.ts';
import { answerRpc, RpcFault, type RpcParams } from './scripted-rpc.ts';

export interface RpcCallSeen {
  readonly method: string;
  readonly params: RpcParams;
  readonly authorization: string | undefined;
}

/** What an endpoint does instead of answering. */
export type Misbehaviour =
  | { readonly kind: 'stall' }
  | { readonly kind: 'reset' }
  /** Does what was asked, and loses the answer. */
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'http'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'body'; readonly text: string }
  /** A body without an end. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'fault'; readonly code: number; readonly message: string };

/** A Solana RPC endpoint over real sockets that does what a test says: its WebSocket is on the next port. */
export class ScriptedEndpoint implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  chain: ScriptedChain;
  readonly calls: RpcCallSeen[] = [];
  /** Asked for each call; undefined is an honest answer. */
  script: (call: RpcCallSeen) => Misbehaviour | undefined = () => undefined;

  private constructor(chain: ScriptedChain, server: Server, sockets: WebSocketServer) {
    this.chain = chain;
    this.#server = server;
    this.#sockets = sockets;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response));
    sockets.on('connection', (socket) => this.#subscribe(socket));
  }

  static async open(chain: ScriptedChain): Promise<ScriptedEndpoint> {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const sockets = await listenWebSocket(port + 1);
      if (sockets !== undefined) return new ScriptedEndpoint(chain, server, sockets);
      server.close();
    }
    throw new Error('no two free ports in a row');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get subscribers(): number {
    return this.#sockets.clients.size;
  }

  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  /** Answers every call, or those of one method, with this. */
  misbehave(misbehaviour: Misbehaviour, method?: string): void {
    this.script = (call) => (method === undefined || call.method === method ? misbehaviour : undefined);
  }

  behave(): void {
    this.script = () => undefined;
  }

  /** Tells every subscriber that there are logs. */
  notify(): void {
    const params = { subscription: 1, result: { context: { slot: 1 }, value: { signature: '', err: null, logs: [] } } };
    for (const socket of this.#sockets.clients) {
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'logsNotification', params }));
    }
  }

  dropSubscribers(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  /** No subscriptions any more; HTTP goes on. */
  async closeSockets(): Promise<void> {
    this.dropSubscribers();
    await new Promise<void>((resolve) => this.#sockets.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropSubscribers();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const {
      id,
      method,
      params = [],
    } = JSON.parse(Buffer.concat(chunks).toString()) as {
      id: unknown;
      method: string;
      params?: RpcParams;
    };
    const call = { method, params, authorization: request.headers.authorization };
    this.calls.push(call);
    const misbehaviour = this.script(call);
    if (misbehaviour === undefined) return void response.end(this.#answer(id, method, params));
    this.#misbehave(misbehaviour, { id, method, params, response });
  }

  #misbehave(
    misbehaviour: Misbehaviour,
    call: { id: unknown; method: string; params: RpcParams; response: ServerResponse },
  ): void {
    const { id, method, params, response } = call;
    switch (misbehaviour.kind) {
      case 'stall':
        return;
      case 'reset':
        return void response.destroy();
      case 'lose-answer':
        this.#answer(id, method, params);
        return void response.destroy();
      case 'http':
        response.writeHead(misbehaviour.status, misbehaviour.headers);
        return void response.end('{}');
      case 'body':
        return void response.end(misbehaviour.text);
      case 'endless':
        return pourForEver(response);
      case 'result':
        return void response.end(JSON.stringify({ jsonrpc: '2.0', id, result: misbehaviour.result }));
      case 'fault': {
        const { code, message } = misbehaviour;
        return void response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }));
      }
      default:
        return misbehaviour satisfies never;
    }
  }

  #answer(id: unknown, method: string, params: RpcParams): string {
    try {
      return JSON.stringify({ jsonrpc: '2.0', id, result: answerRpc(this.chain, method, params) });
    } catch (error) {
      const code = error instanceof RpcFault ? error.code : -32_602;
      return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: String(error) } });
    }
  }

  #subscribe(socket: WebSocket): void {
    socket.on('message', () => socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, result: 1 })));
  }
}

/** Signed bytes of a call of sendTransaction. */
export function readSent(call: RpcCallSeen): string {
  const transaction = VersionedTransaction.deserialize(Buffer.from(String(call.params[0]), 'base64'));
  return encodeBase58(transaction.signatures[0] ?? new Uint8Array());
}

async function listenWebSocket(port: number): Promise<WebSocketServer | undefined> {
  const server = new WebSocketServer({ port, host: '127.0.0.1' });
  return new Promise((resolve) => {
    server.once('listening', () => resolve(server));
    server.once('error', () => resolve(undefined));
  });
}

function pourForEver(response: ServerResponse): void {
  const chunk = Buffer.alloc(256 * 1024, ' ');
  const pour = (): void => {
    while (!response.destroyed && response.write(chunk)) {
      // Until its buffer is full.
    }
  };
  response.on('drain', pour);
  pour();
}
