import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { findExecutable } from './find-executable.ts';

/** POSIX shells need to know one digit only: dash knows no more. */
const SHELLS = ['bash', 'sh', 'zsh', 'ksh'];
/** Of two digits; any above the standard ones would do. */
const TRIED_FD = 23;
const TRY_TIMEOUT_MS = 5_000;

/** Why nothing is started on a host without such a shell, for people. */
export const NO_CLOSING_SHELL =
  "no shell was found that can close the daemon's files in what it starts: install bash, or mount /proc";

/**
 * Shell text that closes every descriptor above `last`. Node closes its own in children, and LevelDB does not: without this
 * a stranger's program would hold the daemon's database open for writing.
 */
export function closeAbove(last: number): string {
  const close = `[ "$f" -le ${last} ] || eval "exec $f>&-"`;
  return `for f in /proc/self/fd/*; do f=\${f##*/}; case $f in *[!0-9]*) exit 125;; esac; ${close}; done; unset f`;
}

let found: string | null | undefined;

/** The first shell of this host that was seen to do what `closeAbove` says; null if there is none. */
export function findClosingShell(): string | null {
  found ??= SHELLS.flatMap((name) => findExecutable(name) ?? []).find(canClose) ?? null;
  return found;
}

function canClose(shell: string): boolean {
  const file = openSync('/dev/null', 'r');
  try {
    const stdio = Array.from({ length: TRIED_FD + 1 }, (_, fd) => (fd === TRIED_FD ? file : ('ignore' as const)));
    const run = (text: string): number | null =>
      spawnSync(shell, ['-c', text], { stdio, env: {}, timeout: TRY_TIMEOUT_MS }).status;
    const isThere = `[ -e /proc/self/fd/${TRIED_FD} ]`;
    return run(isThere) === 0 && run(`${closeAbove(2)}; ${isThere}`) === 1;
  } finally {
    closeSync(file);
  }
}
