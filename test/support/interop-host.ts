import type { Identity } from '../../src/identity/interface.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { DhtRecordRules } from '../../src/network/discovery/dht-record-rules.ts';
import { createHost, type Host } from '../../src/network/host/create-host.ts';
import { DialPolicy } from '../../src/network/host/dial-policy.ts';
import type { NetworkOptions } from '../../src/network/options.ts';
import { protocolId } from '../../src/network/reqresp/protocols.ts';
import { createTestIdentity } from './network.ts';

const OPTIONS: NetworkOptions = {
  networkId: 'test',
  preset: 'local',
  listen: ['/ip4/127.0.0.1/tcp/0'],
  announce: [],
  bootstrap: [],
  mdns: false,
  preSharedKey: null,
  recordTtlMs: 600_000,
  software: 'fogproof/test',
};

/** The production host by itself, for what the network around it does not show; disposed with the rest of `owned`. */
export async function startInteropHost(
  owned: AsyncDisposable[],
): Promise<{ readonly host: Host; readonly identity: Identity }> {
  const identity = await createTestIdentity();
  const host = await createHost(
    {
      privateKey: identity.privateKey,
      dhtRules: new DhtRecordRules(new SystemClock(), OPTIONS.networkId),
      onIdentitySeen: () => undefined,
      onMdnsPeer: () => undefined,
      penaltyOf: () => 0,
      isChosen: () => false,
      isBanned: () => false,
      dialPolicy: new DialPolicy(OPTIONS),
      // Nothing here is gossip: that is tried with the whole network.
      routerGuard: { attach: () => undefined },
    },
    OPTIONS,
  );
  await host.start();
  owned.push({ [Symbol.asyncDispose]: async () => host.stop() });
  // Who does not speak `records` is taken for a peer of another network and disconnected.
  await host.handle(protocolId(OPTIONS.networkId, 'records'), (stream) => void stream.close());
  await host.services.dht.setMode('server');
  return { host, identity };
}
