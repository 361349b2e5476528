import type { DiversityGroup } from '../../../vrf/selection.ts';
import type { AutonomousSystems } from '../ports.ts';

/** Not routed on the Internet: two nodes behind two routers have the same. RFC 1918, 6598, 3927, 1122; RFC 4193, 4291. */
const PRIVATE_IPV4 =
  /^(10|127|0)\.|^192\.168\.|^169\.254\.|^172\.(1[6-9]|2\d|3[01])\.|^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./;
const MAPPED_IPV4 = /^(?:::|(?:0+:){5})ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * What the addresses of a peer (multiaddrs as text) say about who else may be behind it: /24 of IPv4 and /48 of IPv6
 * (design section 5). Names say nothing, and private addresses only within one network of them.
 */
export function collectAddressGroups(
  addresses: readonly string[],
  { usesPrivate }: { readonly usesPrivate: boolean },
): readonly DiversityGroup[] {
  const keys = new Set<string>();
  for (const address of addresses) {
    const key = findAddressGroup(address, usesPrivate);
    if (key !== null) keys.add(key);
  }
  return [...keys].map((key) => ({ kind: 'address', key }));
}

/** Autonomous systems of the same addresses, such as `AS64500`; private ones are in none. */
export function collectSystemGroups(
  addresses: readonly string[],
  systems: AutonomousSystems,
): readonly DiversityGroup[] {
  const numbers = new Set<number>();
  for (const address of addresses) {
    const host = findAddressGroup(address, false) === null ? null : readHost(address);
    const number = host === null ? null : systems.find(host.ip);
    if (number !== null) numbers.add(number);
  }
  return [...numbers].map((number) => ({ kind: 'asn', key: `AS${number}` }));
}

function findAddressGroup(address: string, usesPrivate: boolean): string | null {
  const host = readHost(address);
  if (host === null) return null;
  return host.family === 4 ? groupIpv4(host.ip, usesPrivate) : groupIpv6(host.ip, usesPrivate);
}

function readHost(address: string): { readonly family: 4 | 6; readonly ip: string } | null {
  const [, protocol, ip] = address.split('/', 3);
  if (ip === undefined) return null;
  if (protocol === 'ip4') return { family: 4, ip };
  if (protocol !== 'ip6') return null;
  const mapped = MAPPED_IPV4.exec(ip)?.[1];
  return mapped === undefined ? { family: 6, ip } : { family: 4, ip: mapped };
}

function groupIpv4(host: string, usesPrivate: boolean): string | null {
  if (!usesPrivate && PRIVATE_IPV4.test(host)) return null;
  const parts = host.split('.');
  return parts.length === 4 ? `${parts.slice(0, 3).join('.')}.0/24` : null;
}

function groupIpv6(host: string, usesPrivate: boolean): string | null {
  const [head = '', tail] = host.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const words = [...before, ...Array.from({ length: zeros }, () => '0'), ...after].map((word) =>
    Number.parseInt(word, 16),
  );
  if (words.length !== 8 || words.some((word) => !Number.isInteger(word))) return null;
  const [first = 0] = words;
  const isPrivate =
    (first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80 || words.slice(0, 7).every((word) => word === 0);
  if (isPrivate && !usesPrivate) return null;
  return `${words
    .slice(0, 3)
    .map((word) => word.toString(16))
    .join(':')}::/48`;
}
