import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { SystemClock } from '../lib/clock.ts';
import { type CommandProbe, probeCommand } from './executors/command/probe-command.ts';
import { type ContainerProbe, probeContainer } from './executors/container/probe-container.ts';
import { RUNTIME_NAMES } from './executors/container/runtime.ts';
import { type InferenceProbe, probeInference } from './executors/inference/probe-inference.ts';
import type { HostCheck } from './interface.ts';
import { findExecutable } from './isolation/find-executable.ts';
import { findClosingShell, NO_CLOSING_SHELL } from './isolation/inherited-files.ts';
import { type IsolationProbe, probeIsolation } from './isolation/probe-isolation.ts';
import { createChildFilter } from './isolation/seccomp/allow-list.ts';
import { detectCgroups } from './limits/cgroup.ts';
import { DEFAULT_WASM_EXECUTOR_OPTIONS } from './options.ts';

const MIN_NODE_MAJOR = 24;
const APPARMOR_SWITCH = '/proc/sys/kernel/apparmor_restrict_unprivileged_userns';
const CLONE_SWITCH = '/proc/sys/kernel/unprivileged_userns_clone';
const MAX_NAMESPACES = '/proc/sys/user/max_user_namespaces';

function readNumber(path: string): number | null {
  if (!existsSync(path)) return null;
  const value = Number(readFileSync(path, 'utf8'));
  return Number.isFinite(value) ? value : null;
}

