/** `auto`: by what is found out about how the node is reached. */
type RelayMode = 'auto' | 'on' | 'off';

export interface ReachabilityOptions {
  /** Asks peers to dial back, to find out which addresses work from outside; and does it for others. */
  readonly autonat: boolean;
  /** Asks the router for a mapping of the listening port. */
  readonly upnp: boolean;
  readonly relay: {
    /** Reserves places at relays. `auto`: when nobody outside can connect to this node. */
    readonly client: RelayMode;
    /** Multiaddrs of relays to try before others. */
    readonly through: readonly string[];
    /** Relays connections of others. `auto`: when this node can be reached from outside. */
    readonly service: RelayMode;
    readonly maxReservations: number;
    /** Of one relayed connection, both directions together. */
    readonly maxBytes: number;
    readonly maxDurationMs: number;
  };
}

export const REACHABILITY_DEFAULTS: ReachabilityOptions = {
  autonat: true,
  upnp: false,
  relay: {
    client: 'auto',
    through: [],
    service: 'auto',
    maxReservations: 64,
    maxBytes: 8 * 1024 * 1024,
    maxDurationMs: 600_000,
  },
};
