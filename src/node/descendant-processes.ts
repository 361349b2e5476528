import { readdirSync } from 'node:fs';
import type { Clock } from '../lib/clock.ts';
import { pause } from '../lib/pause.ts';
import { isRunning, killProcess, type ProcessEntry, readProcessEntry } from '../sandbox/host/process-entry.ts';

/** Between two looks at who is left, ms. */
const LOOK_MS = 10;

/** All below a process, at any depth. */
export function findDescendants(processes: readonly ProcessEntry[], root: number): readonly ProcessEntry[] {
  const byParent = Map.groupBy(processes, ({ parent }) => parent);
  const found: ProcessEntry[] = [];
  const open = [root];
  const seen = new Set(open);
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    for (const child of byParent.get(pid) ?? []) {
      if (seen.has(child.pid)) continue;
      seen.add(child.pid);
      found.push(child);
      open.push(child.pid);
    }
  }
  return found;
}

/** Every process that this one can see. Does not wait: some hundred entries take a few ms, in the pool of threads hundreds. */
export function listProcesses(): readonly ProcessEntry[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return names.map(readProcessEntry).filter((entry) => entry !== undefined);
}

/**
 * Ends all that this process has started, and what those have: SIGKILL, and a look at /proc until none is left or the
 * signal aborts. What is handed in is ended too: children whose parent ended first belong to nobody.
 */
export async function killDescendants(
  known: readonly ProcessEntry[],
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<{ readonly killed: number; readonly left: number }> {
  const killed = new Set<string>();
  let targets: readonly ProcessEntry[] = known;
  for (;;) {
    for (const { pid, startTicks } of targets) {
      // Signals reach nobody any more where it has ended in between.
      if (killProcess(pid)) killed.add(`${pid} ${startTicks}`);
    }
    const below = findDescendants(listProcesses(), process.pid).filter(({ isZombie }) => !isZombie);
    targets = [...known.filter(isRunning), ...below];
    if (targets.length === 0 || signal.aborted) return { killed: killed.size, left: targets.length };
    await pause(clock, LOOK_MS, signal);
  }
}
