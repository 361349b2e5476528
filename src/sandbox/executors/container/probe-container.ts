import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import { COMMAND_START_TIMEOUT_MS } from '../../constants.ts';
import type { ImageProcess } from '../../images/image-process.ts';
import { findExecutable } from '../../isolation/find-executable.ts';
import { findClosingShell, NO_CLOSING_SHELL } from '../../isolation/inherited-files.ts';
import { createOpenFilter } from '../../isolation/seccomp/open-filter.ts';
import { type CgroupFactory, detectCgroups, nameGroup } from '../../limits/cgroup.ts';
import type { CommandTools } from '../command/command-plan.ts';
import { CommandProcess, startFailed } from '../command/command-process.ts';
import { viewHost } from '../command/root-view.ts';
import { countOverhead, createContainerStart } from './container-plan.ts';
import { listRuntimes, type RuntimeChoice } from './options.ts';
import { findRuntime, type Runtime, type RuntimeName } from './runtime.ts';
import { createRuntimeSeccomp, type RuntimeSeccomp } from './runtime-config.ts';

/** How containers are started on this host, and what was seen to hold one. */
export interface ContainerOffer {
  readonly runtime: Runtime;
  readonly tools: CommandTools;
  /** Of the runtime. */
  readonly filter: Uint8Array;
  /** Of the programs in it. */
  readonly seccomp: RuntimeSeccomp | null;
  readonly cgroups: CgroupFactory | null;
  readonly controls: readonly string[];
  /** Names what runs them. */
  readonly engine: string;
}

export type ContainerProbe =
  | { readonly kind: 'works'; readonly offer: ContainerOffer }
  | { readonly kind: 'fails'; readonly reason: string };

const MEBIBYTE = 2 ** 20;
const PROBE_LIMITS = { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE };
const PROBE_MEMORY_BYTES = 256 * MEBIBYTE;
const PROBE_PROCESS: ImageProcess = {
  args: ['/bin/sh', '-c', 'echo ready; exec sleep 100'],
  env: ['PATH=/usr/bin:/bin'],
  cwd: '/',
  uid: 0,
  gid: 0,
};
const NEEDED = [
  'seccomp',
  'capabilities-dropped',
  'no-new-privileges',
  'unprivileged-user',
  'user-namespace',
  'mount-namespace',
  'pid-namespace',
  'network-namespace',
];

/** Starts a real container of this host's own system folders, looks at it from outside, and ends it; with each runtime until one works. */
export async function probeContainer(clock: Clock, choice: RuntimeChoice = 'auto'): Promise<ContainerProbe> {
  const bubblewrap = findExecutable('bwrap');
  if (bubblewrap === null) return { kind: 'fails', reason: 'bubblewrap is not installed' };
  const filter = createOpenFilter(process.arch);
  const seccomp = createRuntimeSeccomp(process.arch);
  if (filter === null || seccomp === null) {
    return { kind: 'fails', reason: `there is no system call filter for ${process.arch}` };
  }
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
  const reasons: string[] = [];
  for (const name of listRuntimes(choice)) {
    const tried = await tryRuntime(clock, name, { tools, filter, seccomp, cgroups });
    if (tried.kind === 'works') return tried;
    reasons.push(`${name}: ${tried.reason}`);
  }
  return { kind: 'fails', reason: reasons.join('; ') };
}

type Parts = Pick<ContainerOffer, 'tools' | 'filter' | 'cgroups'> & { readonly seccomp: RuntimeSeccomp };

async function tryRuntime(clock: Clock, name: RuntimeName, parts: Parts): Promise<ContainerProbe> {
  try {
    const runtime = findRuntime(name);
    if (runtime === undefined) return { kind: 'fails', reason: 'not installed' };
    const controls = await tryOnce(clock, runtime, parts);
    const around = execFileSync(parts.tools.bubblewrap, ['--version'], { encoding: 'utf8', env: {}, timeout: 5000 });
    const engine = `${name} ${runtime.version} in ${around.trim()}, linux ${release()}`.slice(0, 100);
    return { kind: 'works', offer: { ...parts, runtime, controls, engine } };
  } catch (error) {
    return { kind: 'fails', reason: describeError(error) };
  }
}

