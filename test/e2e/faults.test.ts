import { once } from 'node:events';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AttemptView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

const LONG = 400;

describe('faults', () => {
  let mesh: Mesh;
  beforeEach(async () => {
    mesh = await Mesh.open({ lease: '3s', renewal: '500ms' }, AbortSignal.timeout(110_000));
  });
  afterEach(() => mesh?.[Symbol.asyncDispose]());

  async function untilRunning(node: MeshNode, job: { readonly job: string }): Promise<readonly AttemptView[]> {
    let attempts: readonly AttemptView[] = [];
    await mesh.until('it runs', 20_000, async () => {
      ({ attempts } = await node.client.call('job.show', { job: job.job as never }));
      return attempts.some(({ state, progress }) => state === 'running' && progress !== null);
    });
    return attempts;
  }

  it('a provider killed in the middle is replaced, and the result is accepted', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const providers = [await mesh.addNode('ada'), await mesh.addNode('berta')];
    await mesh.untilProviders(requester, 2);
    const file = await mesh.writeTraining('killed', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    const [attempt] = await untilRunning(requester, job);
    const victim = providers.find(({ status }) => status.peer === attempt?.provider);
    if (victim === undefined) throw new Error('the attempt runs nowhere');
    await mesh.kill(victim);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    expect(ended.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect(ended.attempts[1]?.provider).not.toBe(victim.status.peer);
  });

  it('a requester killed in the middle goes on with its job after it restarts', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const file = await mesh.writeTraining('restart', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    await untilRunning(requester, job);
    await mesh.kill(requester);
    const [address] = provider.status.network.listen;
    const again = await mesh.startNode(requester, ['--no-provide', '--bootstrap', address ?? '']);
    const ended = await mesh.wait(again, job);
    expect(ended.state).toBe('completed');
  });

  it('a provider killed in the middle says after its restart what became of the attempt, and takes work again', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const file = await mesh.writeTraining('rerun', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    await untilRunning(requester, job);
    await mesh.kill(provider);
    const again = await mesh.startNode(provider);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    const leases = new Set(ended.attempts.map(({ lease }) => lease));
    expect(leases.size).toBe(ended.attempts.length);
    expect(ended.attempts.filter(({ state }) => state === 'revealed')).toHaveLength(1);
    const { provider: status } = await again.client.call('node.status', {});
    expect(status.slots).toMatchObject({ running: 0, reserved: 0 });
  });

  it('a detached job is collected later', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const file = await mesh.writeJob('hello', 'later', (text) => text);
    const job = await mesh.submit(requester, file);
    await mesh.wait(requester, job);
    const out = mesh.stage.path('later-out');
    await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
    expect(await readFile(join(out, 'output'), 'utf8')).toBe('hello, fog\n');
  });

  it('a second daemon on the same data folder is refused, and the first goes on', async () => {
    const node = await mesh.addNode('ada');
    const second = await mesh.run({ ...node, socket: `${node.socket}2` }, [
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
    expect(second.stderr).toContain(String(node.status.pid));
    expect((await node.client.call('node.status', {})).pid).toBe(node.status.pid);
  });

  it('the same identity on another box is refused while the first one runs', async () => {
    const first = await mesh.addNode('ada');
    const copy = mesh.stage.actor('copy');
    await mesh.addNode('berta');
    await mesh.expect(copy, ['network', 'join', 'e2e.json']);
    await cp(join(first.home, 'identity.json'), join(copy.home, 'identity.json'));
    const [address] = first.status.network.listen;
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
    expect((await first.client.call('node.status', {})).pid).toBe(first.status.pid);
  });

  it('garbage on the control socket and on the network port leaves the daemon up and honest jobs unharmed', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const [listen] = provider.status.network.listen;
    const port = Number(/\/tcp\/(\d+)/.exec(listen ?? '')?.[1]);
    for (const target of [{ path: provider.socket }, { port, host: '127.0.0.1' }]) {
      const socket = connect(target);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(Buffer.alloc(200_000, 0xff));
      socket.write('\n{"jsonrpc":"2.0","method":\n[1,2');
      socket.end();
      await once(socket.resume(), 'close');
    }
    const file = await mesh.writeJob('hello', 'unharmed', (text) => text);
    const ended = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(ended.state).toBe('completed');
    expect((await provider.client.call('node.status', {})).pid).toBe(provider.status.pid);
  });

  it('stops in order on SIGTERM and leaves no process', async () => {
    const node = await mesh.addNode('ada');
    const exited = once(node.process, 'exit');
    node.process.kill('SIGTERM');
    const [exitCode] = (await exited) as [number | null];
    expect(exitCode).toBe(0);
    expect(await mesh.stage.findOrphans(node)).toEqual([]);
  });

  it('a job file that is malformed is told line by line, and nothing is submitted', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const file = await mesh.writeJob('hello', 'malformed', (text) => text.replace('memory: 16MiB', 'memry: lots'));
    await writeFile(file, `${await readFile(file, 'utf8')}\nreplicas: many\n`);
    const told = await mesh.run(requester, ['job', 'submit', file]);
    expect(told.exitCode).toBe(2);
    expect(told.stderr).toContain('memry');
    expect(told.stderr).toContain('replicas');
    const { jobs } = await requester.client.call('job.list', { limit: 10 });
    expect(jobs).toEqual([]);
  });
});
