import { readFileSync, readlinkSync } from 'node:fs';
import type { IsolationLevel } from '../../domain/capability.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import { SandboxChild } from '../executors/wasm/sandbox-child.ts';
import { type CgroupFactory, detectCgroups } from '../limits/cgroup.ts';
import type { WasmExecutorOptions } from '../options.ts';
import { type ChildProgram, createWasmChildProgram } from './child-program.ts';
import { findExecutable } from './find-executable.ts';
import { findClosingShell, NO_CLOSING_SHELL } from './inherited-files.ts';
import { createBubblewrapPlan, createProcessPlan, type HostTools, type LaunchPlan } from './launch-plan.ts';
import { createChildFilter } from './seccomp/allow-list.ts';

/** A level that works on this host: how children of it are started, and what was seen to be in force. */
export interface IsolationOffer {
  readonly isolation: IsolationLevel;
  readonly plan: LaunchPlan;
  readonly cgroups: CgroupFactory | null;
  readonly controls: readonly string[];
}

export interface IsolationProbe {
  readonly offers: readonly IsolationOffer[];
  readonly failures: readonly { readonly isolation: IsolationLevel; readonly reason: string }[];
}

/** Null where nothing can be started without handing it the daemon's files. */
export function findHostTools(): HostTools | null {
  const shell = findClosingShell();
  if (shell === null) return null;
  return {
    shell,
    node: process.execPath,
    unshare: findExecutable('unshare'),
    setpriv: findExecutable('setpriv'),
    bubblewrap: findExecutable('bwrap'),
  };
}

type ProbeOptions = Pick<WasmExecutorOptions, 'maxMemoryBytes' | 'engineFlags'>;

/** Starts a real child at each level, strongest form first, and looks at it from outside. */
export async function probeIsolation(
  clock: Clock,
  options: ProbeOptions,
  program: ChildProgram = createWasmChildProgram(),
): Promise<IsolationProbe> {
  const cgroups = detectCgroups();
  const tools = findHostTools();
  if (tools === null) {
    const levels: readonly IsolationLevel[] = ['process', 'bubblewrap'];
    return { offers: [], failures: levels.map((isolation) => ({ isolation, reason: NO_CLOSING_SHELL })) };
  }
  const planOptions = { ...options, tools, program };
  const probes = await Promise.all([
    tryPlans(clock, 'process', createProcessPlans(planOptions), { cgroups, ...options }),
    tryPlans(clock, 'bubblewrap', createBubblewrapPlans(planOptions), { cgroups, ...options }),
  ]);
  return {
    offers: probes.flatMap((probe) => (probe.kind === 'works' ? [probe.offer] : [])),
    failures: probes.flatMap((probe) => (probe.kind === 'fails' ? [probe] : [])),
  };
}

type PlanOptions = Parameters<typeof createProcessPlan>[0];

/** Weaker forms of `process` for hosts whose kernel or setpriv refuse a part: the missing control is then not listed. */
function createProcessPlans(options: PlanOptions): LaunchPlan[] {
  const bare = { ...options, tools: { ...options.tools, setpriv: null } };
  return [
    createProcessPlan(options, 'none'),
    createProcessPlan(options, 'host'),
    createProcessPlan(bare, 'none'),
    createProcessPlan(bare, 'host'),
  ];
}

function createBubblewrapPlans(options: PlanOptions): LaunchPlan[] | string {
  const { bubblewrap } = options.tools;
  if (bubblewrap === null) return 'bubblewrap is not installed';
  const filter = createChildFilter(process.arch);
  if (filter === null) return `there is no seccomp filter for ${process.arch}`;
  return [createBubblewrapPlan(options, bubblewrap, filter)];
}

type LevelProbe =
  | { readonly kind: 'works'; readonly offer: IsolationOffer }
  | { readonly kind: 'fails'; readonly isolation: IsolationLevel; readonly reason: string };

async function tryPlans(
  clock: Clock,
  isolation: IsolationLevel,
  plans: readonly LaunchPlan[] | string,
  launch: { readonly cgroups: CgroupFactory | null; readonly maxMemoryBytes: number },
): Promise<LevelProbe> {
  if (typeof plans === 'string') return { kind: 'fails', isolation, reason: plans };
  let reason = 'nothing to try';
  for (const plan of plans) {
    try {
      return { kind: 'works', offer: await tryPlan(clock, plan, launch) };
    } catch (error) {
      reason = describeError(error);
    }
  }
  return { kind: 'fails', isolation, reason };
}

async function tryPlan(
  clock: Clock,
  plan: LaunchPlan,
  launch: { readonly cgroups: CgroupFactory | null; readonly maxMemoryBytes: number },
): Promise<IsolationOffer> {
  const child = new SandboxChild(clock, { ...launch, plan });
  try {
    await child.start();
    const { cgroups } = launch;
    const controls = observeControls(child.pid, [...plan.controls, ...(cgroups === null ? [] : [cgroups.version])]);
    return { isolation: plan.isolation, plan, cgroups, controls };
  } finally {
    await child.close();
  }
}

/** Keeps the controls whose effect on the child can be seen in /proc, and those that leave no trace there. */
function observeControls(pid: number | null, promised: readonly string[]): string[] {
  if (pid === null) return [];
  const status = readText(`/proc/${pid}/status`);
  const isApart = (namespace: string): boolean => readNamespace(pid, namespace) !== readNamespace('self', namespace);
  const seen: Readonly<Record<string, () => boolean>> = {
    rlimit: () => /Max core file size\s+0\s+0/.test(readText(`/proc/${pid}/limits`)),
    'no-new-privileges': () => /^NoNewPrivs:\s+1$/m.test(status),
    'network-namespace': () => isApart('net'),
    'user-namespace': () => isApart('user'),
    'mount-namespace': () => isApart('mnt'),
    'pid-namespace': () => isApart('pid'),
    'capabilities-dropped': () => /^CapEff:\s+0+$/m.test(status) && /^CapBnd:\s+0+$/m.test(status),
    seccomp: () => /^Seccomp:\s+2$/m.test(status),
    'cgroup-v1': () => readText(`/proc/${pid}/cgroup`).includes('/fogproof-'),
    'cgroup-v2': () => readText(`/proc/${pid}/cgroup`).includes('/fogproof-'),
  };
  return promised.filter((control) => seen[control]?.() ?? true);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readNamespace(pid: number | 'self', namespace: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${namespace}`);
  } catch {
    return '';
  }
}
