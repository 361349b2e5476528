import type { CommandWorkload, Resources } from '../../../domain/job.ts';
import { WASI_CHECKPOINT } from '../../../wasm/runtime/constants.ts';
import {
  COMMAND_FIRST_INPUT_FD,
  COMMAND_HOLD_FD,
  COMMAND_MAX_FILES,
  COMMAND_OUTPUT_SLACK_BYTES,
  COMMAND_REACHED_FD,
  COMMAND_SECCOMP_FD,
  COMMAND_STATUS_FD,
  COMMAND_USER,
} from '../../constants.ts';
import { EGRESS_PROXY_HOST, EGRESS_PROXY_PORT } from '../../egress/constants.ts';
import { closeAbove } from '../../isolation/inherited-files.ts';
import { CONTROL_FOLDER } from '../../rounds/constants.ts';
import type { GpuView } from './gpu-view.ts';
import { createNodeGuard } from './node-guard.ts';
import type { RootView } from './root-view.ts';

/** Programs of the host that a start uses. */
export interface CommandTools {
  readonly shell: string;
  readonly bubblewrap: string;
  /** Null: processes cannot be limited without a control group. */
  readonly prlimit: string | null;
}

/** What holds a command where no control group may be made. */
export interface CommandRlimits {
  readonly addressSpaceBytes: number;
  readonly cpuSeconds: number;
}

export interface CommandStart {
  readonly root: RootView;
  readonly workload: Pick<CommandWorkload, 'program' | 'arguments' | 'environment' | 'limits' | 'network'>;
  readonly outputBytes: Resources['outputBytes'];
  /** In ascending order. */
  readonly inputPaths: readonly string[];
  /** Null where a control group holds it. */
  readonly rlimits: CommandRlimits | null;
  /** Null of a command that makes no checkpoints: it sees nothing of this. */
  readonly rounds: CommandRounds | null;
  /** Absent: as if the host had no GPUs. */
  readonly gpus?: GpuView;
  /** What runs makes namespaces of its own, for which it has to write to /proc. */
  readonly hasWritableProc?: true;
}

/** What a command with training rounds has besides. */
export interface CommandRounds {
  /** Of the file system at /checkpoint. Inputs that lie there are the program's own to change. */
  readonly checkpointBytes: number;
  /** Of that at /fogproof. */
  readonly controlBytes: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** Folders that a command may write to, each a file system of its own in memory. */
const WRITABLE_FOLDERS: readonly string[] = ['/output', '/tmp', '/dev/shm'];
const ROUND_FOLDERS: readonly string[] = [WASI_CHECKPOINT, CONTROL_FOLDER];
/** As entries of a root, which they hide. */
export const ROUND_FOLDER_NAMES: readonly string[] = ROUND_FOLDERS.map((path) => path.slice(1));

/** Those of one command, in the order in which they are opened. */
export function listWritableFolders({ rounds }: Pick<CommandStart, 'rounds'>): readonly string[] {
  return rounds === null ? WRITABLE_FOLDERS : [...WRITABLE_FOLDERS, ...ROUND_FOLDERS];
}

/** Lower environment than any job's own: equal on every host. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: '/tmp',
  LANG: 'C.UTF-8',
  PATH: '/usr/local/bin:/usr/bin:/bin',
};

/** What programs look at for a proxy: curl the small ones, Python and Go either. */
const PROXY_URL = `http://${EGRESS_PROXY_HOST}:${EGRESS_PROXY_PORT}`;
const PROXY_ENVIRONMENT: Readonly<Record<string, string>> = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'all_proxy']
    .flatMap((name) => [name, name.toUpperCase()])
    .map((name) => [name, PROXY_URL] as const),
);

const ISOLATION = words`--unshare-all --unshare-user --die-with-parent --new-session --cap-drop ALL`;

/** Options that hold no text of anybody else, as a command line reads them. */
function words(parts: TemplateStringsArray, ...values: readonly number[]): readonly string[] {
  return String.raw(parts, ...values).split(' ');
}

