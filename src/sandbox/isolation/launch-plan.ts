import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import type { IsolationLevel } from '../../domain/capability.ts';
import { PAGE_BYTES } from '../../wasm/constants.ts';
import {
  CHILD_HEAP_MIB,
  CHILD_MAX_FILES,
  CHILD_STACK_KIB,
  ENGINE_STACK_KIB,
  INFO_FD,
  SECCOMP_FD,
} from '../constants.ts';
import type { ChildProgram } from './child-program.ts';
import { closeAbove } from './inherited-files.ts';

/** Programs of the host that a launch may use; null where there is none. */
export interface HostTools {
  readonly shell: string;
  readonly node: string;
  readonly unshare: string | null;
  readonly setpriv: string | null;
  readonly bubblewrap: string | null;
}

/** How a child is started; the same for every child of a level. */
export interface LaunchPlan {
  readonly isolation: IsolationLevel;
  readonly file: string;
  /** `procsFiles` of the child's cgroup. */
  createArguments(procsFiles: readonly string[]): readonly string[];
  /** Given to the launcher on SECCOMP_FD. */
  readonly filter: Uint8Array | null;
  /** The launcher tells the child's process id on INFO_FD; otherwise it is the process started. */
  readonly tellsPid: boolean;
  /** Controls that the command itself puts in force. */
  readonly controls: readonly string[];
}

export interface PlanOptions {
  readonly tools: HostTools;
  readonly program: ChildProgram;
  readonly maxMemoryBytes: number;
  readonly engineFlags: readonly string[];
  /** The program loads native code, which the permission model does not hold. */
  readonly native?: { readonly libraries: readonly string[] };
}

/** Joins the groups, closes what is not the child's, takes the limits, and becomes the rest of the command. */
const ENTER_SCRIPT = [
  closeAbove(INFO_FD),
  'while [ "$1" != "--" ]; do echo $$ > "$1" || exit 125; shift; done; shift',
  `unset PWD OLDPWD; ulimit -s ${CHILD_STACK_KIB} && ulimit -c 0 && ulimit -f 0 && ulimit -n ${CHILD_MAX_FILES} || exit 125`,
  // bash hands on a few variables of its own.
  'exec /usr/bin/env -i "$@"',
].join('\n');

function nodeArguments(options: PlanOptions): string[] {
  return [
    '--permission',
    ...options.program.readable.map((path) => `--allow-fs-read=${path}`),
    '--no-warnings',
    options.native === undefined ? '--no-addons' : '--allow-addons',
    '--disable-proto=delete',
    '--disallow-code-generation-from-strings',
    '--expose-gc',
    '--v8-pool-size=2',
    `--stack-size=${ENGINE_STACK_KIB}`,
    `--max-old-space-size=${CHILD_HEAP_MIB}`,
    `--wasm-max-mem-pages=${Math.min(65_536, Math.ceil(options.maxMemoryBytes / PAGE_BYTES))}`,
    ...options.engineFlags,
    options.program.entry,
  ];
}

/** Rights that a child drops where the host has setpriv; it ends with its parent. */
const SETPRIV = ['--pdeathsig', 'KILL', '--no-new-privs', '--inh-caps=-all', '--bounding-set=-all', '--'];

/**
 * Level `process`: Node's permission model, an empty environment and resource limits; a network namespace without
 * interfaces where the kernel lets us make one.
 */
export function createProcessPlan(options: PlanOptions, network: 'none' | 'host'): LaunchPlan {
  const { tools } = options;
  const isolated = network === 'none' && tools.unshare !== null;
  const command = [
    ...(isolated && tools.unshare !== null ? [tools.unshare, '-rn', '--'] : []),
    ...(tools.setpriv === null ? [] : [tools.setpriv, ...SETPRIV]),
    tools.node,
    ...nodeArguments(options),
  ];
  return {
    isolation: 'process',
    file: tools.shell,
    createArguments: (procsFiles) => ['-c', ENTER_SCRIPT, 'sh', ...procsFiles, '--', ...command],
    filter: null,
    tellsPid: false,
    controls: [
      'permission-model',
      'rlimit',
      ...(tools.setpriv === null ? [] : ['no-new-privileges']),
      ...(isolated ? ['network-namespace'] : []),
    ],
  };
}

/** Folders that the dynamic loader searches by itself. */
const LOADER_FOLDERS = /^\/(usr\/)?lib(64)?(\/(x86_64|aarch64)-linux-gnu)?$/;

/** Shared libraries of this process, which runs the same Node: paths as the loader knows them. */
export function listLibraries(): string[] {
  // Without it the report looks up the names of all peers; Node's types do not know the switch yet.
  Reflect.set(process.report, 'excludeNetwork', true);
  const report = process.report.getReport() as { readonly sharedObjects?: readonly string[] };
  return (report.sharedObjects ?? []).filter((path) => /^\/.*\.so(\.[0-9.]+)?$/.test(path));
}

/** Level `bubblewrap`: everything of `process`, in namespaces of its own, over an almost empty root, behind seccomp. */
export function createBubblewrapPlan(options: PlanOptions, bubblewrap: string, filter: Uint8Array): LaunchPlan {
  const libraries = [...new Set([...listLibraries(), ...(options.native?.libraries ?? [])])];
  const folders = new Set(libraries.map((path) => dirname(path)));
  const unusual = [...folders].filter((folder) => !LOADER_FOLDERS.test(folder));
  const bind = (path: string): string[] => ['--ro-bind', realpathSync(path), path];
  const command = [
    bubblewrap,
    '--unshare-all',
    '--unshare-user',
    '--die-with-parent',
    '--new-session',
    '--as-pid-1',
    '--cap-drop',
    'ALL',
    '--clearenv',
    '--hostname',
    'sandbox',
    ...(unusual.length > 0 ? ['--setenv', 'LD_LIBRARY_PATH', unusual.join(':')] : []),
    ...[options.tools.node, ...libraries, ...options.program.readable].flatMap(bind),
    // No /proc and no /dev: Node needs neither, and in a child of root /proc/sys would be writable without any capability.
    '--remount-ro',
    '/',
    '--chdir',
    '/',
    '--seccomp',
    String(SECCOMP_FD),
    '--info-fd',
    String(INFO_FD),
    '--',
    options.tools.node,
    ...nodeArguments(options),
  ];
  return {
    isolation: 'bubblewrap',
    file: options.tools.shell,
    createArguments: (procsFiles) => ['-c', ENTER_SCRIPT, 'sh', ...procsFiles, '--', ...command],
    filter,
    tellsPid: true,
    controls: [
      ...(options.native === undefined ? ['permission-model'] : []),
      'rlimit',
      'no-new-privileges',
      'network-namespace',
      'user-namespace',
      'mount-namespace',
      'pid-namespace',
      'capabilities-dropped',
      'seccomp',
    ],
  };
}
