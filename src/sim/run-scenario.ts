import type { Check, Measures, RunOptions, Scenario, ScenarioReport, Threshold } from './interface.ts';

export interface ScenarioOptions extends RunOptions {
  readonly seedKind: ScenarioReport['seedKind'];
}

export async function runScenario(scenario: Scenario, options: ScenarioOptions): Promise<ScenarioReport> {
  const { seed, seedKind, nodes, vrf } = options;
  const outcome = await scenario.run({ ...options, seed: `${scenario.name}/${seed}` });
  const { name, question, parameters } = scenario;
  const checks = scenario.thresholds.map((threshold) =>
    checkThreshold(threshold, outcome.measures, { seedKind, nodes }),
  );
  return { scenario: name, question, seed, seedKind, nodes, vrf, parameters, checks, ...outcome };
}

/** A measure that is not there, or is no number, misses its threshold. */
export function checkThreshold(
  threshold: Threshold,
  measures: Measures,
  run: { readonly seedKind: ScenarioReport['seedKind']; readonly nodes: number },
): Check {
  const value = measures[threshold.measure] ?? Number.NaN;
  const appliedBound = (run.seedKind === 'fresh' ? threshold.freshBound : undefined) ?? threshold.bound;
  if (run.nodes < (threshold.leastNodes ?? 0)) return { ...threshold, value, appliedBound, verdict: 'left-out' };
  const holds = threshold.rule === 'at-least' ? value >= appliedBound : value <= appliedBound;
  return { ...threshold, value, appliedBound, verdict: holds ? 'held' : 'missed' };
}
