import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RpcMethod } from '../../src/rpc/json-rpc.ts';
import { connectRaw, startServer } from '../support/rpc-harness.ts';

interface Vectors {
  readonly cases: readonly { readonly name: string; readonly request: string; readonly response: unknown }[];
}

const numbers = (params: unknown): number[] => {
  const { minuend, subtrahend } = params as { minuend: number; subtrahend: number };
  return Array.isArray(params) ? (params as number[]) : [minuend, subtrahend];
};
const methods = new Map<string, RpcMethod>([
  ['subtract', { invoke: (params) => numbers(params).reduce((a, b) => a - b) }],
  ['sum', { invoke: (params) => numbers(params).reduce((a, b) => a + b, 0) }],
  ['get_data', { invoke: () => ['hello', 5] }],
  ['update', { invoke: () => undefined }],
  ['notify_hello', { invoke: () => undefined }],
  ['notify_sum', { invoke: () => undefined }],
  ['marker', { invoke: () => 'marker' }],
]);

/** What the specification states of an error; ours carry `data` besides, which section 5.1 leaves to the server. */
function strip(response: unknown): unknown {
  if (Array.isArray(response)) {
    return response.map(strip).toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  }
  const { jsonrpc, id, result, error } = response as {
    jsonrpc: string;
    id: unknown;
    result?: unknown;
    error?: { code: number; message: string };
  };
  return { jsonrpc, id, result, error: error && { code: error.code, message: error.message } };
}

const { cases } = JSON.parse(await readFile(new URL('./json-rpc/examples.json', import.meta.url), 'utf8')) as Vectors;

describe('JSON-RPC 2.0, section 7, through the control socket', () => {
  let server: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    server = await startServer(methods);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('has the published cases', () => expect(cases).toHaveLength(15));

  it.each(cases)('$name', async ({ request, response }) => {
    using client = await connectRaw(server.path);
    // A line is a message here, so line ends inside a case become blanks: the same JSON.
    client.send(`${request.replaceAll('\n', ' ')}\n`);
    client.send('{"jsonrpc":"2.0","method":"marker","id":"marker"}\n');
    const answers = [await client.next()];
    if (response !== null) answers.push(await client.next());
    const marker = { jsonrpc: '2.0', id: 'marker', result: 'marker' };
    const others = answers.filter((answer) => JSON.stringify(answer) !== JSON.stringify(marker));
    expect(others.map(strip)).toEqual(response === null ? [] : [strip(response)]);
  });
});
