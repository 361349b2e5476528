import { once } from 'node:events';
import { chmod, link, lstat, mkdir, readdir, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RpcMethod } from '../../../src/rpc/json-rpc.ts';
import { connectSocket } from '../../../src/rpc/socket-client.ts';
import { connectRaw, createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';

const methods = new Map<string, RpcMethod>([['echo', { invoke: (params) => params }]]);
const echo = { jsonrpc: '2.0', id: 1, method: 'echo', params: { x: 1 } };

/** A socket file that nobody listens on, as a killed daemon leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  const temporary = `${path}.old`;
  server.listen(temporary);
  await once(server, 'listening');
  // A hard link keeps the socket file when closing removes the name that was bound.
  await link(temporary, path);
  server.close();
  await once(server, 'close');
}

describe('the control socket in the file system', () => {
  it('is for its owner only, in a folder of its own', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'run', 'node.sock');
    await using server = await startServer(methods, { path });
    const { mode } = await lstat(server.path);
    expect(mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, 'run'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder.path, 'run'))).toEqual(['node.sock']);
  });

  it('is gone after a stop', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'node.sock');
    const server = await startServer(methods, { path });
    await server.server.stop();
    await server.server.stop();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('takes the place of a socket whose daemon died', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'node.sock');
    await leaveStaleSocket(path);
    expect((await lstat(path)).isSocket()).toBe(true);
    await using server = await startServer(methods, { path });
    using client = await connectRaw(server.path);
    expect(await client.ask(echo)).toEqual({ jsonrpc: '2.0', id: 1, result: { x: 1 } });
  });

  it('removes what a daemon left that died while it made its socket, and what may be in the making not', async () => {
    await using folder = await createTemporaryFolder();
    for (const name of ['.sABCDEF', '.sabcdef', '.ssh']) await mkdir(join(folder.path, name));
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of ['.sABCDEF', '.ssh']) await utimes(join(folder.path, name), longAgo, longAgo);
    await using _server = await startServer(methods, { path: join(folder.path, 'node.sock') });
    expect((await readdir(folder.path)).sort()).toEqual(['.sabcdef', '.ssh', 'node.sock']);
  });

  it('leaves a live one alone, and the socket of a successor too', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'node.sock');
    await using first = await startServer(methods, { path });
    await expect(startServer(methods, { path })).rejects.toMatchObject({ code: 'RPC_SOCKET_IN_USE' });
    using client = await connectRaw(first.path);
    expect(await client.ask(echo)).toEqual({ jsonrpc: '2.0', id: 1, result: { x: 1 } });
    await rename(path, `${path}.moved`);
    await using second = await startServer(methods, { path });
    await first.server.stop();
    using other = await connectRaw(second.path);
    expect(await other.ask(echo)).toEqual({ jsonrpc: '2.0', id: 1, result: { x: 1 } });
  });

  it('never replaces what is no socket, nor follows a link', async () => {
    await using folder = await createTemporaryFolder();
    const file = join(folder.path, 'file');
    await writeFile(file, 'precious');
    await symlink(file, join(folder.path, 'link'));
    for (const path of [file, join(folder.path, 'link')]) {
      await expect(startServer(methods, { path })).rejects.toMatchObject({ code: 'RPC_SOCKET_PATH_TAKEN' });
    }
    expect((await readdir(folder.path)).toSorted()).toEqual(['file', 'link']);
  });

  it('refuses a folder that others may write to, and a path that the system cannot hold', async () => {
    await using folder = await createTemporaryFolder();
    const open = join(folder.path, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    const path = join(open, 'node.sock');
    await expect(startServer(methods, { path })).rejects.toMatchObject({ code: 'RPC_SOCKET_UNSAFE_FOLDER' });
    const long = join(folder.path, 'x'.repeat(120));
    await expect(startServer(methods, { path: long })).rejects.toMatchObject({ code: 'RPC_SOCKET_PATH_TOO_LONG' });
  });

  it('refuses a folder that cannot be made', async () => {
    await using folder = await createTemporaryFolder();
    await writeFile(join(folder.path, 'file'), '');
    const path = join(folder.path, 'file', 'node.sock');
    await expect(startServer(methods, { path })).rejects.toMatchObject({ code: 'RPC_SOCKET_UNSAFE_FOLDER' });
  });

  it('refuses more connections than it may have, and says so', async () => {
    await using server = await startServer(methods, { maxConnections: 2 });
    using first = await connectRaw(server.path);
    using second = await connectRaw(server.path);
    await Promise.all([first.ask(echo), second.ask(echo)]);
    using third = await connectRaw(server.path);
    expect(await third.next()).toMatchObject({ id: null, error: { data: { code: 'RPC_TOO_MANY_CONNECTIONS' } } });
    await third.closed;
    await using client = await connectSocket(server.path);
    await expect(client.call('node.status', {})).rejects.toMatchObject({ code: 'RPC_TOO_MANY_CONNECTIONS' });
    first.socket.destroy();
    await first.closed;
    expect(await second.ask(echo)).toMatchObject({ id: 1 });
  });
});
