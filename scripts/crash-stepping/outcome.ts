import type { JobId } from '../../src/domain/ids.ts';
import type { RpcClient } from '../../src/rpc/client.ts';

/** What an undisturbed run and a disturbed one have to have in common. */
export interface Outcome {
  /** Path and blob of each output, fuel to the last unit, steps. */
  readonly result: string;
  /** State root by step, of all attempts together. */
  readonly roots: ReadonlyMap<number, string>;
  /** Logs and metrics in order. */
  readonly events: readonly string[];
  /** The same by lease. */
  readonly printed: ReadonlyMap<string, readonly string[]>;
  /** Attempts that went on from a snapshot, and those under a lease that outlived its process. */
  readonly resumedAttempts: number;
  readonly attempts: number;
  /** Steps at which two attempts gave different roots. */
  readonly contradictions: readonly number[];
}

export async function readOutcome(client: RpcClient, job: JobId): Promise<Outcome> {
  const view = await client.call('job.show', { job });
  const { checkpoints } = await client.call('job.checkpoints', { job });
  const roots = new Map<number, string>();
  const contradictions: number[] = [];
  for (const { step, stateRoot } of checkpoints) {
    const known = roots.get(step);
    if (known !== undefined && known !== stateRoot) contradictions.push(step);
    roots.set(step, stateRoot);
  }
  const events: string[] = [];
  const printed = new Map<string, string[]>();
  for await (const event of client.subscribe('job.subscribe', { job, follow: false })) {
    if (event.kind !== 'log' && event.kind !== 'metric') continue;
    const line =
      event.kind === 'log' ? `log ${event.stream} ${event.text}` : `metric ${event.step} ${event.name} ${event.value}`;
    events.push(line);
    printed.set(event.lease, [...(printed.get(event.lease) ?? []), line]);
  }
  const { result } = view;
  return {
    result: JSON.stringify(
      result === null
        ? view.failure
        : { outputs: result.outputs, fuel: result.fuel, steps: result.steps, outcome: result.outcome },
    ),
    roots,
    events,
    printed,
    resumedAttempts: view.attempts.filter(({ resumedFrom }) => resumedFrom !== undefined).length,
    attempts: view.attempts.length,
    contradictions,
  };
}

/** What is different, in words; empty if nothing is. */
export function compareOutcomes(expected: Outcome, found: Outcome): readonly string[] {
  const faults: string[] = [];
  if (found.result !== expected.result) faults.push(`result ${found.result} instead of ${expected.result}`);
  for (const step of found.contradictions) faults.push(`two state roots at step ${step}`);
  for (const [step, root] of found.roots) {
    const right = expected.roots.get(step);
    if (right === undefined) faults.push(`a checkpoint at step ${step}, where an undisturbed run has none`);
    else if (right !== root) faults.push(`state root ${root} instead of ${right} at step ${step}`);
  }
  const missing = [...expected.roots.keys()].filter((step) => !found.roots.has(step));
  if (missing.length > 0) faults.push(`no checkpoint at steps ${missing.slice(0, 10).join(', ')}`);
  const firstOther = expected.events.findIndex((event, index) => found.events[index] !== event);
  if (firstOther >= 0 || found.events.length !== expected.events.length) {
    const at = firstOther < 0 ? expected.events.length : firstOther;
    const shown = `${String(found.events[at])} instead of ${String(expected.events[at])}`;
    faults.push(`${found.events.length} events instead of ${expected.events.length}; the ${at + 1}th is ${shown}`);
  }
  return faults;
}
