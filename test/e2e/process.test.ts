import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import type { NodeStatus } from '../../src/rpc/interface.ts';
import { createMethodTable } from '../../src/rpc/method-table.ts';
import { createFakeModules } from '../support/fake-rpc-modules.ts';
import { createTemporaryFolder, startServer } from '../support/rpc-harness.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The command line as a process of its own, which is where signals and pipes are. */
function start(argv: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = once(child, 'close').then(([exitCode]: unknown[]) => ({ exitCode, ...output }));
  return { child, ended };
}

type Three = [string, string, string];

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended, as it should.
  }
}

describe('the program as a process', () => {
  it('ends with 130 at the first SIGINT, and leaves no stack behind', async () => {
    const waiting = Promise.withResolvers<void>();
    const fakes = createFakeModules();
    const wait = (): Promise<never> => {
      waiting.resolve();
      return new Promise<never>(() => {});
    };
    const modules = createFakeModules({ requester: { ...fakes.requester, wait } });
    await using server = await startServer(createMethodTable(modules, { version: '0' }));
    const { child, ended } = start(['job', 'wait', 'latest', '--socket', server.path]);
    await waiting.promise;
    child.kill('SIGINT');
    expect(await ended).toEqual({ exitCode: 130, stdout: '', stderr: '' });
  });

  it('ends quietly when nobody reads its output any more', async () => {
    const { child, ended } = start(['help', 'exit-codes']);
    child.stdout.destroy();
    expect(await ended).toMatchObject({ stderr: '' });
  });

  it('gives exit codes and JSON errors to the shell', async () => {
    const { exitCode, stdout, stderr } = await start(['node', 'status', '--json', '--socket', '/nonexistent/s']).ended;
    expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'RPC_NO_DAEMON', retryable: true } });
  });

  it('ends at once while a program that holds the wallet does not answer', async () => {
    await using folder = await createTemporaryFolder();
    const [home, signer, network] = ['home', 'signer', 'lab.json'].map((name) => join(folder.path, name)) as Three;
    const key = '11111111111111111111111111111111';
    const chain = { kind: 'solana', genesis: key, rpcUrls: ['http://127.0.0.1:1'], programs: { proofAnchor: key } };
    const create = ['network', 'create', 'lab', '--no-join', '--output', network, '--home', home];
    expect(await start(create).ended).toMatchObject({ exitCode: 0 });
    const definition = JSON.parse(await readFile(network, 'utf8')) as object;
    await writeFile(network, JSON.stringify({ ...definition, chain }));
    // Its child holds the pipe when it is killed.
    await writeFile(signer, `#!/bin/sh\ntouch ${folder.path}/asked\nsleep 30\n`, { mode: 0o700 });
    const flags = ['--home', home];
    const init = await start(['init', '--plain', '--no-backup', '--network', network, ...flags]).ended;
    expect(init).toMatchObject({ exitCode: 0 });
    const { child, ended } = start([
      'node',
      'start',
      '--log',
      'file',
      '--set',
      `chain.signerCommand=${signer}`,
      ...flags,
    ]);
    await vi.waitFor(() => access(join(folder.path, 'asked')), { timeout: 20_000, interval: 50 });
    const askedAtMs = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('NODE_START_ABORTED') });
    expect(performance.now() - askedAtMs).toBeLessThan(8_000);
  });

  it('starts a daemon in the background, finds it, and stops it', async () => {
    await using folder = await createTemporaryFolder();
    const home = ['--home', join(folder.path, 'home')];
    expect(await start(['init', '--plain', '--no-backup', ...home]).ended).toMatchObject({ exitCode: 0 });
    const flags = [
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--no-mdns',
      '--slots',
      '1',
      '--rpc-url',
      'http://127.0.0.1:1',
      '--json',
    ];
    const started = await start(['node', 'start', '--detach', ...flags, ...home]).ended;
    expect(started).toMatchObject({ exitCode: 0, stderr: '' });
    const { pid, provider, remarks } = JSON.parse(started.stdout) as NodeStatus;
    expect(remarks).toContainEqual(expect.stringContaining('has no chain'));
    try {
      expect(provider.slots.total).toBe(1);
      const again = await start(['node', 'start', '--detach', ...flags, ...home]).ended;
      expect(again).toMatchObject({ exitCode: 5, stdout: '' });
      const status = await start(['node', 'status', '--json', ...home]).ended;
      expect(JSON.parse(status.stdout)).toMatchObject({ pid });
      expect((await start(['node', 'logs', ...home]).ended).stdout).toContain('ready');
      const stopped = await start(['node', 'stop', ...home]).ended;
      expect(stopped).toMatchObject({ exitCode: 0, stdout: `stopped (process ${pid})\n` });
      expect(await start(['node', 'status', ...home]).ended).toMatchObject({ exitCode: 4 });
    } finally {
      killIfThere(pid);
    }
  });

  it('tells why a daemon in the background did not start', async () => {
    await using folder = await createTemporaryFolder();
    const home = join(folder.path, 'home');
    const { exitCode, stdout, stderr } = await start(['node', 'start', '--detach', '--home', home]).ended;
    expect({ exitCode, stdout }).toEqual({ exitCode: 5, stdout: '' });
    expect(stderr).toMatch(/^error CLI_START_FAILED: the daemon did not start: IDENTITY_MISSING/);
    expect(stderr).toContain('fogproof init');
  });

  it.each([
    ['--detach', 2],
    ['--no-mdns', 2],
  ])('gives a wrong setting the same exit code in the foreground and in the background: %s', async (flag, code) => {
    await using folder = await createTemporaryFolder();
    const words = ['node', 'start', flag, '--set', 'provide.slots=many', '--home', folder.path];
    const { exitCode, stderr } = await start(words).ended;
    expect(stderr).toContain('CONFIG_INVALID');
    expect(exitCode).toBe(code);
  });
});
