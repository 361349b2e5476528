import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { GOOD_LINK, type LinkRules, LinkTable } from '../../../../scripts/chaos/link-rules.ts';
import { findSocketOwner } from '../../../../scripts/chaos/socket-owner.ts';
import { TcpProxy } from '../../../../scripts/chaos/tcp-proxy.ts';

const SENT = Buffer.from('what is sent in one piece, and comes back as it is');

/** An echo behind a proxy, and one connection through it. */
async function openEcho(stack: AsyncDisposableStack, draw: () => number = () => 0.5) {
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  stack.defer(() => void server.close());
  const links = new LinkTable();
  const modules = { links, draw, findSource: (from: number) => (from > 0 ? 'ada' : undefined) };
  const proxy = stack.use(await TcpProxy.open(modules, { name: 'berta', port: () => port }));
  const socket = createConnection({ port: proxy.port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  stack.defer(() => void socket.destroy());
  await once(socket, 'connect');
  const set = (rules: Partial<LinkRules>): void => links.set('ada', 'berta', { ...GOOD_LINK, ...rules });
  return { socket, links, set };
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  while (size < bytes) {
    const [piece] = (await once(socket, 'data')) as [Buffer];
    pieces.push(piece);
    size += piece.length;
  }
  return Buffer.concat(pieces);
}

describe('TcpProxy', () => {
  it('hands on what it is given where nothing is wrong', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket } = await openEcho(stack);
    const large = Buffer.alloc(3_000_000, 'chaos');
    socket.write(large);
    expect((await read(socket, large.length)).equals(large)).toBe(true);
  });

  it('holds what is sent over a cut link until it is mended, and loses nothing', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket, set, links } = await openEcho(stack);
    set({ isCut: true });
    let hasCome = false;
    const answer = read(socket, SENT.length).then((bytes) => {
      hasCome = true;
      return bytes;
    });
    socket.write(SENT);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hasCome).toBe(false);
    links.heal();
    expect(await answer).toEqual(SENT);
  });

  it('delays, in order', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket, set } = await openEcho(stack);
    set({ delayMs: 60 });
    const startMs = performance.now();
    for (const byte of SENT) socket.write(Buffer.of(byte));
    expect(await read(socket, SENT.length)).toEqual(SENT);
    // There and back.
    expect(performance.now() - startMs).toBeGreaterThan(115);
  });

  it('slows down', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket, set } = await openEcho(stack);
    set({ bytesPerSecond: 100_000 });
    const startMs = performance.now();
    socket.write(Buffer.alloc(10_000));
    await read(socket, 10_000);
    expect(performance.now() - startMs).toBeGreaterThan(190);
  });

  it('flips one bit of a piece', async () => {
    await using stack = new AsyncDisposableStack();
    let turn = 0;
    // Another place each time, so that the way back does not undo what the way there did.
    const { socket, set } = await openEcho(stack, () => (turn++ % 7) / 7);
    set({ flipProbability: 1 });
    socket.write(SENT);
    const came = await read(socket, SENT.length);
    const changed = [...came].filter((byte, index) => byte !== SENT[index]);
    expect([1, 2]).toContain(changed.length);
  });

  it('resets a connection in the middle of a piece', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket, set } = await openEcho(stack);
    set({ resetProbability: 1 });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(SENT);
    await closed;
    expect(socket.destroyed).toBe(true);
  });

  it('leaves other pairs alone', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket, links } = await openEcho(stack);
    links.set('clara', 'berta', { ...GOOD_LINK, isCut: true });
    socket.write(SENT);
    expect(await read(socket, SENT.length)).toEqual(SENT);
  });
});

describe.skipIf(process.platform !== 'linux')('findSocketOwner', () => {
  it('knows whose end of a connection a port is', async () => {
    await using stack = new AsyncDisposableStack();
    const { socket } = await openEcho(stack);
    expect(findSocketOwner(socket.localPort ?? 0, [1, process.pid])).toBe(process.pid);
    expect(findSocketOwner(socket.localPort ?? 0, [])).toBeUndefined();
  });
});
