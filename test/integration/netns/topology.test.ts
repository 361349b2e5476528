import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { describeIf, itIf } from '../../support/needs.ts';
import { type NamespaceHost, NETWORK_NAMESPACES, PACKET_FILTERS, Topology } from '../../support/netns.ts';

const PORT = 4717;

let topology: Topology | undefined;
afterEach(async () => {
  await topology?.[Symbol.asyncDispose]();
});

/** Two hosts of two networks, and whether a connection from the one to the other opens. */
async function openPair() {
  const opened = Topology.open([
    { network: '45.0.1', hosts: 1 },
    { network: '46.0.1', hosts: 1 },
  ]);
  topology = opened;
  const [left, right] = ['45.0.1', '46.0.1'].map((network) => opened.hosts(network)[0]) as [
    NamespaceHost,
    NamespaceHost,
  ];
  const program = `require('node:net').createServer().listen(${PORT}, () => console.log('ready'))`;
  const server = opened.spawn(right, [process.execPath, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (server.stdout === null) throw new TypeError('the server has no output');
  await once(server.stdout, 'data');
  return { opened, right, canConnect: () => opened.canConnect(left, right.address, PORT) };
}

describeIf(NETWORK_NAMESPACES, 'a topology', () => {
  it('carries packets, but not across a partition or to a host whose cable is pulled', async () => {
    const { opened, right, canConnect } = await openPair();
    await until(canConnect);
    opened.partition(['45.0.1'], ['46.0.1']);
    expect(canConnect()).toBe(false);
    opened.heal();
    await until(canConnect);
    opened.setLink(right, 'down');
    expect(canConnect()).toBe(false);
    opened.setLink(right, 'up');
    await until(canConnect);
  });

  itIf(PACKET_FILTERS, 'loses packets, and keeps connections out', async () => {
    const { opened, right, canConnect } = await openPair();
    opened.loseInbound(right, 1);
    expect(canConnect()).toBe(false);
    opened.loseInbound(right, 0);
    await until(canConnect);
    opened.refuseInbound(right);
    expect(canConnect()).toBe(false);
  });

  it('removes what a killed process left, and what runs there', async () => {
    const { pid: gone } = spawnSync('true');
    const namespace = `fogproof-${gone}-0-left`;
    execFileSync('ip', ['netns', 'add', namespace]);
    const orphan = spawn('ip', ['netns', 'exec', namespace, 'sleep', '60'], { stdio: 'ignore' });
    const ended = once(orphan, 'exit');
    await until(() => spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).stdout.trim() !== '');
    topology = Topology.open([{ network: '45.0.1', hosts: 1 }]);
    await ended;
    expect(existsSync(`/run/netns/${namespace}`)).toBe(false);
    const [own] = topology.hosts('45.0.1');
    expect(existsSync(`/run/netns/${own?.namespace}`)).toBe(true);
    await topology[Symbol.asyncDispose]();
    expect(existsSync(`/run/netns/${own?.namespace}`)).toBe(false);
  });
});

/** Nothing tells when a process has entered a namespace, or when a lost address is asked for again. */
async function until(isSo: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + 10_000; !isSo(); ) {
    if (performance.now() > deadlineMs) throw new Error('waited 10 s in vain');
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 20);
    await promise;
  }
}
