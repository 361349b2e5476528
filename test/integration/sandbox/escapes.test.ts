import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IsolationLevel } from '../../../src/domain/capability.ts';
import { launch } from '../../../src/sandbox/isolation/launch.ts';
import type { LaunchPlan } from '../../../src/sandbox/isolation/launch-plan.ts';
import { describeIf } from '../../support/needs.ts';
import { findOffers, needLevel, planFor } from '../../support/sandbox.ts';

const HOSTILE = fileURLToPath(new URL('./programs/hostile.mjs', import.meta.url));
const offers = await findOffers();

/** What an escaped program, JavaScript in the place of our child, gets hold of. */
async function runHostile(plan: LaunchPlan, request: object): Promise<Readonly<Record<string, string>>> {
  const child = launch(plan, []);
  child.requests.end(JSON.stringify(request));
  const [answer, errors] = await Promise.all([text(child.answers), text(child.errors)]);
  if (answer === '') throw new Error(`the hostile program gave nothing: ${errors}`);
  return JSON.parse(answer);
}

/** The same launch with Node's permission model off: what the kernel holds by itself. */
function withoutPermissionModel(plan: LaunchPlan): LaunchPlan {
  const isOff = (argument: string): boolean =>
    argument === '--permission' || argument.startsWith('--allow-fs-read=') || argument.startsWith('--disallow-code');
  return { ...plan, createArguments: (files) => plan.createArguments(files).filter((argument) => !isOff(argument)) };
}

class Host {
  folder = '';
  request: Record<string, unknown> = {};
  private readonly servers: Server[] = [];

  async start(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'fogproof-escape-'));
    const secretFile = join(this.folder, 'secret');
    const socketPath = join(this.folder, 'control.sock');
    const abstractName = `fogproof-escape-${process.pid}`;
    await writeFile(secretFile, 'the secret of the host');
    const port = await this.listen({ host: '127.0.0.1', port: 0 });
    await this.listen({ path: socketPath });
    await this.listen({ path: `\0${abstractName}` });
    const targetFile = join(this.folder, 'written');
    this.request = { secretFile, socketPath, abstractName, targetFile, port, parentPid: process.pid };
  }

  private async listen(options: { host?: string; port?: number; path?: string }): Promise<number> {
    const server = createServer((socket) => socket.end());
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(options, resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async stop(): Promise<void> {
    for (const server of this.servers) server.close();
    await rm(this.folder, { recursive: true });
  }
}

const host = new Host();
beforeAll(async () => await host.start());
afterAll(async () => await host.stop());

function describeHostile(
  name: string,
  level: IsolationLevel,
  held: readonly string[],
  change = (plan: LaunchPlan) => plan,
): void {
  describeIf(needLevel(offers.has(level), level), name, () => {
    let results: Readonly<Record<string, string>> = {};
    beforeAll(async () => {
      const offer = offers.get(level);
      if (offer === undefined) return;
      results = await runHostile(change(planFor(offer, { entry: HOSTILE, readable: [HOSTILE] })), host.request);
    });

    it.each(held)('holds: %s', (attempt) => {
      expect(results[attempt]).toMatch(/^denied: /);
    });

    it('left no trace on the host', () => {
      expect(existsSync(join(host.folder, 'written'))).toBe(false);
      expect(existsSync('/tmp/fogproof-escape')).toBe(false);
      expect(existsSync('/dev/shm/fogproof-escape')).toBe(false);
    });
  });
}

const FILES = [
  'read /etc/passwd',
  'read a file of the host',
  'list /',
  'list the home folder',
  'write a file',
  'write to /tmp',
  'write to /dev/shm',
  'overwrite its own program',
  'follow a symbolic link',
  'load a native addon',
];
const CHILDREN = ['spawn a program', 'start a worker', 'use node:wasi', 'make code from text'];
const PROC = [
  'list the devices',
  'read its environment in /proc',
  'read the environment of the node',
  'open the memory of the node',
  'see other processes',
  'change the kernel',
];
const NETWORK = [
  'connect to TCP of the host',
  'connect to an abstract socket of the host',
  'listen where the host can connect',
];

const hasNetworkNamespace = offers.get('process')?.controls.includes('network-namespace') === true;
describeHostile('hostile JavaScript at level process', 'process', [
  ...FILES,
  ...CHILDREN,
  'see the environment',
  ...PROC,
]);
describeIf(
  { isMet: hasNetworkNamespace, kind: 'host', reason: 'network namespaces for level process; see fogproof doctor' },
  'sockets at level process',
  () => {
    it('does not reach TCP and abstract sockets of the host', async () => {
      const offer = offers.get('process');
      if (offer === undefined) return;
      const results = await runHostile(planFor(offer, { entry: HOSTILE, readable: [HOSTILE] }), host.request);
      for (const attempt of NETWORK) expect(results[attempt], attempt).toMatch(/^denied: /);
    });
  },
);
describeHostile('hostile JavaScript at level bubblewrap', 'bubblewrap', [
  ...FILES,
  ...CHILDREN,
  'see the environment',
  ...PROC,
  ...NETWORK,
  'connect to a Unix socket of the host',
  'signal the node',
]);
describeHostile(
  'hostile JavaScript at level bubblewrap, without Node’s permission model',
  'bubblewrap',
  [
    'read /etc/passwd',
    'read a file of the host',
    'list the home folder',
    'write a file',
    'write to /tmp',
    'write to /dev/shm',
    'overwrite its own program',
    'follow a symbolic link',
    'load a native addon',
    'spawn a program',
    'see the environment',
    'read its environment in /proc',
    'read the environment of the node',
    'open the memory of the node',
    'see other processes',
    'signal the node',
    'list the devices',
    'change the kernel',
    ...NETWORK,
    'connect to a Unix socket of the host',
  ],
  withoutPermissionModel,
);

describe('the hostile program where nothing holds it', () => {
  let results: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    const entry = join(host.folder, 'hostile.mjs');
    await copyFile(HOSTILE, entry);
    const plan = { isolation: 'process', file: process.execPath, filter: null, tellsPid: false, controls: [] } as const;
    results = await runHostile({ ...plan, createArguments: () => [entry] }, host.request);
  });
  afterAll(async () => {
    const traces = [
      join(host.folder, 'written'),
      '/tmp/fogproof-escape',
      '/dev/shm/fogproof-escape',
      '/tmp/fogproof-link',
    ];
    await Promise.all(traces.map((path) => rm(path, { force: true })));
  });

  it.each([
    'read /etc/passwd',
    'read a file of the host',
    'list /',
    'write a file',
    'write to /tmp',
    'overwrite its own program',
    'follow a symbolic link',
    'connect to TCP of the host',
    'connect to a Unix socket of the host',
    'connect to an abstract socket of the host',
    'spawn a program',
    'start a worker',
    'use node:wasi',
    'make code from text',
    'read the environment of the node',
    'see other processes',
    'signal the node',
  ])('gets through with: %s', (attempt) => {
    expect(results[attempt]).toMatch(/^ESCAPED: /);
  });
});
