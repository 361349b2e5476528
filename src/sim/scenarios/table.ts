import type { Scenario } from '../interface.ts';
import { churnScenario } from './churn.ts';
import { eclipseScenario } from './eclipse.ts';
import { floodScenario } from './flood.ts';
import { honestScenario } from './honest.ts';
import {
  colludingObserversScenario,
  lyingCapabilitiesScenario,
  onOffScenario,
  silentScenario,
  whitewashersScenario,
} from './jobs.ts';
import { keyGrindersScenario } from './key-grinders.ts';
import { partitionHealScenario } from './partition-heal.ts';
import { sizeEstimateInflatersScenario } from './size-estimate-inflaters.ts';
import { sybilScenario } from './sybil.ts';
import { vanish30Scenario } from './vanish-30.ts';

/** All of them, in the order in which they run and are reported. */
export const SCENARIOS: readonly Scenario[] = [
  honestScenario,
  sybilScenario,
  eclipseScenario,
  keyGrindersScenario,
  sizeEstimateInflatersScenario,
  partitionHealScenario,
  vanish30Scenario,
  churnScenario,
  floodScenario,
  silentScenario,
  lyingCapabilitiesScenario,
  colludingObserversScenario,
  whitewashersScenario,
  onOffScenario,
];
