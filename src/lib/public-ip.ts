import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** What no packet on the Internet may come from or go to: IANA's special-purpose registry of IPv4 (RFC 6890 and later). */
const SPECIAL_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;
/** Within global unicast: protocol assignments with Teredo, documentation, 6to4 (it may wrap any IPv4 address). */
const SPECIAL_IPV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;

const specialIpv4 = new BlockList();
for (const [network, prefix] of SPECIAL_IPV4) specialIpv4.addSubnet(network, prefix, 'ipv4');
const specialIpv6 = new BlockList();
for (const [network, prefix] of SPECIAL_IPV6) specialIpv6.addSubnet(network, prefix, 'ipv6');
/** RFC 4291, 2.4: all that is global unicast now; NAT64, unique local and link-local addresses are outside. */
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');
const mappedIpv4 = new BlockList();
mappedIpv4.addSubnet('::ffff:0:0', 96, 'ipv6');

/** Whether an IP address is one that hosts of the Internet have. What is no IP address is none of theirs. */
export function isPublicIp(ip: string): boolean {
  if (isIPv4(ip)) return !specialIpv4.check(ip, 'ipv4');
  if (!isIPv6(ip)) return false;
  // A block list takes an IPv4-mapped address for the IPv4 address in it.
  if (mappedIpv4.check(ip, 'ipv6')) return !specialIpv4.check(ip, 'ipv6');
  return globalUnicast.check(ip, 'ipv6') && !specialIpv6.check(ip, 'ipv6');
}
