import type { TcpNetConnectOpts } from 'node:net';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PeerId, PeerInfo, PrivateKey } from '@libp2p/interface';
import { type KadDHT, kadDHT } from '@libp2p/kad-dht';
import { mdns } from '@libp2p/mdns';
import { type Ping, ping } from '@libp2p/ping';
import { preSharedKey } from '@libp2p/pnet';
import { type TCPSocketOptions, tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { encodeHex, encodeUtf8 } from '../../lib/bytes.ts';
import { CONNECTION_PING_MS, DIAL_TIMEOUT_MS } from '../constants.ts';
import type { DhtRecordRules } from '../discovery/dht-record-rules.ts';
import { DHT_RECORD_NAMESPACE } from '../discovery/dht-record-rules.ts';
import { NetworkError } from '../errors.ts';
import type { RouterGuard } from '../gossip/router/router-guard.ts';
import { createRouterOptions } from '../gossip/router/router-options.ts';
import type { ScoredPeers } from '../gossip/scoring.ts';
import { DEFAULT_MAX_CONNECTIONS, type NetworkOptions, PRESETS } from '../options.ts';
import { ReachParts } from '../reachability/host-parts.ts';
import { withComponents } from '../reachability/with-components.ts';
import type { DialPolicy } from './dial-policy.ts';
import { createEncrypters, type IdentityObserver } from './encryption.ts';

export interface HostServices extends Record<string, unknown> {
  readonly identify: Identify;
  readonly ping: Ping;
  readonly dht: KadDHT;
  readonly pubsub: GossipSub;
  readonly reach: ReachParts;
}
export type Host = Libp2p<HostServices>;

export interface HostModules extends ScoredPeers {
  readonly privateKey: PrivateKey;
  readonly dhtRules: DhtRecordRules;
  readonly onIdentitySeen: IdentityObserver;
  readonly onMdnsPeer: (peer: PeerInfo) => void;
  readonly isBanned: (peer: string) => boolean;
  readonly dialPolicy: DialPolicy;
  readonly routerGuard: Pick<RouterGuard, 'attach'>;
}

/** Yamux: one window of 256 KiB at first, growing to this, in bytes; what a paused reader may have to hold. */
const MAX_STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
/** Streams of one connection, of all protocols together. */
const MAX_STREAMS = 256;

/** Builds the libp2p host of one daemon; it is not started. @throws NetworkError NETWORK_BAD_PRE_SHARED_KEY */
export async function createHost(modules: HostModules, options: NetworkOptions): Promise<Host> {
  const { dialPolicy } = modules;
  const reach = await ReachParts.load(dialPolicy, options);
  const settings: Libp2pOptions<HostServices> = {
    start: false,
    privateKey: modules.privateKey,
    nodeInfo: { userAgent: options.software },
    addresses: {
      listen: [...options.listen],
      announce: [...options.announce],
      announceFilter: reach.announceFilter,
    },
    peerStore: { addressFilter: (_peer, address) => !dialPolicy.isDenied(address) },
    transports: [tcp({ dialOpts: createDialOptions(dialPolicy), listenOpts: { noDelay: true } }), ...reach.transports],
    connectionEncrypters: createEncrypters(modules.onIdentitySeen),
    streamMuxers: [
      yamux({
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: MAX_STREAMS,
        // Its pings end nothing; the connection monitor's do, as often.
        enableKeepAlive: false,
        streamOptions: {
          maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
          maxReadBufferLength: 2 * MAX_STREAM_WINDOW_BYTES,
        },
      }),
    ],
    connectionManager: {
      maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      inboundConnectionThreshold: PRESETS[options.preset].inboundConnectionsPerSecond,
      maxIncomingPendingConnections: 64,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: DIAL_TIMEOUT_MS,
      inboundUpgradeTimeout: DIAL_TIMEOUT_MS,
    },
    connectionMonitor: { pingInterval: CONNECTION_PING_MS },
    connectionGater: createGater(modules),
    services: {
      identify: identify(),
      ping: ping(),
      dht: createDht(modules, options),
      pubsub: gossipsub(createRouterOptions(modules, options)),
      ...reach.services,
    },
  };
  if (options.mdns) settings.peerDiscovery = [createMdns(modules.onMdnsPeer, reach, options.networkId)];
  if (options.preSharedKey !== null) {
    settings.connectionProtector = preSharedKey({ psk: encodePreSharedKey(options.preSharedKey) });
  }
  const host = await createLibp2p(settings);
  modules.routerGuard.attach(host.services.pubsub, (peer) => host.hangUp(peer));
  return host;
}

/** The text form that @libp2p/pnet reads. */
function encodePreSharedKey(key: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new NetworkError({ code: 'NETWORK_BAD_PRE_SHARED_KEY', sizeBytes: key.length });
  return encodeUtf8(`/key/swarm/psk/1.0.0/\n/base16/\n${encodeHex(key)}`);
}

function createGater({ isBanned, dialPolicy }: HostModules): ConnectionGater {
  const isRefused = (peer: PeerId): boolean => isBanned(peer.toString());
  return {
    denyDialPeer: isRefused,
    denyInboundEncryptedConnection: isRefused,
    denyOutboundEncryptedConnection: isRefused,
    denyDialMultiaddr: (address) => dialPolicy.isDenied(address),
  };
}

/** Handed on to `net.connect`, whose option `lookup` the type of the transport leaves out. */
function createDialOptions({ lookup }: DialPolicy): TCPSocketOptions & Pick<TcpNetConnectOpts, 'lookup'> {
  return { noDelay: true, lookup };
}

function createDht({ dhtRules, dialPolicy }: HostModules, options: NetworkOptions) {
  return kadDHT({
    protocol: `/fogproof/${options.networkId}/kad/1`,
    clientMode: options.dhtClientMode ?? false,
    allowQueryWithZeroPeers: true,
    // What is told to those who ask, and who is taken into the routing table.
    peerInfoMapper: (info) => ({
      ...info,
      multiaddrs: info.multiaddrs.filter((address) => dialPolicy.isTold(address)),
    }),
    validators: { [DHT_RECORD_NAMESPACE]: (key, value) => dhtRules.validate(key, value) },
    selectors: { [DHT_RECORD_NAMESPACE]: (_key, values) => dhtRules.select(values) },
  });
}

/** The network's own tag, so that meshes on one LAN do not dial each other. */
function createMdns(onPeer: (peer: PeerInfo) => void, reach: ReachParts, networkId: string) {
  const create = mdns({ serviceTag: `_fogproof-${networkId}._udp.local` });
  return (components: Parameters<typeof create>[0]) => {
    // On the local link the local addresses are what is of use, whatever others are told.
    const addressManager = withComponents(components.addressManager, { getAddresses: () => reach.boundMultiaddrs() });
    const discovery = create(withComponents(components, { addressManager }));
    discovery.addEventListener('peer', (event) => onPeer(event.detail));
    return discovery;
  };
}

/** The routing table is public on the class and missing from its interface. */
export function countDhtPeers(host: Host): number {
  const dht = host.services.dht as { readonly routingTable?: { readonly size: number } };
  return dht.routingTable?.size ?? 0;
}
