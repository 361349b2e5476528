import { existsSync, readdirSync } from 'node:fs';
import { killProcess } from '../../host/process-entry.ts';
import { readMounts, readText } from '../../limits/cgroup-mounts.ts';

/** How many threads of the node are looked for; see `createNodeGuard`. */
const GUARD_THREADS = 4;
/** Values of `hidepid` with which processes of other users cannot be seen (proc(5)). */
const HIDING = new Set([
  'hidepid=1',
  'hidepid=2',
  'hidepid=4',
  'hidepid=noaccess',
  'hidepid=invisible',
  'hidepid=ptraceable',
]);

/**
 * Arguments with which bubblewrap goes on only while this node lives. It waits for the node by reading a pipe to its end, and
 * a node that is killed ends the pipe as well: bubblewrap then finds that the files of the node's threads are gone, and
 * stops. One thread would not do: the last of them ends the pipe, and has its file for some µs more; the others had ended
 * before. Empty where a root node's processes cannot be seen by the user that bubblewrap runs as.
 */
export function createNodeGuard(): readonly string[] {
  const isHidden = readMounts().some(
    ({ type, options }) => type === 'proc' && options.some((each) => HIDING.has(each)),
  );
  if (isHidden && process.getuid?.() === 0) return [];
  return findThreads().flatMap((thread) => [
    '--ro-bind',
    `/proc/${process.pid}/task/${thread}/stat`,
    `/proc/node-${thread}`,
  ]);
}

let threads: readonly string[] = [];

/** The oldest but the first, whose entry outlives the process until its parent has taken note: those of V8, which stay. */
function findThreads(): readonly string[] {
  if (threads.length === 0 || threads.some((thread) => !existsSync(`/proc/self/task/${thread}`))) {
    threads = readdirSync('/proc/self/task')
      .map(Number)
      .toSorted((a, b) => a - b)
      .slice(1, 1 + GUARD_THREADS)
      .map(String);
  }
  return threads;
}

/** In the command line of bubblewrap's processes; what runs in a sandbox has its own, and ends at most itself by lying there. */
const GUARDED = /\0--ro-bind\0\/proc\/(\d+)\/task\/(\d+)\/stat\0\/proc\/node-\2\0/;

/**
 * Ends what killed nodes left behind: bubblewrap's first process waits for ever if its parent ended with the node before it
 * had mapped its users. Nothing of a job runs in it, and nobody else would end it.
 */
export function endStuckSandboxes(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const node = GUARDED.exec(readText(`/proc/${pid}/cmdline`))?.[1];
    if (node !== undefined && !existsSync(`/proc/${node}`)) killProcess(Number(pid));
  }
}
