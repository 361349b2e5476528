import { type LookupAddress, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { isPublicIp } from '../../lib/public-ip.ts';
import { NetworkError } from '../errors.ts';
import { type NetworkOptions, PRESETS } from '../options.ts';
import { hostOf, isPrivateAddress } from '../reachability/address-scope.ts';

const LOOPBACK = /^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/;
/** Addresses remembered as named by people; far more than anybody types. */
const MAX_NAMED_ADDRESSES = 1_024;

type DialPolicyOptions = Pick<NetworkOptions, 'preset' | 'listen'> & Partial<Pick<NetworkOptions, 'announce'>>;

/** Whether a node listens on this machine's loopback addresses and nowhere else. */
export function isLoopbackOnly(listen: readonly string[]): boolean {
  return listen.length > 0 && listen.every((address) => LOOPBACK.test(address));
}

/**
 * Which addresses are dialled, kept and told. What strangers tell in records, by identify or through the DHT must not lead a
 * node of a production network to services inside its own, nor may it tell others of its inside; what its operator names,
 * or is heard on the local link, may be anywhere.
 */
export class DialPolicy {
  readonly #skipsPrivate: boolean;
  readonly #announced: ReadonlySet<string>;
  readonly #named = new LRUCache<string, true>({ max: MAX_NAMED_ADDRESSES });
  readonly #namedHosts = new LRUCache<string, true>({ max: MAX_NAMED_ADDRESSES });

  constructor(options: DialPolicyOptions) {
    // Nobody outside the machine reaches a node that listens on loopback only: its peers are there too.
    this.#skipsPrivate = PRESETS[options.preset].privateAddresses === 'skip' && !isLoopbackOnly(options.listen);
    this.#announced = new Set((options.announce ?? []).map(withoutPeer));
  }

  name(address: Multiaddr): void {
    this.#named.set(describeEndpoint(address), true);
    const host = hostOf(address);
    if (host !== null) this.#namedHosts.set(host, true);
  }

  isDenied(address: Multiaddr): boolean {
    return this.#skipsPrivate && isPrivateAddress(address) && !this.#named.has(describeEndpoint(address));
  }

  /** The same of text, of which not all may be an address. */
  readonly isUsable = (address: string): boolean => {
    try {
      return !this.isDenied(multiaddr(address));
    } catch {
      return false;
    }
  };

  /** Whether one of the own addresses may be told to others. */
  isTold(address: Multiaddr): boolean {
    return !this.#skipsPrivate || !isPrivateAddress(address) || this.#announced.has(describeEndpoint(address));
  }

  /**
   * Resolves a name and leaves out what may not be dialled: a name that a stranger told, with a public look and the
   * address of something inside, would get around the check of the address.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      const allowed = this.#isNamed(hostname) ? found : found.filter(({ address }) => isPublicIp(address));
      const [first] = allowed;
      if (first === undefined) callback(this.#refuse(hostname, found), '');
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };

  #isNamed(hostname: string): boolean {
    return !this.#skipsPrivate || this.#namedHosts.has(hostname);
  }

  #refuse(hostname: string, found: readonly LookupAddress[]): NetworkError {
    const reason = `the name stands for ${found.map(({ address }) => address).join(', ') || 'nothing'}, which is not public`;
    return new NetworkError({ code: 'NETWORK_UNREACHABLE', target: hostname, reason });
  }
}

/** Host and port, whoever is said to be there. */
function describeEndpoint(address: Multiaddr): string {
  return withoutPeer(address.toString());
}

function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
