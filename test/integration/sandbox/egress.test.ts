import type { LookupAddress, lookup } from 'node:dns';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EgressHost } from '../../../src/domain/egress.ts';
import { EgressProxy } from '../../../src/sandbox/egress/egress-proxy.ts';
import { listenInside } from '../../../src/sandbox/egress/netns-listener.ts';
import { startSleeper } from '../../support/sleeper.ts';

const NEVER = new AbortController().signal;
const GREETING = 'hello from outside';

/** A server of this host that greets, and then says back what it is told. */
async function startGreeter(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(`${GREETING}\n`);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('it listens on no port');
  return address.port;
};

/** A resolver that knows these names, and nobody else. */
function resolverOf(names: Readonly<Record<string, readonly string[]>>): typeof lookup {
  const resolve = (
    host: string,
    _options: unknown,
    answer: (error: Error | null, all: LookupAddress[]) => void,
  ): void => {
    const addresses = names[host];
    if (addresses === undefined) answer(new Error('no such name'), []);
    else
      answer(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
  };
  return resolve as unknown as typeof lookup;
}

/** Asks the proxy for a tunnel, says a line in it, and prints all that comes until it is closed or a second has passed. */
const askFor = (target: string, line = 'ping'): string =>
  `exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT ${target} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n${line}\\n' >&3; timeout 2 cat <&3; true`;

describe('a sandbox with a way to listed hosts', () => {
  let greeter: Server;
  let refused: string[];

  beforeEach(async () => {
    greeter = await startGreeter();
    refused = [];
  });
  afterEach(() => void greeter.close());

  /** Runs a script in a sandbox whose proxy leads to `hosts`; gives what it printed. */
  async function run(
    script: string,
    hosts: readonly EgressHost[],
    options: { readonly allowsPrivate?: boolean; readonly maxBytes?: number } = {},
  ): Promise<{ readonly printed: string; readonly proxy: EgressProxy }> {
    const proxy = new EgressProxy({
      hosts,
      maxBytes: options.maxBytes ?? 1_000_000,
      allowsPrivate: options.allowsPrivate ?? true,
      onRefused: (wanted, reason) => refused.push(`${wanted}: ${reason}`),
      resolve: resolverOf({ 'greeter.example': ['127.0.0.1'], 'metadata.example': ['169.254.169.254'] }),
    });
    const child = startSleeper(script, '/bin/bash');
    child.stderr.resume();
    const printed = text(child.stdout);
    proxy.serve(await listenInside(await child.findPid(), NEVER));
    await child.setUp([]);
    child.release();
    await child.waitEnd();
    proxy[Symbol.dispose]();
    return { printed: await printed, proxy };
  }

  it('reaches a host that is listed, by name and by address, and both directions are counted', async () => {
    const port = portOf(greeter);
    for (const host of ['greeter.example', '127.0.0.1']) {
      const { printed, proxy } = await run(askFor(`${host}:${port}`, 'ping pong'), [{ host, port }]);
      expect(printed).toContain('200 Connection established');
      expect(printed).toContain(`${GREETING}\nping pong\n`);
      const received = GREETING.length + 'ping pong'.length + 2;
      expect(proxy.usage).toEqual({ connections: 1, refused: 0, sentBytes: 10, receivedBytes: received });
    }
    expect(refused).toEqual([]);
  });

  it.each<[what: string, target: (port: number) => string, reason: string]>([
    ['a host that is not listed', (port) => `other.example:${port}`, 'the job does not list it'],
    [
      'another port of a listed host',
      (port) => `greeter.example:${port === 1 ? 2 : port - 1}`,
      'the job does not list it',
    ],
    ['no port', () => 'greeter.example', 'no host and port'],
    ['an odd name', () => 'greeter.example%0d%0a:80', 'no host and port'],
  ])('is refused %s', async (_what, target, reason) => {
    const port = portOf(greeter);
    const { printed, proxy } = await run(askFor(target(port)), [{ host: 'greeter.example', port }]);
    expect(printed).toMatch(/^HTTP\/1.1 40[03] /);
    expect(printed).not.toContain(GREETING);
    expect(refused).toEqual([expect.stringContaining(reason)]);
    expect(proxy.usage.connections).toBe(0);
  });

  it('never reaches the networks of the node, by whatever name', async () => {
    const port = portOf(greeter);
    for (const host of ['greeter.example', 'metadata.example', '127.0.0.1', '169.254.169.254']) {
      const { printed } = await run(askFor(`${host}:${port}`), [{ host, port }], { allowsPrivate: false });
      expect(printed).toMatch(/^HTTP\/1.1 403 /);
    }
    expect(refused).toHaveLength(4);
  });

  it('has no other way out than the proxy', async () => {
    const port = portOf(greeter);
    const script = `timeout 2 cat < /dev/tcp/127.0.0.1/${port} || echo none; cat /proc/net/dev | tail -n +3 | cut -d: -f1`;
    const { printed } = await run(script, [{ host: '127.0.0.1', port }]);
    expect(printed.split('\n').map((line) => line.trim())).toEqual(['none', 'lo', '']);
  });

  it('is cut off when its bytes are used up', async () => {
    const port = portOf(greeter);
    const target = `greeter.example:${port}`;
    const flood = `exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT ${target} HTTP/1.1\\r\\n\\r\\n' >&3; (timeout 5 cat /dev/zero >&3) 2>/dev/null; cat <&3 | wc -c; ${askFor(target)}`;
    const { printed, proxy } = await run(flood, [{ host: 'greeter.example', port }], { maxBytes: 100_000 });
    expect(printed).toContain('HTTP/1.1 403 Forbidden');
    expect(refused).toEqual([`${target}: the attempt's bytes are used up`]);
    const { sentBytes, receivedBytes } = proxy.usage;
    expect(sentBytes + receivedBytes).toBeGreaterThan(100_000);
    expect(sentBytes + receivedBytes).toBeLessThan(400_000);
  });

  it('is told what to do when it asks without CONNECT, and garbage ends the connection', async () => {
    const script = `exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://greeter.example/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3; timeout 2 cat <&3
      exec 4<>/dev/tcp/127.0.0.1/3128; printf '\\x16\\x03\\x01garbage\\r\\n\\r\\n' >&4; timeout 2 cat <&4; echo end`;
    const { printed } = await run(script, [{ host: 'greeter.example', port: 80 }]);
    expect(printed).toContain('405 Method Not Allowed');
    expect(printed).toContain('takes CONNECT only');
    expect(printed.trimEnd().endsWith('end')).toBe(true);
  });
});

describe('a listener in a sandbox', () => {
  it('says why it could not be made', async () => {
    await expect(listenInside(2 ** 30, NEVER)).rejects.toMatchObject({ code: 'SANDBOX_EGRESS_UNAVAILABLE' });
  });
});
