import type { AutoNATComponents } from '@libp2p/autonat';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { createDialBack, replaceDialling } from '../../../../src/network/reachability/dial-back.ts';

describe('dialling back', () => {
  it('opens a new connection, as the one that is there shows nothing, and walks no DHT', async () => {
    const calls: unknown[] = [];
    const manager = {
      getMaxConnections: () => 7,
      openConnection: async (_target: unknown, options: object) => void calls.push(options),
    };
    const given = { connectionManager: manager, randomWalk: { walk: () => expect.unreachable() } };
    const components = replaceDialling(given as unknown as AutoNATComponents);
    await components.connectionManager.openConnection(multiaddr('/ip4/8.8.8.8/tcp/1'), { priority: 1 });
    expect(calls).toEqual([{ priority: 1, force: true }]);
    expect(components.connectionManager.getMaxConnections()).toBe(7);
    expect(await components.randomWalk.walk().next()).toMatchObject({ done: true });
  });

  it('is made of the library that is installed', async () => {
    expect(await createDialBack()).toBeTypeOf('function');
  });
});
