import { readFileSync } from 'node:fs';

/** One process as /proc has it; number and start together are its identity, since numbers are given again. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Clock ticks since the boot (proc_pid_stat(5), field 22). */
  readonly startTicks: string;
  /** It has ended, and its parent has not taken note yet: of a first process in a namespace, that is empty by then (pid_namespaces(7)). */
  readonly isZombie: boolean;
}

/** Undefined for text that is no `/proc/PID/stat`: a name may hold blanks and brackets, so it ends at the last one. */
export function parseProcessEntry(text: string): ProcessEntry | undefined {
  const [, pid, rest] = /^(\d+) \(.*\) (.*)$/s.exec(text.trimEnd()) ?? [];
  const fields = rest?.split(' ') ?? [];
  const [state, parent] = fields;
  // Field 3 of the line is the first of these.
  const startTicks = fields[22 - 3];
  if (pid === undefined || parent === undefined || startTicks === undefined) return undefined;
  return { pid: Number(pid), parent: Number(parent), startTicks, isZombie: state === 'Z' || state === 'X' };
}

/** Undefined where it has ended meanwhile. */
export function readProcessEntry(pid: string | number): ProcessEntry | undefined {
  try {
    return parseProcessEntry(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The same process, which has not ended. */
export function isRunning({ pid, startTicks }: ProcessEntry): boolean {
  const now = readProcessEntry(pid);
  return now !== undefined && now.startTicks === startTicks && !now.isZombie;
}

/** SIGKILL; false where nobody was reached, since it has ended in between. */
export function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
