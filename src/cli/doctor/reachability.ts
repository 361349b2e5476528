import type { NetworkStatus } from '../../network/interface.ts';
import type { JsonForm } from '../../rpc/json-form.ts';
import type { HostCheck } from '../../sandbox/interface.ts';
import { plural } from '../format.ts';

const NAME = 'reachability';
const OPEN_UP =
  'To be reached directly, forward the listening port at the router and set `announce`, or set nat.upnp to true (docs/nat.md).';
/** js-libp2p's DCUtR is reported failing over TCP, so it is not offered. */
const NO_HOLES = 'hole punching is not offered: in js-libp2p it is reported to fail';

/** What an operator can expect of how the node is reached, and what can be done about it. */
export function describeReachability({
  kind,
  reason,
  relays,
  relaying,
}: JsonForm<NetworkStatus>['reachability']): HostCheck {
  if (kind === 'public') {
    const serves = relaying === null ? '' : `; relays for ${relaying.taken} of at most ${plural(relaying.of, 'node')}`;
    return { name: NAME, status: 'ok', detail: `peers outside can connect: ${reason}${serves}`, remedy: null };
  }
  if (kind === 'unknown') return { name: NAME, status: 'ok', detail: `not known: ${reason}`, remedy: null };
  if (relays.length === 0) {
    const detail = `peers outside cannot connect: ${reason}. No relay has given a place yet; ${NO_HOLES}`;
    return { name: NAME, status: 'degraded', detail, remedy: `${OPEN_UP} Or name a relay in relay.through.` };
  }
  const through = `reached through ${plural(relays.length, 'relay')}: offers, jobs and logs go there, blobs only with peers that can be reached directly`;
  return {
    name: NAME,
    status: 'degraded',
    detail: `peers outside cannot connect: ${reason}. ${through}; ${NO_HOLES}`,
    remedy: OPEN_UP,
  };
}
