import { request } from 'node:http';
import { connect } from 'node:net';
import { Keypair } from '@solana/web3.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { METHODS } from '../../../src/localnet/rpc/methods/methods.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';

let net: TestLocalnet;

beforeAll(async () => {
  net = await startLocalnet({ allowedHosts: ['build.example'] });
});
afterAll(() => net[Symbol.asyncDispose]());

interface Reply {
  readonly status: number;
  readonly text: string;
}

function post(body: string, headers: Record<string, string> = {}, method = 'POST'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      net.url,
      { method, headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function rpc(body: unknown): Promise<unknown> {
  const { text } = await post(typeof body === 'string' ? body : JSON.stringify(body));
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

const call = (method: string, params: unknown) => rpc({ jsonrpc: '2.0', id: 1, method, params });

describe('requests', () => {
  it.each([
    ['', -32700],
    ['{', -32700],
    ['null', -32600],
    ['[]', -32600],
    ['{"id":1,"method":"getSlot"}', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"getSlot"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"mineGold"}', -32601],
    ['{"jsonrpc":"2.0","id":1,"method":"__proto__"}', -32601],
    ['{"jsonrpc":"2.0","id":1,"method":"getBalance"}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"getBalance","params":{"a":1}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["short"]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"commitment":"soon"}]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":["!!!",{"encoding":"base64"}]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":["AAAA",{"encoding":"base64"}]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":["0OIl"]}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"getHighestSnapshotSlot"}', -32008],
  ])('%s is answered with %i', async (body, code) => {
    expect(await rpc(body)).toMatchObject({ jsonrpc: '2.0', error: { code, message: expect.any(String) } });
  });

  it('come in batches, mixed with notifications', async () => {
    const batch = [
      { jsonrpc: '2.0', id: 'a', method: 'getSlot' },
      { jsonrpc: '2.0', method: 'getSlot' },
      { jsonrpc: '2.0', id: 2, method: 'nothing' },
    ];
    expect(await rpc(batch)).toMatchObject([
      { id: 'a', result: expect.any(Number) },
      { id: 2, error: { code: -32601 } },
    ]);
    expect(await rpc({ jsonrpc: '2.0', method: 'getSlot' })).toBeUndefined();
    const many = Array.from({ length: 1_001 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'getHealth' }));
    expect(await rpc(many)).toMatchObject({ error: { code: -32600 } });
  });

  it('are bounded in size', async () => {
    expect((await post(' '.repeat(600 * 1024))).status).toBe(413);
    const streamed = await new Promise<number>((resolve) => {
      const sent = request(net.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
      });
      sent.on('response', (response) => resolve(response.statusCode ?? 0));
      sent.on('error', () => resolve(413));
      for (let part = 0; part < 20; part += 1) sent.write(' '.repeat(64 * 1024));
      sent.end();
    });
    expect(streamed).toBe(413);
  });

  it('with any parameters are answered, and the chain goes on', async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constant(Keypair.generate().publicKey.toBase58()),
      fc.base64String({ maxLength: 400 }),
      fc.integer(),
      fc.record({
        encoding: fc.constantFrom('base64', 'jsonParsed', 'base58', 'x'),
        commitment: fc.constantFrom('confirmed', 'finalized', 'max'),
      }),
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...METHODS.keys()),
      fc.array(value, { maxLength: 3 }),
      async (method, params) => {
        const answer = (await call(method, params)) as { result?: unknown; error?: { code: number; message: string } };
        expect('result' in answer || 'error' in answer).toBe(true);
        // Codes of the client's mistakes, or of what is not there; never a defect.
        if (answer.error !== undefined) expect(answer.error.message).not.toMatch(/^Internal error/);
      },
    );
    await fc.assert(property, { numRuns: 600 });
    expect(await call('getHealth', [])).toMatchObject({ result: 'ok' });
  });
});

