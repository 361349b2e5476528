import type { Scenario } from '../interface.ts';
import { floodScenario } from './flood.ts';

/** All of them, in the order in which they run and are reported. */
export const SCENARIOS: readonly Scenario[] = [floodScenario];
