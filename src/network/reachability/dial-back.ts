import type { AutoNATComponents } from '@libp2p/autonat';
import { MAX_DIAL_BACKS } from './constants.ts';
import { withComponents } from './with-components.ts';

/**
 * AutoNAT v1 (libp2p specification `autonat/autonat-v1.md`), on both sides: asks peers to dial this node back, and dials
 * others back at the IP address from which they ask.
 *
 * Of @libp2p/autonat 3.0.28 two things are replaced. It dials back with `openConnection`, which of libp2p 3.3.11 gives the
 * connection that is there already: every dial-back failed, and that connection was closed. And it walks the DHT for ten
 * seconds of every minute while an address is not confirmed: the peers that a node meets anyway are enough.
 */
export async function createDialBack(): Promise<(components: AutoNATComponents) => unknown> {
  const { autoNAT } = await import('@libp2p/autonat');
  const create = autoNAT({ maxInboundStreams: MAX_DIAL_BACKS });
  return (components) => create(replaceDialling(components));
}

export function replaceDialling(components: AutoNATComponents): AutoNATComponents {
  const { connectionManager } = components;
  const forced = new Proxy(connectionManager, {
    get: (target, key) => {
      if (key === 'openConnection') return openAnew(target);
      const value = Reflect.get(target, key) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return withComponents(components, { connectionManager: forced, randomWalk: { walk: async function* () {} } });
}

function openAnew(
  manager: AutoNATComponents['connectionManager'],
): AutoNATComponents['connectionManager']['openConnection'] {
  return (target, options) => manager.openConnection(target, { ...options, force: true });
}