/** First line of a program's output, or null if it fails. */
function tryRun(file: string, parameters: readonly string[]): string | null {
  try {
    const output = execFileSync(file, parameters, {
      encoding: 'utf8',
      timeout: 5000,
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return output.split('\n')[0] ?? '';
  } catch {
    return null;
  }
}

export interface DoctorOptions {
  /** Where the operator has ONNX Runtime (`provide.inference.runtimeFolder`); null: where scripts/setup-inference puts it. */
  readonly onnxRuntimeFolder?: string | null;
}

/** Tries on this host what the sandboxes need, as `fogproof doctor` prints it. Starts children and ends them. */
export async function checkSandbox(options: DoctorOptions = {}): Promise<readonly HostCheck[]> {
  const clock = new SystemClock();
  const [probe, command, container, inference] = await Promise.all([
    probeIsolation(clock, DEFAULT_WASM_EXECUTOR_OPTIONS),
    probeCommand(clock),
    probeContainer(clock),
    probeInference(clock, options.onnxRuntimeFolder ?? undefined),
  ]);
  return [
    checkNode(),
    checkShell(),
    checkUserNamespaces(),
    checkNetworkNamespace(),
    checkBubblewrap(),
    checkSeccomp(),
    checkCgroups(),
    checkLevel(probe, 'process', 'missing'),
    checkLevel(probe, 'bubblewrap', 'degraded'),
    checkCommands(command),
    checkContainers(container),
    checkInference(inference),
  ];
}

function checkNode(): HostCheck {
  const major = Number(process.versions.node.split('.')[0]);
  const isNew = major >= MIN_NODE_MAJOR;
  return {
    name: 'node',
    status: isNew ? 'ok' : 'missing',
    detail: `Node.js ${process.version}, V8 ${process.versions.v8}`,
    remedy: isNew ? null : `Use Node.js ${MIN_NODE_MAJOR} or newer; scripts/node picks the one that npm ci brought.`,
  };
}

function checkShell(): HostCheck {
  const name = 'shell';
  const shell = findClosingShell();
  if (shell !== null) {
    return { name, status: 'ok', detail: `${shell} closes the daemon's files in what it starts`, remedy: null };
  }
  return { name, status: 'missing', detail: NO_CLOSING_SHELL, remedy: 'apt install bash' };
}

function checkUserNamespaces(): HostCheck {
  const name = 'user namespaces';
  const unshare = findExecutable('unshare');
  if (unshare !== null && tryRun(unshare, ['-r', 'true']) !== null) {
    return { name, status: 'ok', detail: 'a user namespace could be made', remedy: null };
  }
  if (readNumber(APPARMOR_SWITCH) === 1) {
    return {
      name,
      status: 'degraded',
      detail: 'AppArmor keeps unprivileged programs from making user namespaces (the default of Ubuntu 24.04)',
      remedy:
        'Allow bubblewrap with a profile (apt install apparmor-profiles; enable bwrap-userns-restrict), or set ' +
        'kernel.apparmor_restrict_unprivileged_userns=0 with sysctl.',
    };
  }
  if (readNumber(CLONE_SWITCH) === 0) {
    const remedy = 'sysctl kernel.unprivileged_userns_clone=1';
    return { name, status: 'degraded', detail: 'the kernel is set to refuse them to unprivileged programs', remedy };
  }
  if (readNumber(MAX_NAMESPACES) === 0) {
    const remedy = 'sysctl user.max_user_namespaces=10000';
    return { name, status: 'degraded', detail: 'the kernel allows none (user.max_user_namespaces is 0)', remedy };
  }
  const detail = unshare === null ? 'unshare is not installed' : 'the kernel or a container refuses them';
  const remedy =
    unshare === null
      ? 'apt install util-linux'
      : 'In a container, allow the unshare and clone system calls, or run the node outside of it.';
  return { name, status: 'degraded', detail, remedy };
}

function checkNetworkNamespace(): HostCheck {
  const name = 'network namespace';
  const unshare = findExecutable('unshare');
  const works = unshare !== null && tryRun(unshare, ['-rn', 'true']) !== null;
  if (works) return { name, status: 'ok', detail: 'programs run without any network interface', remedy: null };
  return {
    name,
    status: 'degraded',
    detail: 'level process would leave the network open to an escaped program',
    remedy: 'Make user namespaces available (see above).',
  };
}

function checkBubblewrap(): HostCheck {
  const name = 'bubblewrap';
  const bubblewrap = findExecutable('bwrap');
  const version = bubblewrap === null ? null : tryRun(bubblewrap, ['--version']);
  if (version !== null) return { name, status: 'ok', detail: version, remedy: null };
  return {
    name,
    status: 'degraded',
    detail: 'not installed: only the requesters that you allow by name can be served',
    remedy: 'apt install bubblewrap (Debian, Ubuntu) or dnf install bubblewrap (Fedora); scripts/setup does it.',
  };
}

function checkSeccomp(): HostCheck {
  const name = 'seccomp';
  if (createChildFilter(process.arch) === null) {
    const detail = `there is no system call table for ${process.arch}`;
    return { name, status: 'degraded', detail, remedy: 'Use an x86-64 or arm64 machine for strangers’ jobs.' };
  }
  if (existsSync('/proc/sys/kernel/seccomp/actions_avail')) {
    return { name, status: 'ok', detail: 'the kernel filters system calls', remedy: null };
  }
  const remedy = 'Use a kernel with CONFIG_SECCOMP_FILTER.';
  return { name, status: 'degraded', detail: 'the kernel has no system call filters', remedy };
}

function checkCgroups(): HostCheck {
  const name = 'cgroups';
  const factory = detectCgroups();
  if (factory !== null) {
    return {
      name,
      status: 'ok',
      detail: `${factory.version}: memory, ${factory.limitsCpu ? 'processors ' : ''}and tasks are limited`,
      remedy: null,
    };
  }
  return {
    name,
    status: 'degraded',
    detail: 'no group may be made: memory is bounded by the engine alone',
    remedy: 'Run the node as a systemd service with Delegate=yes, or as root.',
  };
}

function checkLevel(probe: IsolationProbe, isolation: 'process' | 'bubblewrap', ifNot: HostCheck['status']): HostCheck {
  const name = `isolation ${isolation}`;
  const offer = probe.offers.find((entry) => entry.isolation === isolation);
  if (offer !== undefined) return { name, status: 'ok', detail: offer.controls.join(', '), remedy: null };
  const failure = probe.failures.find((entry) => entry.isolation === isolation);
  return {
    name,
    status: ifNot,
    detail: failure?.reason ?? 'not tried',
    remedy: 'Follow the remedies above; docs/sandbox.md says what each level needs.',
  };
}

/** Commands have no other level: without bubblewrap they are off. */
function checkCommands(probe: CommandProbe): HostCheck {
  const name = 'commands';
  if (probe.kind === 'works') {
    const { controls, engine } = probe.offer;
    return { name, status: 'ok', detail: `${engine}: ${controls.join(', ')}`, remedy: null };
  }
  const isRefused = readNumber(APPARMOR_SWITCH) === 1;
  return {
    name,
    status: 'degraded',
    detail: `off: ${probe.reason}`,
    remedy: isRefused
      ? 'AppArmor keeps bubblewrap from making user namespaces: apt install apparmor-profiles, then enable bwrap-userns-restrict.'
      : 'Install bubblewrap and make user namespaces available (see above); docs/sandbox.md says what a host needs.',
  };
}

/** As of commands; they need a runtime besides. */
function checkContainers(probe: ContainerProbe): HostCheck {
  const name = 'containers';
  if (probe.kind === 'works') {
    const { controls, engine } = probe.offer;
    return { name, status: 'ok', detail: `${engine}: ${controls.join(', ')}`, remedy: null };
  }
  const isMissing = RUNTIME_NAMES.every((runtime) => findExecutable(runtime) === null);
  return {
    name,
    status: 'degraded',
    detail: `off: ${probe.reason}`,
    remedy: isMissing
      ? 'Install crun, or else runc: apt install crun. podman brings one of them.'
      : 'Install bubblewrap and make user namespaces available (see above); docs/sandbox.md says what a host needs.',
  };
}

/** Models too; and without ONNX Runtime, which is not brought along. */
function checkInference(probe: InferenceProbe): HostCheck {
  const name = 'models';
  if (probe.kind === 'fails') return { name, status: 'degraded', detail: `off: ${probe.reason}`, remedy: probe.remedy };
  const { version, controls } = probe.offer;
  return { name, status: 'ok', detail: `ONNX Runtime ${version}: ${controls.join(', ')}`, remedy: null };
}
