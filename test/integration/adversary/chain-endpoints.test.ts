import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BlockHash, encodeBase58 } from '../../../src/domain/chain.ts';
import { createPool, createReader } from '../../support/chain-rig.ts';

const GENESIS = BlockHash(encodeBase58(new Uint8Array(32).fill(4)));
const MIB = 1024 * 1024;

let stack: AsyncDisposableStack;
let trapped: number;
let trap: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  trapped = 0;
  trap = await serve((_, response) => {
    trapped += 1;
    response.end(JSON.stringify({ jsonrpc: '2.0', id: '1', result: GENESIS }));
  });
});
afterEach(async () => await stack.disposeAsync());

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function ask(listener: RequestListener): Promise<unknown> {
  const url = await serve(listener);
  const pool = stack.use(createPool([url], GENESIS, { rounds: 1, timeoutMs: 1_500 }));
  return await createReader(pool, GENESIS).cluster({ signal: AbortSignal.timeout(8_000) });
}

describe('an endpoint', () => {
  it.each(['307', '308', '302'])('that sends a question elsewhere with %s is not followed', async (status) => {
    const places = [trap, 'file:///etc/passwd', 'data:application/json,%7B%7D', `//${new URL(trap).host}/`];
    for (const location of places) {
      const asked = ask((_, response) => response.writeHead(Number(status), { location }).end());
      await expect(asked, location).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    }
    expect(trapped).toBe(0);
  });

  it.each([1, 2, 3])('that packs 300 MiB into one answer, %d times over, fills no memory', async (times) => {
    let body = gzipSync(Buffer.alloc(300 * MIB, ' '), { level: 1 });
    for (let each = 1; each < times; each += 1) body = gzipSync(body);
    const encodings = Array.from({ length: times }, () => 'gzip').join(', ');
    let most = 0;
    const before = process.memoryUsage().rss;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().rss - before);
    }, 5);
    stack.defer(() => clearInterval(watch));
    const asked = ask((_, response) => response.writeHead(200, { 'content-encoding': encodings }).end(body));
    await expect(asked).rejects.toMatchObject({ code: 'CHAIN_BAD_RESPONSE' });
    most = Math.max(most, process.memoryUsage().rss - before);
    expect(most).toBeLessThan(200 * MIB);
  });

  it('that drips a byte at a time is given up', async () => {
    const startedAtMs = performance.now();
    const asked = ask((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    await expect(asked).rejects.toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    expect(performance.now() - startedAtMs).toBeLessThan(6_000);
  });
});
