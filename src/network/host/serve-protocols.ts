import type { Connection, Stream } from '@libp2p/interface';
import { peerOfConnection } from '../discovery/dialer.ts';
import { PROTOCOL_NAMES, protocolId } from '../reqresp/protocols.ts';
import type { RequestTransport } from '../reqresp/request-transport.ts';
import type { Host } from './create-host.ts';

/** Hands streams of the request protocols to the transport. */
export async function serveProtocols(
  host: Host,
  transport: Pick<RequestTransport, 'accept'>,
  { networkId }: { readonly networkId: string },
): Promise<void> {
  for (const protocol of PROTOCOL_NAMES) {
    const accept = (stream: Stream, connection: Connection): void => {
      const peer = peerOfConnection(connection);
      if (peer === null) stream.abort(new TypeError('only Ed25519 identities take part'));
      else transport.accept(stream, peer, protocol);
    };
    await host.handle(protocolId(networkId, protocol), accept, {
      maxInboundStreams: 2,
      maxOutboundStreams: 2,
      // A relay lends its bandwidth for a few messages, not for bulk.
      runOnLimitedConnection: protocol !== 'blob',
    });
  }
}
