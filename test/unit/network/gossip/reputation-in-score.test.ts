import { expect, it } from 'vitest';
import { PeerKey } from '../../../../src/domain/ids.ts';
import {
  GossipedObservations,
  type ObservationChannelModules,
} from '../../../../src/network/gossip/observation-channel.ts';
import { createNetworkMetrics } from '../../../../src/network/metrics.ts';
import { PeerPenalties } from '../../../../src/network/peers/peer-penalties.ts';
import type { ObservationSource } from '../../../../src/reputation/interface.ts';
import { createTestIdentity, RecordingMetrics } from '../../../support/network.ts';
import { ManualClock } from '../../../support/stream-harness.ts';

it('the reputation of a peer is asked for once a minute, and only while somebody keeps it', async () => {
  const clock = new ManualClock();
  const { peer } = await createTestIdentity();
  const modules = { clock, penalties: new PeerPenalties(clock), metrics: createNetworkMetrics(new RecordingMetrics()) };
  const observations = new GossipedObservations(
    modules as Partial<ObservationChannelModules> as ObservationChannelModules,
    {
      networkId: 'test',
    },
  );
  expect(observations.reputationOf(peer)).toBe(0);
  const asked: PeerKey[] = [];
  let lowerBound = 0.7;
  const source: Partial<ObservationSource> = {
    scoreOf: (subject) => {
      asked.push(PeerKey(subject));
      return { lowerBound, mean: 0.9, weight: 1, view: 700, tier: 'bronze' as never };
    },
  };
  using _serving = observations.serve(source as ObservationSource);
  expect([observations.reputationOf(peer), observations.reputationOf(peer)]).toEqual([0.7, 0.7]);
  expect(asked).toEqual([peer]);
  lowerBound = 0.1;
  clock.advance(60_000);
  expect(observations.reputationOf(peer)).toBe(0.1);
  expect(asked).toHaveLength(2);
});
