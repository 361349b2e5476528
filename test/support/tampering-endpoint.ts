import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface RpcRequest {
  readonly id: unknown;
  readonly method: string;
}

/** What it does with the true result of a method; undefined never answers. */
export type Tampering = (method: string, result: unknown) => unknown;

export interface TamperingEndpoint extends AsyncDisposable {
  readonly url: string;
  /** Methods that were asked for. */
  readonly asked: readonly string[];
}

/** Stands before an honest Solana RPC endpoint and changes what it says. */
export async function startTamperingEndpoint(honestUrl: string, tamper: Tampering): Promise<TamperingEndpoint> {
  const asked: string[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { id, method } = JSON.parse(body) as RpcRequest;
    asked.push(method);
    const headers = { 'content-type': 'application/json' };
    const honest = await fetch(honestUrl, { method: 'POST', headers, body });
    const { result, error } = (await honest.json()) as { result?: unknown; error?: unknown };
    const told = error === undefined ? tamper(method, result) : undefined;
    if (error === undefined && told === undefined) return;
    response.writeHead(200, headers);
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(error === undefined ? { result: told } : { error }) }));
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
