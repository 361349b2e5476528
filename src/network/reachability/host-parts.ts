import type { AutoNATComponents } from '@libp2p/autonat';
import type { Transport } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Libp2pOptions } from 'libp2p';
import { type DialPolicy, isLoopbackOnly } from '../host/dial-policy.ts';
import type { NetworkOptions } from '../options.ts';
import { createDialBack } from './dial-back.ts';
import { REACHABILITY_DEFAULTS, type ReachabilityOptions } from './options.ts';
import { RelayPlaces } from './relay-places.ts';
import { RelayService } from './relay-service.ts';

type AddressManager = AutoNATComponents['addressManager'];
type OwnAddress = ReturnType<AddressManager['getAddressesWithMetadata']>[number];
type TransportFactory = NonNullable<Libp2pOptions['transports']>[number];

/** What a node that is reached on this machine only has no use for stays off, unless it is asked for. */
function resolveReachability(options: NetworkOptions): ReachabilityOptions {
  const wanted = options.reachability ?? REACHABILITY_DEFAULTS;
  if (!isLoopbackOnly(options.listen)) return wanted;
  const { relay } = wanted;
  const orOff = (mode: typeof relay.client): typeof relay.client => (mode === 'auto' ? 'off' : mode);
  return {
    autonat: false,
    upnp: false,
    relay: { ...relay, client: orOff(relay.client), service: orOff(relay.service) },
  };
}

/** What a libp2p host has for being reached through NAT and relays. Its code is loaded where it is on. */
export class ReachParts {
  readonly options: ReachabilityOptions;
  readonly places: RelayPlaces | null;
  readonly relayService: RelayService | null;
  readonly #services: Record<string, (components: never) => unknown>;
  readonly #policy: Pick<DialPolicy, 'isTold'>;
  #addressManager: AddressManager | null = null;
  #peer = '';

  private constructor(parts: {
    readonly options: ReachabilityOptions;
    readonly places: RelayPlaces | null;
    readonly relayService: RelayService | null;
    readonly services: Record<string, (components: never) => unknown>;
    readonly policy: Pick<DialPolicy, 'isTold'>;
  }) {
    this.options = parts.options;
    this.places = parts.places;
    this.relayService = parts.relayService;
    this.#services = parts.services;
    this.#policy = parts.policy;
  }

  static async load(policy: Pick<DialPolicy, 'isTold'>, network: NetworkOptions): Promise<ReachParts> {
    const options = resolveReachability(network);
    const services: Record<string, (components: never) => unknown> = {};
    // Who is reached on this machine only dials nobody elsewhere, and so nobody who is behind a relay.
    const usesRelays = options.relay.client !== 'off' || !isLoopbackOnly(network.listen);
    const places = usesRelays ? await RelayPlaces.load() : null;
    const relayService = options.relay.service === 'off' ? null : new RelayService(options.relay);
    if (relayService !== null) services['relay'] = relayService.create;
    if (options.autonat) services['autonat'] = await createDialBack();
    if (options.upnp) {
      const { uPnPNAT } = await import('@libp2p/upnp-nat');
      // Where nobody dials back, the router's word is all there is.
      services['upnp'] = uPnPNAT({ autoConfirmAddress: !options.autonat, portMappingDescription: 'fogproof' });
    }
    return new ReachParts({ options, places, relayService, services, policy });
  }

  get transports(): readonly TransportFactory[] {
    const { places } = this;
    return places === null ? [] : [(components): Transport => places.create(components)];
  }

  /** For the host's services; `reach` gives this object. */
  get services() {
    return {
      ...this.#services,
      reach: ({ addressManager, peerId }: Pick<AutoNATComponents, 'addressManager' | 'peerId'>): ReachParts => {
        this.#addressManager = addressManager;
        this.#peer = peerId.toString();
        return this;
      },
    };
  }

  /** What is told to others of the own addresses. */
  readonly announceFilter = (addresses: Multiaddr[]): Multiaddr[] => {
    const own = this.places === null ? addresses : this.places.filter(addresses);
    return own.filter((address) => this.#policy.isTold(address));
  };

  /** Every own address, told or not. */
  ownAddresses(): readonly OwnAddress[] {
    return this.#addressManager?.getAddressesWithMetadata() ?? [];
  }

  /** Those that work, as they would be told if nothing were held back. */
  boundMultiaddrs(): Multiaddr[] {
    const texts = new Set<string>();
    const working = this.ownAddresses().filter(({ verified }) => verified);
    for (const { multiaddr: address } of working) texts.add(withPeer(address, this.#peer).toString());
    return [...texts].map((text) => multiaddr(text));
  }
}

function withPeer(address: Multiaddr, peer: string): Multiaddr {
  return address.getComponents().at(-1)?.value === peer ? address : address.encapsulate(multiaddr(`/p2p/${peer}`));
}
