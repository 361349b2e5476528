import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InternalError } from '../../../src/lib/errors.ts';
import type { RpcMethod } from '../../../src/rpc/json-rpc.ts';
import { connectRaw, startServer } from '../../support/rpc-harness.ts';

const gate = Promise.withResolvers<string>();
const methods = new Map<string, RpcMethod>([
  ['echo', { invoke: (params) => params }],
  ['hang', { invoke: () => gate.promise }],
  ['big', { invoke: () => 'x'.repeat(200_000) }],
  [
    'break',
    {
      invoke: () => {
        throw new InternalError('the key is hunter2');
      },
    },
  ],
]);
const request = (id: number | string, method = 'echo', params: unknown = []): string =>
  `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;
const codeOf = (answer: unknown): unknown => (answer as { error?: { data?: { code?: string } } }).error?.data?.code;

describe('bad input on the control socket', () => {
  it('answers lines that are no UTF-8, no JSON, no request, and goes on', async () => {
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    const cases: readonly [string | Uint8Array, number][] = [
      [Buffer.from([0xff, 0xfe, 0x0a]), -32700],
      ['{"jsonrpc":"2.0"\n', -32700],
      ['null\n', -32600],
      ['[null]\n', -32600],
      ['{"jsonrpc":"1.0","method":"echo","id":1}\n', -32600],
      ['{"jsonrpc":"2.0","method":"echo","id":{}}\n', -32600],
      ['{"jsonrpc":"2.0","method":"echo","id":1,"params":7}\n', -32600],
      ['{"jsonrpc":"2.0","method":"__proto__","id":1}\n', -32601],
      ['{"jsonrpc":"2.0","method":"toString","id":1}\n', -32601],
    ];
    for (const [text, code] of cases) {
      client.send(text);
      const answer = await client.next();
      const [first] = Array.isArray(answer) ? (answer as unknown[]) : [answer];
      expect(first, String(text)).toMatchObject({ jsonrpc: '2.0', error: { code } });
    }
    client.send(request(1));
    expect(await client.next()).toEqual({ jsonrpc: '2.0', id: 1, result: [] });
  });

  it('never stops answering, whatever bytes come', async () => {
    await using server = await startServer(methods, { limits: { maxLineBytes: 256 } });
    using client = await connectRaw(server.path);
    const json = fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text));
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      json,
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(noise, async (bytes) => {
        round += 1;
        client.send(Buffer.concat([bytes, Buffer.from(`\n${request(`round ${round}`)}`)]));
        for (;;) {
          const answer = (await client.next()) as { id?: unknown; jsonrpc?: string } | unknown[];
          expect(answer).toBeDefined();
          if (!Array.isArray(answer) && answer.id === `round ${round}`) return;
        }
      }),
      { numRuns: 300 },
    );
    expect(server.logger.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('drops a line that is too long without holding it, and goes on', async () => {
    await using server = await startServer(methods, { limits: { maxLineBytes: 1000 } });
    using client = await connectRaw(server.path);
    client.send('x'.repeat(1_000_000));
    const answer = await client.next();
    expect(answer).toMatchObject({ id: null, error: { code: -32600 } });
    expect(codeOf(answer)).toBe('RPC_LINE_TOO_LONG');
    client.send(`\n${request(2)}`);
    expect(await client.next()).toEqual({ jsonrpc: '2.0', id: 2, result: [] });
  });

  it('refuses a batch of too many', async () => {
    await using server = await startServer(methods, { limits: { maxBatchRequests: 3 } });
    using client = await connectRaw(server.path);
    const items = [1, 2, 3, 4].map((id) => ({ jsonrpc: '2.0', id, method: 'echo' }));
    expect(codeOf(await client.ask(items))).toBe('RPC_BATCH_TOO_LARGE');
    expect(await client.ask(items.slice(1))).toHaveLength(3);
  });

  it('says that a defect happened, and only the log says which', async () => {
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    client.send(request(1, 'break'));
    const answer = await client.next();
    expect(answer).toMatchObject({ id: 1, error: { code: -32603, message: 'internal error' } });
    expect(JSON.stringify(answer)).not.toContain('hunter2');
    const [logged] = server.logger.lines.filter(({ level }) => level === 'error');
    expect(logged?.fields['err']).toBeInstanceOf(InternalError);
    expect(JSON.stringify(answer)).toContain(String(logged?.fields['reference']));
  });
});

describe('limits of a connection', () => {
  it('limits the rate, of each connection for itself', async () => {
    await using server = await startServer(methods, { limits: { rateBurst: 3, ratePerSecond: 0.001 } });
    using first = await connectRaw(server.path);
    using second = await connectRaw(server.path);
    for (const id of [1, 2, 3, 4]) first.send(request(id));
    const answers = [await first.next(), await first.next(), await first.next(), await first.next()];
    const refused = answers.filter((answer) => codeOf(answer) === 'RPC_RATE_LIMITED');
    expect(refused).toEqual([expect.objectContaining({ id: 4 })]);
    second.send(request(1));
    expect(codeOf(await second.next())).toBeUndefined();
  });

  it('counts every request of a batch', async () => {
    await using server = await startServer(methods, { limits: { rateBurst: 2, ratePerSecond: 0.001 } });
    using client = await connectRaw(server.path);
    const answers = await client.ask([1, 2, 3].map((id) => ({ jsonrpc: '2.0', id, method: 'echo', params: [] })));
    expect((answers as unknown[]).map(codeOf)).toEqual([undefined, undefined, 'RPC_RATE_LIMITED']);
  });

  it('limits calls under way', async () => {
    await using server = await startServer(methods, { limits: { maxInFlight: 2 } });
    using client = await connectRaw(server.path);
    for (const id of [1, 2, 3]) client.send(request(id, 'hang'));
    const answer = await client.next();
    expect(answer).toMatchObject({ id: 3 });
    expect(codeOf(answer)).toBe('RPC_TOO_MANY_IN_FLIGHT');
    gate.resolve('done');
    expect(await client.next()).toMatchObject({ result: 'done' });
    expect(await client.next()).toMatchObject({ result: 'done' });
  });

  it('drops a client that asks and does not read', async () => {
    await using server = await startServer(methods, { limits: { slowReaderTimeoutMs: 100 } });
    using client = await connectRaw(server.path);
    client.socket.pause();
    client.send(Array.from({ length: 40 }, (_, id) => request(id, 'big')).join(''));
    await expect.poll(() => server.metrics.counts.get('fogproof_rpc_dropped_total{"reason":"slow-reader"}')).toBe(1);
    expect(server.logger.lines).toContainEqual(
      expect.objectContaining({ fields: expect.objectContaining({ code: 'RPC_SLOW_READER' }) }),
    );
    using other = await connectRaw(server.path);
    other.send(request(1));
    expect(await other.next()).toMatchObject({ id: 1 });
  });

  it('drops a client for which too much waits', async () => {
    await using server = await startServer(methods, { limits: { maxUnreadBytes: 1_000_000 } });
    using client = await connectRaw(server.path);
    client.socket.pause();
    client.send(`[${Array.from({ length: 2 }, (_, id) => request(id, 'big').trim()).join(',')}]\n`.repeat(20));
    await expect.poll(() => server.metrics.counts.get('fogproof_rpc_dropped_total{"reason":"slow-reader"}')).toBe(1);
  });

  it('does not hold a slow but living reader against it', async () => {
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    client.socket.pause();
    client.send(Array.from({ length: 40 }, (_, id) => request(id, 'big')).join(''));
    client.socket.resume();
    for (let id = 0; id < 40; id += 1) expect(await client.next()).toMatchObject({ id });
  });

  it('answers a client that has closed its side', async () => {
    await using server = await startServer(methods);
    using client = await connectRaw(server.path);
    client.socket.end(request(1));
    expect(await client.next()).toMatchObject({ id: 1 });
    await client.closed;
  });
});
