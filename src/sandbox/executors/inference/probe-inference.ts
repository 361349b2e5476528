import { readFileSync, readlinkSync } from 'node:fs';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import { NO_CLOSING_SHELL } from '../../isolation/inherited-files.ts';
import { createBubblewrapPlan, type HostTools, type LaunchPlan } from '../../isolation/launch-plan.ts';
import { findHostTools } from '../../isolation/probe-isolation.ts';
import { createInferenceFilter } from '../../isolation/seccomp/inference-filter.ts';
import { type CgroupFactory, detectCgroups } from '../../limits/cgroup.ts';
import { findRuntime, INSTALL_RUNTIME, type OnnxRuntime } from './find-runtime.ts';
import { ModelChild } from './model-child.ts';

/** How models are run on this host, and what was seen to hold a child. */
export interface InferenceOffer {
  readonly plan: LaunchPlan;
  readonly cgroups: CgroupFactory | null;
  readonly controls: readonly string[];
  /** Of ONNX Runtime. */
  readonly version: string;
}

export type InferenceProbe =
  | { readonly kind: 'works'; readonly offer: InferenceOffer }
  | { readonly kind: 'fails'; readonly reason: string; readonly remedy: string };

const PROBE_MEMORY_BYTES = 256 * 2 ** 20;
const SANDBOX_REMEDY =
  'Install bubblewrap and make user namespaces available (fogproof doctor); docs/sandbox.md says what a host needs.';

/** Starts a real child, has it load the runtime, looks at it from outside, and ends it. `folder` has the `node_modules`. */
export async function probeInference(clock: Clock, folder?: string): Promise<InferenceProbe> {
  const search = findRuntime(folder);
  if (search.kind === 'missing') return { kind: 'fails', reason: search.reason, remedy: INSTALL_RUNTIME };
  const tools = findHostTools();
  if (tools === null) return { kind: 'fails', reason: NO_CLOSING_SHELL, remedy: SANDBOX_REMEDY };
  if (tools.bubblewrap === null) {
    return { kind: 'fails', reason: 'bubblewrap is not installed', remedy: SANDBOX_REMEDY };
  }
  const filter = createInferenceFilter(process.arch);
  if (filter === null) {
    const reason = `there is no system call filter for ${process.arch}`;
    return { kind: 'fails', reason, remedy: 'Use an x86-64 or arm64 machine.' };
  }
  const plan = createInferencePlan(search.runtime, { tools, bubblewrap: tools.bubblewrap, filter });
  try {
    return { kind: 'works', offer: await tryOnce(clock, plan) };
  } catch (error) {
    return { kind: 'fails', reason: describeError(error), remedy: SANDBOX_REMEDY };
  }
}

/** How a child is started; `program` of the runtime is what runs in it. */
export function createInferencePlan(
  { entry, program, libraries }: OnnxRuntime,
  {
    tools,
    bubblewrap,
    filter,
  }: { readonly tools: HostTools; readonly bubblewrap: string; readonly filter: Uint8Array },
): LaunchPlan {
  const options = { tools, program, maxMemoryBytes: 2 ** 30, engineFlags: [], native: { libraries } };
  const plan = createBubblewrapPlan(options, bubblewrap, filter);
  return { ...plan, createArguments: (files) => [...plan.createArguments(files), entry] };
}

async function tryOnce(clock: Clock, plan: LaunchPlan): Promise<InferenceOffer> {
  const cgroups = detectCgroups();
  const child = new ModelChild(clock, { plan, cgroups, memoryBytes: PROBE_MEMORY_BYTES, threads: 1 });
  try {
    const version = await child.start();
    return { plan, cgroups, version, controls: observeControls(child.pid, plan, cgroups) };
  } finally {
    await child.close();
  }
}

/** What can be seen to be in force; the root is read-only, or nothing would have started. */
function observeControls(
  pid: number | null,
  { controls }: LaunchPlan,
  cgroups: CgroupFactory | null,
): readonly string[] {
  if (pid === null) return [];
  const status = readText(`/proc/${pid}/status`);
  const isApart = (name: string): boolean => readNamespace(pid, name) !== readNamespace('self', name);
  const seen: Readonly<Record<string, () => boolean>> = {
    rlimit: () => /Max core file size\s+0\s+0/.test(readText(`/proc/${pid}/limits`)),
    'no-new-privileges': () => /^NoNewPrivs:\s+1$/m.test(status),
    'network-namespace': () => isApart('net'),
    'user-namespace': () => isApart('user'),
    'mount-namespace': () => isApart('mnt'),
    'pid-namespace': () => isApart('pid'),
    'capabilities-dropped': () => /^CapEff:\s+0+$/m.test(status) && /^CapBnd:\s+0+$/m.test(status),
    seccomp: () => /^Seccomp:\s+2$/m.test(status),
  };
  const isGrouped = cgroups !== null && readText(`/proc/${pid}/cgroup`).includes('/fogproof-');
  return [
    'read-only-root',
    ...controls.filter((control) => seen[control]?.() ?? false),
    ...(isGrouped ? [cgroups.version, ...(cgroups.limitsCpu ? [`${cgroups.version}-cpu`] : [])] : ['memory-watch']),
  ];
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
