import { CommandProcess } from '../../src/sandbox/executors/command/command-process.ts';
import { viewHost } from '../../src/sandbox/executors/command/root-view.ts';
import { findExecutable } from '../../src/sandbox/isolation/find-executable.ts';
import { findClosingShell } from '../../src/sandbox/isolation/inherited-files.ts';
import { createCommandFilter } from '../../src/sandbox/isolation/seccomp/command-filter.ts';

const MEBIBYTE = 2 ** 20;
/** A program that is left behind holds its pipes as long as this. */
const SLEEP_SECONDS = 100;

const SLEEP = `echo ready; exec sleep ${SLEEP_SECONDS}`;

/**
 * A sandbox with the root of this host and a program of its shell, without an argument one that says that it is there and
 * sleeps; not yet set up nor released.
 */
export function startSleeper(script = SLEEP, shell = '/bin/sh'): CommandProcess {
  const filter = createCommandFilter(process.arch, { hasNetwork: true });
  const bubblewrap = findExecutable('bwrap');
  const closing = findClosingShell();
  if (filter === null || bubblewrap === null || closing === null)
    throw new Error('this test needs bubblewrap and bash');
  const limits = { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE };
  const workload = { program: shell, arguments: ['-c', script], environment: {}, limits };
  const rlimits = { addressSpaceBytes: 256 * MEBIBYTE, cpuSeconds: 10 };
  return new CommandProcess(
    { shell: closing, bubblewrap, prlimit: null },
    { root: viewHost(), workload, outputBytes: MEBIBYTE, inputPaths: [], rlimits, rounds: null },
    filter,
  );
}
