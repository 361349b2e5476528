import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import { COMMAND_END_ATTEMPTS, COMMAND_END_WAIT_MS, COMMAND_START_TIMEOUT_MS } from '../../constants.ts';
import { findExecutable } from '../../isolation/find-executable.ts';
import { findClosingShell, NO_CLOSING_SHELL } from '../../isolation/inherited-files.ts';
import { createCommandFilter } from '../../isolation/seccomp/command-filter.ts';
import { type Cgroup, type CgroupFactory, detectCgroups, nameGroup } from '../../limits/cgroup.ts';
import type { CommandTools } from './command-plan.ts';
import { CommandProcess, startFailed } from './command-process.ts';
import { endStuckSandboxes } from './node-guard.ts';
import { viewHost } from './root-view.ts';

/** How commands are started on this host, and what was seen to hold one. */
export interface CommandOffer {
  readonly tools: CommandTools;
  readonly filter: Uint8Array;
  /** Of those whose job lists hosts. */
  readonly networkFilter: Uint8Array;
  readonly cgroups: CgroupFactory | null;
  readonly controls: readonly string[];
  /** Names what runs them. */
  readonly engine: string;
}

export type CommandProbe =
  | { readonly kind: 'works'; readonly offer: CommandOffer }
  | { readonly kind: 'fails'; readonly reason: string };

const MEBIBYTE = 2 ** 20;
const PROBE_LIMITS = { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE };
const PROBE_MEMORY_BYTES = 256 * MEBIBYTE;

/** Starts a real command in a sandbox, looks at it from outside, and ends it. */
export async function probeCommand(clock: Clock): Promise<CommandProbe> {
  const bubblewrap = findExecutable('bwrap');
  if (bubblewrap === null) return { kind: 'fails', reason: 'bubblewrap is not installed' };
  const filter = createCommandFilter(process.arch);
  const networkFilter = createCommandFilter(process.arch, { hasNetwork: true });
  if (filter === null || networkFilter === null)
    return { kind: 'fails', reason: `there is no system call filter for ${process.arch}` };
  const shell = findClosingShell();
  if (shell === null) return { kind: 'fails', reason: NO_CLOSING_SHELL };
  const tools = { shell, bubblewrap, prlimit: findExecutable('prlimit') };
  const cgroups = detectCgroups();
  if (cgroups === null && tools.prlimit === null) {
    return {
      kind: 'fails',
      reason: 'there is neither a control group that may be made nor prlimit to limit processes',
    };
  }
  endStuckSandboxes();
  try {
    const controls = await tryOnce(clock, { tools, filter, cgroups });
    const engine = `${readVersion(bubblewrap)}, linux ${release()}`.slice(0, 100);
    return { kind: 'works', offer: { tools, filter, networkFilter, cgroups, controls, engine } };
  } catch (error) {
    return { kind: 'fails', reason: describeError(error) };
  }
}

async function tryOnce(
  clock: Clock,
  { tools, filter, cgroups }: Pick<CommandOffer, 'tools' | 'filter' | 'cgroups'>,
): Promise<readonly string[]> {
  const limits = { memoryBytes: PROBE_MEMORY_BYTES, tasks: PROBE_LIMITS.processes, milliCpus: PROBE_LIMITS.cpus };
  const cgroup = cgroups?.create(nameGroup('probe-command'), limits) ?? null;
  const workload = {
    program: '/bin/sh',
    arguments: ['-c', 'echo ready; exec sleep 100'],
    environment: {},
    limits: PROBE_LIMITS,
  };
  const rlimits = cgroups === null ? { addressSpaceBytes: PROBE_MEMORY_BYTES, cpuSeconds: 10 } : null;
  const start = { root: viewHost(), workload, outputBytes: MEBIBYTE, inputPaths: [], rlimits, rounds: null };
  const child = new CommandProcess(tools, start, filter);
  const timer = clock.schedule(COMMAND_START_TIMEOUT_MS, () => child.kill());
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(0, 1000);
  });
  try {
    const ready = new Promise<boolean>((resolve) => {
      child.stdout.once('data', () => resolve(true));
      child.stdout.once('close', () => resolve(false));
    });
    const pid = await child.findPid();
    await cgroup?.add(pid);
    await child.setUp([]);
    for (const folder of await child.openFolders()) await folder.close();
    child.release();
    if (!(await ready)) throw startFailed('its program did not start');
    await waitFiltered(pid);
    return observeControls(pid, cgroups, cgroup);
  } catch (error) {
    const own = stderr.trim().split('\n').at(-1) ?? '';
    throw own === '' ? error : startFailed(own, error);
  } finally {
    timer[Symbol.dispose]();
    child.kill();
    await child.waitEnd();
    cgroup?.kill();
    cgroup?.remove();
  }
}

/** bubblewrap's first process takes the filter only after it has started the program, which may be ready before that. */
async function waitFiltered(pid: number): Promise<void> {
  for (let attempt = 0; attempt < COMMAND_END_ATTEMPTS; attempt += 1) {
    if (/^Seccomp:\s+2$/m.test(readText(`/proc/${pid}/status`))) return;
    await delay(COMMAND_END_WAIT_MS);
  }
}

/** What can be seen to be in force, and what a program that has started cannot be without. */
function observeControls(pid: number, cgroups: CgroupFactory | null, cgroup: Cgroup | null): readonly string[] {
  const status = readText(`/proc/${pid}/status`);
  const isApart = (name: string): boolean => readNamespace(pid, name) !== readNamespace('self', name);
  const seen: readonly (readonly [string, boolean])[] = [
    ['read-only-root', true],
    ['no-new-privileges', /^NoNewPrivs:\s+1$/m.test(status)],
    ['capabilities-dropped', /^CapEff:\s+0+$/m.test(status) && /^CapBnd:\s+0+$/m.test(status)],
    ['seccomp', /^Seccomp:\s+2$/m.test(status)],
    ['unprivileged-user', !/^Uid:\s+0\s/m.test(status)],
    ['user-namespace', isApart('user')],
    ['mount-namespace', isApart('mnt')],
    ['pid-namespace', isApart('pid')],
    ['network-namespace', isApart('net')],
    ['ipc-namespace', isApart('ipc')],
    ['uts-namespace', isApart('uts')],
    ['cgroup-namespace', isApart('cgroup')],
    [cgroups?.version ?? 'rlimit', cgroup === null || readText(`/proc/${pid}/cgroup`).includes('/fogproof-')],
    [`${cgroups?.version ?? 'none'}-cpu`, cgroups?.limitsCpu === true],
  ];
  const missing = ['seccomp', 'capabilities-dropped', 'no-new-privileges', 'unprivileged-user', 'user-namespace'];
  const absent = seen.find(([name, isSeen]) => !isSeen && missing.includes(name));
  if (absent !== undefined) throw startFailed(`it was started without ${absent[0]}`);
  return seen.flatMap(([name, isSeen]) => (isSeen ? [name] : []));
}

function readVersion(bubblewrap: string): string {
  return execFileSync(bubblewrap, ['--version'], { encoding: 'utf8', env: {}, timeout: 5000 }).trim().slice(0, 40);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readNamespace(pid: number | 'self', name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${name}`);
  } catch {
    return '';
  }
}
