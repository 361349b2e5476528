import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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

  it('a shared blob goes from node to node, each leaf checked; a private one is encrypted and stays', async () => {
    const [large, secret] = [mesh.stage.path('large.bin'), mesh.stage.path('secret.bin')];
    const bytes = randomFillSync(Buffer.alloc(3 * 2 ** 20 + 5));
    await writeFile(large, bytes);
    await writeFile(secret, 'the secret that is on no disk in plain'.repeat(1_000));
    const added = await mesh.expect<{ blobs: { blob: string; sizeBytes: number }[] }>(requester, [
      'blob',
      'add',
      large,
      '--share',
    ]);
    const blob = added.blobs[0]?.blob ?? '';
    expect(blob).toMatch(/^bafybei/);
    const copy = mesh.stage.path('copy.bin');
    const got = await mesh.expect<{ bytesMoved: number }>(provider, ['blob', 'get', blob, '--output', copy]);
    expect(got.bytesMoved).toBe(bytes.length);
    expect((await readFile(copy)).equals(bytes)).toBe(true);
    expect(await mesh.expect(provider, ['blob', 'verify', blob])).toEqual({ checked: 1, damaged: [] });
    await mesh.expect(requester, ['blob', 'unshare', blob]);
    await mesh.expect(provider, ['blob', 'remove', blob]);
    const refused = await mesh.run(provider, ['blob', 'get', blob, '--from', requester.status.peer]);
    expect(refused.stderr).toContain('TRANSFER_NO_SOURCE');
    const hidden = await mesh.expect<typeof added>(requester, ['blob', 'add', secret, '--private']);
    const shared = await mesh.run(requester, ['blob', 'share', hidden.blobs[0]?.blob ?? '']);
    expect(shared.stderr).toContain('RPC_PRIVATE_BLOB');
    const listed = await mesh.expect<{ blobs: { blob: string; isPrivate: boolean }[] }>(requester, ['blob', 'list']);
    expect(listed.blobs.find(({ isPrivate }) => isPrivate)?.blob).toBe(hidden.blobs[0]?.blob);
    for (const file of await readdir(requester.home, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      expect((await readFile(join(file.parentPath, file.name))).includes('on no disk in plain'), file.name).toBe(false);
    }
  });

  it('a shared folder goes from node to node, and a job reads files of it', async () => {
    const file = await mesh.writeTraining('kit', { rounds: 3, replicas: 1 }, (text) =>
      text.replace(/^inputs:\n(?: {2}.*\n)+/m, 'inputs:\n  /kit: { folder: ID }\n'),
    );
    const kit = mesh.stage.path('kit-original');
    await cp(mesh.stage.path('kit/data'), join(kit, 'data'), { recursive: true });
    await rm(join(kit, 'data/SOURCE.md'));
    await mkdir(join(kit, 'unread/empty'), { recursive: true });
    await writeFile(join(kit, 'unread/large.bin'), randomFillSync(Buffer.alloc(2 ** 20 + 5)));
    const line = ['blob', 'add', kit, join(kit, 'data'), '--share'];
    const { folders } = await mesh.expect<{ folders: { folder: string }[] }>(provider, line);
    const [folder = '', data = ''] = folders.map((added) => added.folder);
    await writeFile(file, (await readFile(file, 'utf8')).replace('ID', data));
    const early = await mesh.run(requester, ['job', 'submit', file, '--detach']);
    expect(early.stderr).toContain('JOB_FILE_FOLDER_NOT_HERE');
    const copy = mesh.stage.path('kit-copy');
    const get = ['blob', 'get', folder, '--output', copy];
    const got = await mesh.expect<{ bytesMoved: number; sizeBytes: number }>(requester, get);
    expect(got.bytesMoved).toBe(got.sizeBytes);
    const names = (await readdir(kit, { recursive: true })).toSorted();
    expect((await readdir(copy, { recursive: true })).toSorted()).toEqual(names);
    for (const name of ['data/settings.txt', 'data/train.csv', 'unread/large.bin']) {
      expect((await readFile(join(copy, name))).equals(await readFile(join(kit, name))), name).toBe(true);
    }
    expect(await mesh.expect(requester, get)).toMatchObject({ written: 0, bytesMoved: 0 });
    const job = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(job).toMatchObject({ state: 'completed', failure: null });
    expect(job.result?.steps).toBe(3);
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

  it('names the neighbours that were chosen, and checks again why', async () => {
    const { peer } = provider.status;
    await mesh.until('the first choice', 30_000, async () => {
      const { neighbours } = await requester.client.call('neighbours.list', {});
      return neighbours.some((view) => view.peer === peer && view.direction === 'outbound');
    });
    const stranger = '12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7';
    const [listed, checked, refused] = await Promise.all([
      mesh.expect<{ isGenesis: boolean; neighbours: unknown[] }>(requester, ['neighbours']),
      mesh.run(requester, ['neighbours', 'verify', peer]),
      mesh.run(requester, ['neighbours', 'verify', stranger]),
    ]);
    expect(listed.isGenesis).toBe(true);
    expect(listed.neighbours).toContainEqual(
      expect.objectContaining({ peer, direction: 'outbound', why: 'genesis', isConnected: true }),
    );
    expect({ exitCode: checked.exitCode, stderr: checked.stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(checked.stdout).toContain(`${peer}, outbound: valid`);
    expect({ exitCode: refused.exitCode, stderr: refused.stderr }).toEqual({ exitCode: 1, stderr: '' });
    expect(refused.stdout).toContain(`${stranger} is no neighbour`);
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
