import { expect, it } from 'vitest';
import { NO_CAPS } from '../../../src/network/neighbours/options.ts';
import { computeFilledShare } from '../../../src/sim/neighbours/measure-neighbours.ts';
import { NeighbourSimulation } from '../../../src/sim/neighbours/neighbour-simulation.ts';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';

it('nodes with real VRF keys find each other', async () => {
  const simulation = new NeighbourSimulation(new SeededRandom('real'), {
    nodes: 12,
    adversaries: 0,
    adversaryGroups: null,
    caps: NO_CAPS,
    maxPerGroup: Number.POSITIVE_INFINITY,
    loss: 0,
    vrf: 'real',
    reportedSize: (size) => size,
  });
  await simulation.start();
  expect(computeFilledShare(simulation, 8)).toBe(1);
});
