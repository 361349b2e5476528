import { describeLastEnd } from '../job-decision.ts';
import type { JobMachineState } from '../job-machine-state.ts';
import type { MissingReplica } from '../job-records.ts';

/** Replicas that were asked for and gave no result, and why. */
export function listMissingReplicas(state: JobMachineState): MissingReplica[] {
  const missing: MissingReplica[] = [];
  for (let replica = 0; replica < state.facts.replicas; replica += 1) {
    const hasResult = state.attempts.some((attempt) => attempt.replica === replica && attempt.state === 'revealed');
    if (hasResult) continue;
    const given = state.abandoned.find((entry) => entry.replica === replica)?.reason;
    const last = describeLastEnd(state, replica);
    missing.push({ replica, reason: (given === undefined ? last : `${given} (${last})`).slice(0, 300) });
  }
  return missing;
}
