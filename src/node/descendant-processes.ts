import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../lib/clock.ts';
import { pause } from '../lib/pause.ts';

/** One process as /proc has it; number and start together are its identity, since numbers are given again. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks since the boot (proc_pid_stat(5), field 22). */
  readonly startTicks: string;
  /** It has ended, and its parent has not taken note yet. */
  readonly isZombie: boolean;
}

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

/** Undefined for text that is no `/proc/PID/stat`: a name may hold blanks and brackets, so it ends at the last one. */
export function parseStat(text: string): ProcessEntry | undefined {
  const [, pid, rest] = /^(\d+) \(.*\) (.*)$/s.exec(text.trimEnd()) ?? [];
  const fields = rest?.split(' ') ?? [];
  const [state, parent] = fields;
  // Field 3 of the line is the first of these.
  const startTicks = fields[22 - 3];
  if (pid === undefined || parent === undefined || startTicks === undefined) return undefined;
  return { pid: Number(pid), parent: Number(parent), startTicks, isZombie: state === 'Z' || state === 'X' };
}

/** Every process that this one can see. Does not wait: some hundred entries take a few ms, in the pool of threads hundreds. */
export function listProcesses(): readonly ProcessEntry[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return names.map(readEntry).filter((entry) => entry !== undefined);
}

/** Undefined where it has ended meanwhile. */
function readEntry(pid: string | number): ProcessEntry | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
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
      if (kill(pid)) killed.add(`${pid} ${startTicks}`);
    }
    const below = findDescendants(listProcesses(), process.pid).filter(({ isZombie }) => !isZombie);
    targets = [...known.filter(isRunning), ...below];
    if (targets.length === 0 || signal.aborted) return { killed: killed.size, left: targets.length };
    await pause(clock, LOOK_MS, signal);
  }
}

/** The same process, which has not ended. */
export function isRunning({ pid, startTicks }: ProcessEntry): boolean {
  const now = readEntry(pid);
  return now !== undefined && now.startTicks === startTicks && !now.isZombie;
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
