import { isPrivate } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { type NetworkOptions, PRESETS } from '../options.ts';

const LOOPBACK = /^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/;
/** Addresses remembered as named by people; far more than anybody types. */
const MAX_NAMED_ADDRESSES = 1_024;

/**
 * Which addresses are dialled. What strangers tell in records, by identify or through the DHT must not lead a node of a
 * production network to services inside its own; what its operator names, or is heard on the local link, may be anywhere.
 */
export class DialPolicy {
  readonly #skipsPrivate: boolean;
  readonly #named = new LRUCache<string, true>({ max: MAX_NAMED_ADDRESSES });

  constructor(options: Pick<NetworkOptions, 'preset' | 'listen'>) {
    // Nobody outside the machine reaches a node that listens on loopback only: its peers are there too.
    const isLocalOnly = options.listen.length > 0 && options.listen.every((address) => LOOPBACK.test(address));
    this.#skipsPrivate = PRESETS[options.preset].privateAddresses === 'skip' && !isLocalOnly;
  }

  name(address: Multiaddr): void {
    this.#named.set(describeEndpoint(address), true);
  }

  isDenied(address: Multiaddr): boolean {
    return this.#skipsPrivate && isPrivate(address) && !this.#named.has(describeEndpoint(address));
  }
}

/** Host and port, whoever is said to be there. */
function describeEndpoint(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, '');
}