async function tryOnce(clock: Clock, runtime: Runtime, parts: Parts): Promise<readonly string[]> {
  const { tools, filter, seccomp, cgroups } = parts;
  const overhead = countOverhead(runtime);
  const cgroup =
    cgroups?.create(nameGroup(`probe-${runtime.name}`), {
      memoryBytes: PROBE_MEMORY_BYTES + overhead.memoryBytes,
      tasks: PROBE_LIMITS.processes + overhead.tasks,
      milliCpus: PROBE_LIMITS.cpus,
    }) ?? null;
  const { start, files, voice } = createContainerStart({
    process: PROBE_PROCESS,
    runtime,
    seccomp,
    root: viewHost('/rootfs'),
    limits: PROBE_LIMITS,
    outputBytes: MEBIBYTE,
    inputs: [],
    rlimits: cgroups === null ? { addressSpaceBytes: PROBE_MEMORY_BYTES, cpuSeconds: 10 } : null,
  });
  const child = new CommandProcess(tools, start, filter);
  const timer = clock.schedule(COMMAND_START_TIMEOUT_MS, () => child.kill());
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-1000);
  });
  try {
    const ready = new Promise<boolean>((resolve) => {
      child.stdout.once('data', () => resolve(true));
      child.stdout.once('close', () => resolve(false));
    });
    const pid = await child.findPid();
    await cgroup?.add(pid);
    await child.setUp(files);
    for (const folder of await child.openFolders()) await folder.close();
    child.release();
    if (!(await ready)) throw startFailed('its program did not start');
    return observeControls(findInnermost(pid), cgroups);
  } catch (error) {
    const own = stderr.trim().split('\n').at(-1)?.replace(voice.mark, '').trim() ?? '';
    throw own === '' ? error : startFailed(own, error);
  } finally {
    timer[Symbol.dispose]();
    child.kill();
    await child.waitEnd();
    cgroup?.kill();
    cgroup?.remove();
  }
}

/** The program: the last of the children, each of which has one. */
function findInnermost(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readText(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]);
    parents.set(parent, Number(name));
  }
  let found = pid;
  for (let child = parents.get(found); child !== undefined; child = parents.get(found)) found = child;
  return found;
}

/** What can be seen to be in force, and what a container that has started cannot be without. */
function observeControls(pid: number, cgroups: CgroupFactory | null): readonly string[] {
  const status = readText(`/proc/${pid}/status`);
  const isApart = (name: string): boolean => {
    const seen = readNamespace(pid, name);
    return seen !== '' && seen !== readNamespace('self', name);
  };
  const mounts = readText(`/proc/${pid}/mounts`);
  const seen: readonly (readonly [string, boolean])[] = [
    ['oci-runtime', true],
    ['read-only-root', /^\S+ \/ \S+ ro[, ]/m.test(mounts)],
    ['no-new-privileges', /^NoNewPrivs:\s+1$/m.test(status)],
    ['capabilities-dropped', /^CapEff:\s+0+$/m.test(status) && /^CapBnd:\s+0+$/m.test(status)],
    // One of the runtime's sandbox, and the list of system calls.
    ['seccomp', /^Seccomp:\s+2$/m.test(status) && /^Seccomp_filters:\s+2$/m.test(status)],
    ['unprivileged-user', !/^Uid:\s+0\s/m.test(status)],
    ...(['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const).map(
      (name) => [`${LONG_NAMES[name]}-namespace`, isApart(name)] as const,
    ),
    [cgroups?.version ?? 'rlimit', cgroups === null || readText(`/proc/${pid}/cgroup`).includes('/fogproof-')],
    [`${cgroups?.version ?? 'none'}-cpu`, cgroups?.limitsCpu === true],
  ];
  const absent = seen.find(([name, isSeen]) => !isSeen && NEEDED.includes(name));
  if (absent !== undefined) throw startFailed(`it was started without ${absent[0]}`);
  return seen.flatMap(([name, isSeen]) => (isSeen ? [name] : []));
}

const LONG_NAMES = {
  user: 'user',
  mnt: 'mount',
  pid: 'pid',
  net: 'network',
  ipc: 'ipc',
  uts: 'uts',
  cgroup: 'cgroup',
} as const;

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