describe('transactions made of garbage', () => {
  it('never reach the machine', async () => {
    const payer = await net.fund();
    const wire = Buffer.from(await validTransaction(payer));
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(wire.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
      fc.nat(wire.length),
      async (changes, cut) => {
        const bytes = Buffer.from(wire);
        for (const [offset, byte] of changes) bytes[offset] = byte;
        for (const part of [bytes, bytes.subarray(0, cut), Buffer.concat([bytes, Buffer.of(0)])]) {
          await call('sendTransaction', [part.toString('base64'), { encoding: 'base64', skipPreflight: true }]);
          await call('simulateTransaction', [
            part.toString('base64'),
            { encoding: 'base64', replaceRecentBlockhash: true },
          ]);
        }
      },
    );
    await fc.assert(property, { numRuns: 300 });
    expect(await call('getHealth', [])).toMatchObject({ result: 'ok' });
  });

  async function validTransaction(payer: Keypair): Promise<Uint8Array> {
    const { SystemProgram, TransactionMessage, VersionedTransaction } = await import('@solana/web3.js');
    const { blockhash } = await net.connection.getLatestBlockhash();
    const transfer = SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 890_880,
    });
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: blockhash,
      instructions: [transfer],
    });
    const transaction = new VersionedTransaction(message.compileToV0Message());
    transaction.sign([payer]);
    return transaction.serialize();
  }
});

describe('pages in a browser', () => {
  const health = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getHealth' });

  it.each([
    ['127.0.0.1:8899', 200],
    ['localhost', 200],
    ['[::1]:8899', 200],
    ['192.0.2.7:8899', 200],
    ['BUILD.example:8899', 200],
    ['rebound.attacker.example', 403],
    ['localhost.attacker.example:8899', 403],
    ['127.0.0.1.attacker.example', 403],
  ])('under the name %s get %i', async (host, status) => {
    expect((await post(health, { host })).status).toBe(status);
  });

  it('of other sites cannot send, nor listen', async () => {
    expect((await post(health, { 'content-type': 'text/plain' })).status).toBe(415);
    const preflight = await post(
      '',
      { origin: 'https://attacker.example', 'access-control-request-method': 'POST' },
      'OPTIONS',
    );
    expect(preflight.status).toBe(405);
    expect(await openSocket({ origin: 'https://attacker.example' })).toBe(403);
    expect(await openSocket({ host: 'attacker.example' })).toBe(403);
    expect(await openSocket({ origin: 'http://localhost:3000' })).toBe(101);
  });

  function openSocket(headers: Record<string, string>): Promise<number> {
    return new Promise((resolve) => {
      const socket = new WebSocket(net.webSocketUrl, { headers });
      socket.on('open', () => {
        socket.terminate();
        resolve(101);
      });
      socket.on('unexpected-response', (_, response) => {
        resolve(response.statusCode ?? 0);
        socket.terminate();
      });
      socket.on('error', () => {});
    });
  }
});

describe('sockets', () => {
  it('that talk nonsense are closed without harm', async () => {
    for (const url of [net.url, net.webSocketUrl]) {
      const { hostname, port } = new URL(url);
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), hostname, () => socket.write('\u0000\u0001 nonsense\r\n\r\n'));
        socket.on('data', () => {});
        socket.on('error', () => {});
        socket.on('close', () => resolve());
      });
    }
    expect((await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getHealth' }))).text).toContain('ok');
    expect(await (await fetch(`${net.url}/health`)).text()).toBe('ok');
  });

  it('end with the chain, and its port is free again', async () => {
    const other = await startLocalnet();
    const port = Number(new URL(other.url).port);
    const socket = new WebSocket(other.webSocketUrl);
    await new Promise((resolve) => socket.once('open', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await other[Symbol.asyncDispose]();
    await closed;
    await using again = await startLocalnet({ port });
    expect(again.url).toBe(other.url);
  });

  it('cannot take a port that is taken', async () => {
    const port = Number(new URL(net.url).port);
    await expect(startLocalnet({ port })).rejects.toMatchObject({ code: 'LOCALNET_PORT_TAKEN' });
    await expect(startLocalnet({ port: port - 1 })).rejects.toMatchObject({ code: 'LOCALNET_PORT_TAKEN' });
    await expect(startLocalnet({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'LOCALNET_BAD_ADDRESS' });
  });
});
