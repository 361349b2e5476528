import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Mesh, type MeshNode } from '../support/mesh.ts';

describe('daemons that nothing kills', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  let provider: MeshNode;
  beforeAll(async () => {
    mesh = await Mesh.open({}, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  it('a detached job is collected later', async () => {
    const file = await mesh.writeJob('hello', 'later', (text) => text);
    const job = await mesh.submit(requester, file);
    await mesh.wait(requester, job);
    const out = mesh.stage.path('later-out');
    await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
    expect(await readFile(join(out, 'output'), 'utf8')).toBe('hello, fog\n');
  });

  it('a second daemon on the same data folder is refused, and the first goes on', async () => {
    const second = await mesh.run({ ...provider, socket: `${provider.socket}2` }, [
      'node',
      'start',
      '--no-mdns',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--log',
      'file',
    ]);
    expect(second.exitCode).toBe(5);
    expect(second.stderr).toContain('STORAGE_LOCKED');
    expect(second.stderr).toContain(String(provider.status.pid));
    expect((await provider.client.call('node.status', {})).pid).toBe(provider.status.pid);
  });

  it('the same identity on another box is refused while the first one runs', async () => {
    const copy = mesh.stage.actor('copy');
    await mesh.expect(copy, ['network', 'join', 'e2e.json']);
    await cp(join(provider.home, 'identity.json'), join(copy.home, 'identity.json'));
    const [address] = provider.status.network.listen;
    const second = await mesh.run(copy, [
      'node',
      'start',
      '--no-mdns',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--bootstrap',
      address ?? '',
      '--log',
      'file',
    ]);
    expect(second.stderr).toContain('NODE_DUPLICATE_IDENTITY');
    expect(second.exitCode).toBe(5);
    expect((await provider.client.call('node.status', {})).pid).toBe(provider.status.pid);
  });

  it('garbage on the control socket and on the network port leaves the daemon up and honest jobs unharmed', async () => {
    const [listen] = provider.status.network.listen;
    const port = Number(/\/tcp\/(\d+)/.exec(listen ?? '')?.[1]);
    for (const target of [{ path: provider.socket }, { port, host: '127.0.0.1' }]) {
      const socket = connect(target);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      // Whether the daemon ends the connection or resets it; `once` would reject at a reset.
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      socket.once('close', () => resolve());
      socket.write(Buffer.alloc(200_000, 0xff));
      socket.write('\n{"jsonrpc":"2.0","method":\n[1,2');
      socket.end();
      socket.resume();
      await closed;
    }
    const file = await mesh.writeJob('hello', 'unharmed', (text) => text);
    const ended = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(ended.state).toBe('completed');
    expect((await provider.client.call('node.status', {})).pid).toBe(provider.status.pid);
  });

  it('stops in order on SIGTERM and leaves no process', async () => {
    const node = await mesh.addNode('berta');
    const exited = once(node.process, 'exit');
    node.process.kill('SIGTERM');
    const [exitCode] = (await exited) as [number | null];
    expect(exitCode).toBe(0);
    expect(await mesh.stage.findOrphans(node)).toEqual([]);
  });

  it('a job file that is malformed is told line by line, and nothing is submitted', async () => {
    const { jobs: before } = await requester.client.call('job.list', { limit: 100 });
    const file = await mesh.writeJob('hello', 'malformed', (text) => text.replace('memory: 16MiB', 'memry: lots'));
    await writeFile(file, `${await readFile(file, 'utf8')}\nreplicas: many\n`);
    const told = await mesh.run(requester, ['job', 'submit', file]);
    expect(told.exitCode).toBe(2);
    expect(told.stderr).toContain('memry');
    expect(told.stderr).toContain('replicas');
    const { jobs } = await requester.client.call('job.list', { limit: 100 });
    expect(jobs).toEqual(before);
  });
});
