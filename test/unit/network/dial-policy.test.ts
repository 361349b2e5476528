import type { LookupAddress } from 'node:dns';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { DialPolicy } from '../../../src/network/host/dial-policy.ts';

const PEER = '12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh';
const PRIVATE = [
  '/ip4/127.0.0.1/tcp/22',
  '/ip4/10.1.2.3/tcp/80',
  '/ip4/169.254.169.254/tcp/80',
  '/ip4/192.168.0.1/tcp/80',
  '/ip6/::1/tcp/22',
  '/ip6/fd00::1/tcp/80',
  '/dns4/localhost/tcp/80',
];
const publicly = { listen: ['/ip4/0.0.0.0/tcp/4717'] };

describe('addresses that strangers tell', () => {
  it.each(PRIVATE)('%s is not dialled on a production network', (address) => {
    const policy = new DialPolicy({ preset: 'production', ...publicly });
    expect(policy.isDenied(multiaddr(address))).toBe(true);
    expect(policy.isDenied(multiaddr(`${address}/p2p/${PEER}`))).toBe(true);
  });

  it('are dialled where they are public, or the network is not for production, or all of it is on one machine', () => {
    const production = new DialPolicy({ preset: 'production', ...publicly });
    expect(production.isDenied(multiaddr('/ip4/8.8.8.8/tcp/4717'))).toBe(false);
    expect(production.isDenied(multiaddr('/dns4/example.org/tcp/4717'))).toBe(false);
    const others = [
      new DialPolicy({ preset: 'development', ...publicly }),
      new DialPolicy({ preset: 'production', listen: ['/ip4/127.0.0.1/tcp/0'] }),
    ];
    for (const policy of others) expect(policy.isDenied(multiaddr('/ip4/10.1.2.3/tcp/80'))).toBe(false);
    expect(new DialPolicy({ preset: 'production', listen: [] }).isDenied(multiaddr('/ip4/10.1.2.3/tcp/80'))).toBe(true);
  });

  it('are dialled once the operator names them, and no others', () => {
    const policy = new DialPolicy({ preset: 'production', ...publicly });
    policy.name(multiaddr(`/ip4/10.1.2.3/tcp/4717/p2p/${PEER}`));
    expect(policy.isDenied(multiaddr('/ip4/10.1.2.3/tcp/4717'))).toBe(false);
    expect(policy.isDenied(multiaddr('/ip4/10.1.2.3/tcp/22'))).toBe(true);
  });
});

describe('names that strangers tell', () => {
  const resolve = (policy: DialPolicy, name: string): Promise<readonly LookupAddress[]> =>
    new Promise((done, fail) => {
      policy.lookup(name, { all: true }, (error, found) => {
        if (error === null) done(found as LookupAddress[]);
        else fail(error);
      });
    });

  it('do not lead inside on a production network, unless the operator names them', async () => {
    const policy = new DialPolicy({ preset: 'production', ...publicly });
    await expect(resolve(policy, 'localhost')).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    policy.name(multiaddr('/dns4/localhost/tcp/4717'));
    expect((await resolve(policy, 'localhost')).length).toBeGreaterThan(0);
  });

  it('are resolved as they are on other networks', async () => {
    expect((await resolve(new DialPolicy({ preset: 'development', ...publicly }), 'localhost')).length).toBeGreaterThan(
      0,
    );
  });
});

describe('own addresses', () => {
  it('inside are not told on a production network, unless the operator announces them', () => {
    const policy = new DialPolicy({ preset: 'production', ...publicly, announce: ['/ip4/10.0.0.9/tcp/4717'] });
    const isTold = (address: string): boolean => policy.isTold(multiaddr(address));
    expect(PRIVATE.filter(isTold)).toEqual([]);
    expect(isTold(`/ip4/10.0.0.9/tcp/4717/p2p/${PEER}`)).toBe(true);
    expect(isTold('/ip4/8.8.8.8/tcp/4717')).toBe(true);
    const development = new DialPolicy({ preset: 'development', ...publicly });
    expect(PRIVATE.every((address) => development.isTold(multiaddr(address)))).toBe(true);
  });
});

describe('addresses in the book of peers', () => {
  it('are those that may be dialled', () => {
    const policy = new DialPolicy({ preset: 'production', ...publicly });
    expect(policy.isUsable('/ip4/8.8.8.8/tcp/1')).toBe(true);
    expect(policy.isUsable('/ip4/10.0.0.1/tcp/1')).toBe(false);
    expect(policy.isUsable('nonsense')).toBe(false);
  });
});