/** Closes what is not the command's, takes the limits that every process of it inherits, and becomes bubblewrap. */
function enterScript(rlimits: CommandRlimits | null, inputs: number): string {
  const own =
    rlimits === null
      ? ''
      : ` && ulimit -v ${Math.ceil(rlimits.addressSpaceBytes / 1024)} && ulimit -t ${rlimits.cpuSeconds}`;
  return `${closeAbove(COMMAND_FIRST_INPUT_FD + inputs - 1)}; unset PWD OLDPWD; ulimit -c 0 && ulimit -n ${COMMAND_MAX_FILES}${own} || exit 125; exec "$@"`;
}

/** The job's own variables win; of the paths of libraries both are searched, the driver's first. */
function composeEnvironment(own: Readonly<Record<string, string>>, gpus: GpuView | undefined): Record<string, string> {
  if (gpus === undefined || gpus.libraryPath === '') return { ...ENVIRONMENT, ...own };
  const paths = [gpus.libraryPath, own['LD_LIBRARY_PATH'] ?? ''].filter((path) => path !== '');
  const path = `${ENVIRONMENT['PATH']}:/gpu/bin`;
  return { ...ENVIRONMENT, PATH: path, ...gpus.environment, ...own, LD_LIBRARY_PATH: paths.join(':') };
}

/**
 * Arguments of the shell that becomes bubblewrap. The last two files are made in /proc, where the real one then hides them:
 * reading the first tells this node that everything before it is in place, the second is what bubblewrap waits on. What the
 * guard binds is hidden in the same way.
 */
export function createStartArguments({ bubblewrap }: CommandTools, start: CommandStart): readonly string[] {
  const { root, workload, outputBytes, inputPaths, rlimits, rounds, gpus } = start;
  const proxy = workload.network === undefined ? {} : PROXY_ENVIRONMENT;
  const environment = {
    ...proxy,
    ...composeEnvironment(workload.environment, gpus),
    ...rounds?.environment,
  };
  const scratch = workload.limits.scratchBytes;
  return [
    '-c',
    enterScript(rlimits, inputPaths.length),
    'sh',
    bubblewrap,
    ...ISOLATION,
    ...words`--uid ${COMMAND_USER} --gid ${COMMAND_USER} --hostname sandbox --clearenv`,
    ...Object.entries(environment)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, value]) => ['--setenv', name, value]),
    ...root.arguments,
    ...(gpus?.mounts ?? []),
    ...words`--dev /dev --size ${scratch} --tmpfs /dev/shm`,
    ...(gpus?.devices ?? []),
    ...words`--remount-ro /dev --size ${scratch} --tmpfs /tmp`,
    ...words`--size ${outputBytes + COMMAND_OUTPUT_SLACK_BYTES} --tmpfs /output`,
    ...(rounds === null ? [] : createRoundFolders(rounds)),
    ...inputPaths.flatMap((path, index) => [
      '--perms',
      rounds !== null && isOwnFile(path) ? '0644' : '0444',
      '--file',
      String(COMMAND_FIRST_INPUT_FD + index),
      path,
    ]),
    ...words`--dir /proc --file ${COMMAND_REACHED_FD} /proc/reached --file ${COMMAND_HOLD_FD} /proc/hold`,
    ...createNodeGuard(),
    ...words`--proc /proc`,
    ...(gpus?.proc ?? []),
    ...(start.hasWritableProc === true ? [] : words`--remount-ro /proc`),
    ...words`--remount-ro / --chdir /`,
    ...words`--seccomp ${COMMAND_SECCOMP_FD} --json-status-fd ${COMMAND_STATUS_FD} --`,
    workload.program,
    ...workload.arguments,
  ];
}

function createRoundFolders({ checkpointBytes, controlBytes }: CommandRounds): readonly string[] {
  return [
    ...words`--size ${checkpointBytes} --tmpfs`,
    WASI_CHECKPOINT,
    ...words`--size ${controlBytes} --tmpfs`,
    CONTROL_FOLDER,
  ];
}

/** True of what the program may write to although it is given it. */
function isOwnFile(path: string): boolean {
  return ROUND_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
}

/** True of a path under /checkpoint. */
export function isCheckpointFile(path: string): boolean {
  return path.startsWith(`${WASI_CHECKPOINT}/`);
}
