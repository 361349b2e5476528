import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { CommandWorkload } from '../../../domain/job.ts';
import { encodeUtf8 } from '../../../lib/bytes.ts';
import { COMMAND_OVERHEAD_BYTES, COMMAND_OVERHEAD_TASKS } from '../../constants.ts';
import type { InputFile } from '../../interface.ts';
import type { CommandRlimits, CommandStart } from '../command/command-plan.ts';
import type { Failure, RuntimeVoice } from '../command/command-run.ts';
import { type RootView, viewHost } from '../command/root-view.ts';
import { RUNTIME_TRAITS, type Runtime } from './runtime.ts';
import { createRuntimeConfig, type RuntimeConfigParts, type RuntimeSeccomp } from './runtime-config.ts';

const ROOTFS = '/rootfs';
const CONFIG_PATH = '/bundle/config.json';
/** Of the runtime's own state and its log. */
const STATE_BYTES = 4 * 1024 * 1024;
/** Address space of the runtime where no group holds it: Go takes much and uses little of it. */
const RUNTIME_SPACE_BYTES = 4 * 2 ** 30;
/** The shell that waits for the runtime, to tell what it said. */
const SHELL_TASKS = 1;

/**
 * Runs the runtime. It says what goes wrong in a file that the program cannot see: the last line of it is told on stderr, behind
 * a mark that the program cannot know.
 */
const SCRIPT = `"$@"; code=$?
if [ -s /run/log ]; then
  while read -r line || [ -n "$line" ]; do last=$line; done </run/log
  printf '%s %s\\n' "$0" "$last" >&2
fi
exit "$code"`;

/** A runtime's words for a program that cannot be started, or has no folder to start in. */
const OF_PROGRAM = /executable file|open executable|\bexec\b|chdir|\bcwd\b/i;

export interface ContainerParts extends Pick<RuntimeConfigParts, 'process'> {
  readonly runtime: Runtime;
  readonly seccomp: RuntimeSeccomp | null;
  /** Of an unpacked image, or of this host when it is tried. */
  readonly root: RootView;
  readonly limits: CommandWorkload['limits'];
  readonly outputBytes: number;
  readonly inputs: readonly InputFile[];
  /** Null where a control group holds it. */
  readonly rlimits: CommandRlimits | null;
}

export interface ContainerStart {
  readonly start: CommandStart;
  /** Of the sandbox of the runtime, in the order of `start.inputPaths`. */
  readonly files: readonly InputFile[];
  readonly voice: RuntimeVoice;
}

/**
 * A container is a runtime in bubblewrap, as a command is a program in it. The root of the image is put together by bubblewrap;
 * the runtime finds it, its one configuration file and the writable folders, and puts a sandbox of its own around the program.
 */
export function createContainerStart(parts: ContainerParts): ContainerStart {
  const { runtime, limits, rlimits, inputs, outputBytes } = parts;
  const { options } = RUNTIME_TRAITS[runtime.name];
  const mark = `runtime-${randomUUID()}:`;
  const config = createRuntimeConfig({
    process: parts.process,
    seccomp: parts.seccomp,
    rlimits: rlimits === null ? null : { ...rlimits, processes: limits.processes },
  });
  const files = [
    { path: CONFIG_PATH, bytes: encodeUtf8(JSON.stringify(config)) },
    ...inputs.map(({ path, bytes }) => ({ path: `${ROOTFS}${path}`, bytes })),
  ];
  return {
    start: {
      root: viewRuntime(runtime, parts.root),
      workload: {
        program: '/bin/sh',
        arguments: [
          '-c',
          SCRIPT,
          mark,
          '/runtime',
          '--log',
          '/run/log',
          ...options,
          'run',
          '--bundle',
          '/bundle',
          'job',
        ],
        environment: {},
        limits: { ...limits, processes: limits.processes + countOwnTasks(runtime) },
      },
      outputBytes,
      inputPaths: files.map(({ path }) => path),
      rlimits: rlimits && { ...rlimits, addressSpaceBytes: rlimits.addressSpaceBytes + RUNTIME_SPACE_BYTES },
      hasWritableProc: true,
      rounds: null,
    },
    files,
    voice: { mark, explain: (message) => explain(runtime, message, parts.process.cwd) },
  };
}

/** Of the group of a container, besides what its job is given. */
export function countOverhead(runtime: Runtime): { readonly memoryBytes: number; readonly tasks: number } {
  return {
    memoryBytes: COMMAND_OVERHEAD_BYTES + RUNTIME_TRAITS[runtime.name].memoryBytes,
    tasks: COMMAND_OVERHEAD_TASKS + countOwnTasks(runtime),
  };
}

function countOwnTasks({ name }: Runtime): number {
  return SHELL_TASKS + RUNTIME_TRAITS[name].tasks;
}

/** What the runtime sees: system folders of this host, for its libraries, and the image. */
function viewRuntime({ name, path }: Runtime, image: RootView): RootView {
  const host = viewHost();
  const groups = '/sys/fs/cgroup';
  return {
    folders: new Set([...host.folders, ROOTFS.slice(1), 'bundle', 'run', 'runtime', 'sys']),
    arguments: [
      ...host.arguments,
      ...words`--ro-bind ${path} /runtime --size ${STATE_BYTES} --tmpfs /run`,
      ...(RUNTIME_TRAITS[name].seesHostGroups ? words`--ro-bind ${groups} ${groups}` : words`--dir ${groups}`),
      // The user of an image is another one than root: it has to pass through.
      ...words`--perms 0755 --dir ${ROOTFS}`,
      ...['proc', 'dev', 'tmp', 'output'].flatMap((folder) => words`--perms 0755 --dir ${join(ROOTFS, folder)}`),
      ...image.arguments,
    ],
  };
}

/** Options, as a command line reads them; what they are given may have blanks. */
function words(parts: TemplateStringsArray, ...values: readonly (string | number)[]): readonly string[] {
  return parts.flatMap((part, index) => [
    ...part.split(' ').filter((word) => word !== ''),
    ...(index < values.length ? [String(values[index])] : []),
  ]);
}

/** @param cwd runc makes a working folder that is missing, which it cannot here */
function explain({ name }: Runtime, message: string, cwd: string): Failure {
  const said = (/msg="(.*)"$/.exec(message)?.[1] ?? message).slice(0, 200);
  if (OF_PROGRAM.test(said) || said.includes(`mkdir ${cwd}`)) {
    return { kind: 'program-failed', code: 'PROGRAM_REFUSED', detail: `its program cannot be started: ${said}` };
  }
  return { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: `${name} ended with: ${said}` };
}
