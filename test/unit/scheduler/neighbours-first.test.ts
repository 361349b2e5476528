import { expect, it } from 'vitest';
import type { Job } from '../../../src/domain/job.ts';
import type { PeerBook, PeerInfo } from '../../../src/network/interface.ts';
import { rankCandidates } from '../../../src/scheduler/requester/candidates.ts';
import { ProviderStandings } from '../../../src/scheduler/requester/provider-standings.ts';

type Facts = Pick<PeerInfo, 'neighbour' | 'latencyMs' | 'isConnected'>;

function rank(facts: Readonly<Record<string, Facts>>): readonly string[] {
  const providers = Object.keys(facts).map((peer) => ({
    value: {
      peer,
      role: { provides: true },
      capabilities: ['cpu'],
      executors: [{ kind: 'wasm', isolation: ['process'], slots: 1, instrumenter: 'i' }],
      pricesPerHour: [],
    },
  }));
  const peers = { providers: () => providers, get: (peer: string) => facts[peer] };
  const job = {
    nonce: new Uint8Array(16).fill(1),
    capabilityClass: 'cpu',
    resources: {},
    workload: { kind: 'wasm' },
    isolation: 'process',
    replication: { replicas: 1 },
  };
  const modules = {
    peers: peers as unknown as Pick<PeerBook, 'providers' | 'get'>,
    standings: new ProviderStandings(),
  };
  return rankCandidates(modules, job as unknown as Job);
}

it('neighbours that the own VRF chose come first among equals, before those that are nearer', () => {
  const connected = { isConnected: true };
  expect(
    rank({
      near: { ...connected, neighbour: null, latencyMs: 1 },
      // It chose this node: that is its own doing.
      inbound: { ...connected, neighbour: 'inbound', latencyMs: 2 },
      chosen: { ...connected, neighbour: 'outbound', latencyMs: 90 },
      both: { ...connected, neighbour: 'both', latencyMs: 80 },
      away: { isConnected: false, neighbour: 'outbound', latencyMs: 1 },
    }),
  ).toEqual(['both', 'chosen', 'near', 'inbound', 'away']);
});
