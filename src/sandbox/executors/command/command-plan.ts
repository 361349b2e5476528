import type { CommandWorkload, Resources } from '../../../domain/job.ts';
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
  readonly workload: Pick<CommandWorkload, 'program' | 'arguments' | 'environment' | 'limits'>;
  readonly outputBytes: Resources['outputBytes'];
  /** In ascending order. */
  readonly inputPaths: readonly string[];
  /** Null where a control group holds it. */
  readonly rlimits: CommandRlimits | null;
  /** What runs makes namespaces of its own, for which it has to write to /proc. */
  readonly hasWritableProc?: true;
}

/** Folders that a command may write to, each a file system of its own in memory. */
export const WRITABLE_FOLDERS = ['/output', '/tmp', '/dev/shm'] as const;

/** Lower environment than any job's own: equal on every host. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: '/tmp',
  LANG: 'C.UTF-8',
  PATH: '/usr/local/bin:/usr/bin:/bin',
};

const ISOLATION = words`--unshare-all --unshare-user --die-with-parent --new-session --cap-drop ALL`;

/** Options that hold no text of anybody else, as a command line reads them. */
function words(parts: TemplateStringsArray, ...values: readonly number[]): readonly string[] {
  return String.raw(parts, ...values).split(' ');
}

/** Takes the limits that every process of the command inherits, and becomes bubblewrap. */
function enterScript(rlimits: CommandRlimits | null): string {
  const own =
    rlimits === null
      ? ''
      : ` && ulimit -v ${Math.ceil(rlimits.addressSpaceBytes / 1024)} && ulimit -t ${rlimits.cpuSeconds}`;
  return `unset PWD OLDPWD; ulimit -c 0 && ulimit -n ${COMMAND_MAX_FILES}${own} || exit 125; exec "$@"`;
}

/**
 * Arguments of the shell that becomes bubblewrap. The last two files are made in /proc, where the real one then hides them:
 * reading the first tells this node that everything before it is in place, the second is what bubblewrap waits on.
 */
export function createStartArguments({ bubblewrap }: CommandTools, start: CommandStart): readonly string[] {
  const { root, workload, outputBytes, inputPaths, rlimits } = start;
  const environment = { ...ENVIRONMENT, ...workload.environment };
  const scratch = workload.limits.scratchBytes;
  return [
    '-c',
    enterScript(rlimits),
    'sh',
    bubblewrap,
    ...ISOLATION,
    ...words`--uid ${COMMAND_USER} --gid ${COMMAND_USER} --hostname sandbox --clearenv`,
    ...Object.entries(environment)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, value]) => ['--setenv', name, value]),
    ...root.arguments,
    ...words`--dev /dev --size ${scratch} --tmpfs /dev/shm --remount-ro /dev --size ${scratch} --tmpfs /tmp`,
    ...words`--size ${outputBytes + COMMAND_OUTPUT_SLACK_BYTES} --tmpfs /output`,
    ...inputPaths.flatMap((path, index) => ['--perms', '0444', '--file', String(COMMAND_FIRST_INPUT_FD + index), path]),
    ...words`--dir /proc --file ${COMMAND_REACHED_FD} /proc/reached --file ${COMMAND_HOLD_FD} /proc/hold`,
    ...words`--proc /proc`,
    ...(start.hasWritableProc === true ? [] : words`--remount-ro /proc`),
    ...words`--remount-ro / --chdir /`,
    ...words`--seccomp ${COMMAND_SECCOMP_FD} --json-status-fd ${COMMAND_STATUS_FD} --`,
    workload.program,
    ...workload.arguments,
  ];
}
