import type { Multiaddr } from '@multiformats/multiaddr';
import { isPublicIp } from '../../lib/public-ip.ts';

/** Names that the host itself or its own network answers (RFC 6761, 6762, 8375, 9476, and what home routers use). */
const LOCAL_NAME = /(^|\.)(localhost|local|internal|lan|home|corp|intranet|home\.arpa|test|invalid)\.?$/i;

/**
 * Whether an address leads, at any of its parts, into somebody's own network: private, loopback, link-local, shared by a
 * carrier (RFC 6598), or a name that only a local resolver knows. An address without host (`/p2p/X/p2p-circuit`) does not.
 */
export function isPrivateAddress(address: Multiaddr): boolean {
  return address.getComponents().some(({ name, value = '' }) => {
    if (name === 'ip4' || name === 'ip6') return !isPublicIp(value);
    if (name === 'ip6zone' || name === 'unix') return true;
    if (name !== 'dns' && name !== 'dns4' && name !== 'dns6' && name !== 'dnsaddr') return false;
    return !value.includes('.') || LOCAL_NAME.test(value);
  });
}

/** Whether an address leads through a relay. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit');
}

/** The host that an address begins with, such as `192.0.2.1`; null if it begins with none. */
export function hostOf(address: Multiaddr): string | null {
  const [first] = address.getComponents();
  const isHost = first !== undefined && /^(ip[46]|dns[46]?|dnsaddr)$/.test(first.name);
  return isHost ? (first.value ?? null) : null;
}
