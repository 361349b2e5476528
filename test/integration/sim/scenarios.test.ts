import { describe, expect, it } from 'vitest';
import { FloodSimulation } from '../../../src/sim/gossip/flood-simulation.ts';
import { SeededRandom } from '../../../src/sim/random/seeded-random.ts';
import { runScenario } from '../../../src/sim/run-scenario.ts';
import { churnScenario } from '../../../src/sim/scenarios/churn.ts';
import { honestScenario } from '../../../src/sim/scenarios/honest.ts';
import { lyingCapabilitiesScenario } from '../../../src/sim/scenarios/jobs.ts';
import { keyGrindersScenario } from '../../../src/sim/scenarios/key-grinders.ts';
import { reclaimSlots } from '../../../src/sim/scenarios/reclaim-attack.ts';
import { sybilScenario } from '../../../src/sim/scenarios/sybil.ts';

const quiet = { onProgress: () => {}, vrf: 'ideal', seedKind: 'fixed' } as const;

describe('small scenarios', () => {
  it('a third of 300 identities gets its share of neighbours and no more', async () => {
    const report = await runScenario(sybilScenario, { ...quiet, seed: 'fixed', nodes: 300 });
    expect(report.checks.filter(({ verdict }) => verdict === 'missed')).toEqual([]);
    expect(Math.abs((report.measures['meanCapsOff'] ?? 0) / (report.measures['expectedMean'] ?? 1) - 1)).toBeLessThan(
      0.1,
    );
  });

  it('new VRF keys are chosen by nobody, and by chance when they are of age', async () => {
    const report = await runScenario(keyGrindersScenario, { ...quiet, seed: 'fixed', nodes: 200 });
    expect(report.checks.filter(({ verdict }) => verdict === 'missed')).toEqual([]);
    expect(report.measures['meanAfter']).toBeGreaterThan(2);
  });

  it('slots lead to living nodes while nodes leave, come back and join', async () => {
    const report = await runScenario(churnScenario, { ...quiet, seed: 'fixed', nodes: 100 });
    // Of 100 nodes one that has just come back is a hundredth: what the least of all samples says needs more.
    const missed = report.checks.filter(({ verdict }) => verdict === 'missed').map(({ measure }) => measure);
    expect(missed.filter((measure) => measure !== 'filledLeast')).toEqual([]);
    expect(report.measures['left']).toBeGreaterThan(150);
    expect(report.measures['joined']).toBeGreaterThan(10);
  });

  it('whoever claims an inbound slot again holds no more than the caps', async () => {
    const caps = await reclaimSlots({ ...quiet, seed: 'fixed', nodes: 150 }, { victims: 1, epochs: 3 }, 50);
    expect(caps['reclaimedYoungMost']).toBe(8);
    expect(caps['reclaimedGroupMost']).toBe(8);
    expect(caps['reclaimedHeldMost']).toBeGreaterThan(8);
  });

  it('the same seed gives the same report', async () => {
    const run = () => runScenario(honestScenario, { ...quiet, seed: 'again', nodes: 100 });
    const first = await run();
    expect(await run()).toEqual(first);
    expect(first.measures['filledShare']).toBe(1);
  });

  it('a flood is cut off, and honest announcements arrive', async () => {
    const quietly = { nodes: 20, adversaries: 1 / 3, meshDegree: 6, seconds: 2, honestMessages: 6, loss: 0 };
    const simulation = new FloodSimulation(new SeededRandom('flood'), { ...quietly, floodPerSecond: 100 });
    const result = await simulation.run();
    expect(result.deliveredShare).toBe(1);
    expect(result.cutShare).toBe(1);
  });

  it('jobs are done although a third of the providers fails everything', async () => {
    const report = await runScenario(lyingCapabilitiesScenario, { ...quiet, seed: 'fixed', nodes: 60 });
    expect(report.checks.filter(({ verdict }) => verdict === 'missed')).toEqual([]);
  });
});
