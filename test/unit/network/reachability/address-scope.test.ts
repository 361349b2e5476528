import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPublicIp } from '../../../../src/lib/public-ip.ts';
import { hostOf, isPrivateAddress, isRelayed } from '../../../../src/network/reachability/address-scope.ts';

const PEER = '12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh';
const INSIDE = [
  '10.1.2.3',
  '100.64.0.1',
  '100.127.255.254',
  '127.0.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'fe80::1',
  'fc00::1',
  'fd12:3456::1',
  'ff02::1',
  '::ffff:127.0.0.1',
  '::ffff:10.1.2.3',
  '64:ff9b::a01:203',
  '2002:a01:203::1',
  '2001::1',
  '2001:db8::1',
];
const OUTSIDE = ['8.8.8.8', '100.63.255.255', '100.128.0.1', '172.32.0.1', '2a00:1450::1', '::ffff:8.8.8.8'];

describe('an IP address', () => {
  it.each(INSIDE)('%s is nobody on the Internet', (ip) => expect(isPublicIp(ip)).toBe(false));
  it.each(OUTSIDE)('%s is public', (ip) => expect(isPublicIp(ip)).toBe(true));

  it('is public by no spelling of a private one', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(octet, octet, octet, (a, b, c) => {
        const hex = (first: number, second: number): string => (first * 256 + second).toString(16);
        expect(isPublicIp(`::ffff:${hex(10, a)}:${hex(b, c)}`)).toBe(false);
        expect(isPublicIp(`0:0:0:0:0:ffff:10.${a}.${b}.${c}`)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });
});

describe('an address', () => {
  it.each([
    ...INSIDE.map((ip) => `/ip${ip.includes(':') ? 6 : 4}/${ip}/tcp/1`),
    '/ip6zone/eth0/ip6/fe80::1/tcp/1',
    '/dns4/localhost/tcp/1',
    '/dns4/printer/tcp/1',
    '/dns/printer.local/tcp/1',
    '/dns6/db.corp.internal/tcp/1',
    `/ip4/8.8.8.8/tcp/1/p2p/${PEER}/p2p-circuit/ip4/127.0.0.1/tcp/22`,
    `/ip4/192.168.1.1/tcp/1/p2p/${PEER}/p2p-circuit`,
  ])('%s leads inside', (address) => expect(isPrivateAddress(multiaddr(address))).toBe(true));

  it.each([
    ...OUTSIDE.map((ip) => `/ip${ip.includes(':') ? 6 : 4}/${ip}/tcp/1`),
    '/dns4/relay.example.org/tcp/1',
    `/ip4/8.8.8.8/tcp/1/p2p/${PEER}/p2p-circuit`,
    `/p2p/${PEER}/p2p-circuit`,
  ])('%s does not', (address) => expect(isPrivateAddress(multiaddr(address))).toBe(false));

  it('through a relay is told from others, and the host that it begins with', () => {
    const relayed = multiaddr(`/ip4/8.8.8.8/tcp/1/p2p/${PEER}/p2p-circuit`);
    expect(isRelayed(relayed)).toBe(true);
    expect(isRelayed(multiaddr('/ip4/8.8.8.8/tcp/1'))).toBe(false);
    expect(hostOf(relayed)).toBe('8.8.8.8');
    expect(hostOf(multiaddr(`/p2p/${PEER}`))).toBeNull();
  });
});
