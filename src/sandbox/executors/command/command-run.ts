import { execFile } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Outcome } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import {
  CGROUP_REMOVE_ATTEMPTS,
  CGROUP_REMOVE_WAIT_MS,
  COMMAND_BEAT_MS,
  COMMAND_MAX_SCRATCH_FILES,
  COMMAND_START_TIMEOUT_MS,
  MAX_STDERR_BYTES,
} from '../../constants.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import type { Cgroup } from '../../limits/cgroup.ts';
import { type GroupUsage, NO_USAGE } from '../../limits/group-files.ts';
import { collectOutputs } from './collect-outputs.ts';
import { type CommandStart, type CommandTools, WRITABLE_FOLDERS } from './command-plan.ts';
import { type CommandExit, CommandProcess, startFailed } from './command-process.ts';
import { LogLines } from './log-lines.ts';

const execute = promisify(execFile);
/** 128 and the number of SIGXCPU (signal(7)), with which RLIMIT_CPU ends a process; SIGKILL follows a second later. */
const EXIT_OVER_CPU = 152;

export interface CommandRunParts {
  readonly clock: Clock;
  readonly tools: CommandTools;
  readonly filter: Uint8Array;
  readonly start: CommandStart;
  readonly inputs: readonly InputFile[];
  /** Null: the limits of `start.rlimits` are all that holds it. */
  readonly cgroup: Cgroup | null;
  readonly limits: { readonly wallTimeMs: number; readonly logBytes: number; readonly outputBytes: number };
  /** What stands between the sandbox and the program, if anything does. */
  readonly runtime?: RuntimeVoice;
}

/** How a runtime that started the program speaks on its stderr. */
export interface RuntimeVoice {
  /** Where a line of the runtime begins, which the program cannot know; what follows it is not told to the requester. */
  readonly mark: string;
  /** What a failure is that the runtime speaks of. */
  readonly explain: (message: string) => Failure;
}

export interface CommandEnd {
  readonly outcome: Outcome;
  readonly outputs: readonly InputFile[];
  readonly usage: GroupUsage;
  /** From the program's start. */
  readonly wallTimeMs: number;
}

export type Failure = Exclude<Outcome, { kind: 'completed' }>;

/** Runs one command to the end of its last process, and leaves neither process, group nor file behind. */
export async function runCommand(
  parts: CommandRunParts,
  sink: ExecutionSink,
  signal: AbortSignal,
): Promise<CommandEnd> {
  const run = new CommandRun(parts, sink);
  const onAbort = (): void => run.stop({ kind: 'attempt-failed', code: 'CANCELLED', detail: 'cancelled' });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await run.execute();
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

class CommandRun {
  readonly #parts: CommandRunParts;
  readonly #sink: ExecutionSink;
  readonly #process: CommandProcess;
  #wallTimer: Disposable | null = null;
  #beatTimer: Disposable | null = null;
  /** Why this node ended it; the first reason counts. */
  #stopped: Failure | null = null;
  #folders: readonly FileHandle[] = [];
  #stderr = '';
  #startedAtMs: number | null = null;
  #isBeating = false;

  constructor(parts: CommandRunParts, sink: ExecutionSink) {
    this.#parts = parts;
    this.#sink = sink;
    this.#process = new CommandProcess(parts.tools, parts.start, parts.filter);
  }

  stop(failure: Failure): void {
    this.#stopped ??= failure;
    this.#process.kill();
  }

  async execute(): Promise<CommandEnd> {
    const { clock, cgroup } = this.#parts;
    const begunAtMs = clock.monotonicMs();
    try {
      this.#listen();
      await this.#start();
      const exit = await this.#process.waitEnd();
      const wallTimeMs = clock.monotonicMs() - (this.#startedAtMs ?? begunAtMs);
      this.#endTimers();
      cgroup?.kill();
      const usage = cgroup?.readUsage() ?? NO_USAGE;
      return { ...(await this.#conclude(exit, usage)), usage, wallTimeMs };
    } finally {
      this.#endTimers();
      this.#process.kill();
      for (const folder of this.#folders) await folder.close();
      await removeGroup(cgroup);
    }
  }

  #listen(): void {
    const { limits } = this.#parts;
    const onExcess = (): void => this.stop(programFailed('LOG_LIMIT', ''));
    const { runtime } = this.#parts;
    const lines = new LogLines(this.#sink, { maxBytes: limits.logBytes, onExcess, hiddenFrom: runtime?.mark });
    lines.listen('stdout', this.#process.stdout);
    lines.listen('stderr', this.#process.stderr);
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-MAX_STDERR_BYTES);
    });
  }

  /** Nothing of the program runs before its limits are in force. What goes wrong shows in how the sandbox ends. */
  async #start(): Promise<void> {
    const { clock, cgroup, inputs, limits } = this.#parts;
    const late = {
      kind: 'attempt-failed',
      code: 'EXECUTOR_CRASHED',
      detail: 'its sandbox was not ready in time',
    } as const;
    const timer = clock.schedule(COMMAND_START_TIMEOUT_MS, () => this.stop(late));
    try {
      const pid = await this.#process.findPid();
      const limiting = cgroup === null ? this.#limitProcesses(pid) : cgroup.add(pid);
      // Inputs count as the job's memory, so they wait for its group; the rest is set up meanwhile.
      if (inputs.length > 0) await limiting;
      await Promise.all([limiting, this.#process.setUp(inputs)]);
      this.#folders = await this.#process.openFolders();
    } catch (error) {
      this.stop({ kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: this.#describeStart(error) });
      return;
    } finally {
      timer[Symbol.dispose]();
    }
    this.#startedAtMs = clock.monotonicMs();
    const overtime = {
      kind: 'attempt-failed',
      code: 'WALL_TIME',
      detail: `longer than ${limits.wallTimeMs} ms`,
    } as const;
    this.#wallTimer = clock.schedule(limits.wallTimeMs, () => this.stop(overtime));
    this.#scheduleBeat();
    this.#process.release();
  }

  /** Set from inside of its user namespace, it counts the processes of this sandbox alone (setrlimit(2), since Linux 5.14). */
  async #limitProcesses(pid: number): Promise<void> {
    const { tools, start } = this.#parts;
    if (tools.prlimit === null) throw startFailed('prlimit is not installed');
    const most = start.workload.limits.processes + 1;
    await execute(tools.prlimit, ['--pid', String(pid), `--nproc=${most}:${most}`], { env: {} });
  }

  #describeStart(error: unknown): string {
    const own = this.#stderr.split('\n').findLast((line) => /bwrap|ulimit/.test(line));
    return (own ?? describeError(error)).slice(0, 300);
  }

  #scheduleBeat(): void {
    this.#beatTimer = this.#parts.clock.schedule(COMMAND_BEAT_MS, () => {
      this.#scheduleBeat();
      void this.#beat();
    });
  }

  async #beat(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    try {
      const cpuTimeMs = this.#parts.cgroup?.readUsage().cpuTimeMs ?? 0;
      this.#sink.progress({ fuel: null, step: 0, cpuTimeMs });
      const counts = await Promise.all(this.#folders.map(countFiles));
      const files = counts.reduce((sum, count) => sum + count, 0);
      if (files > COMMAND_MAX_SCRATCH_FILES) {
        this.stop(programFailed('SCRATCH_LIMIT', `more than ${COMMAND_MAX_SCRATCH_FILES} files`));
      }
    } catch {
      // The folders were closed: it has ended meanwhile.
    } finally {
      this.#isBeating = false;
    }
  }

  #endTimers(): void {
    this.#wallTimer?.[Symbol.dispose]();
    this.#beatTimer?.[Symbol.dispose]();
  }

  async #conclude(exit: CommandExit, usage: GroupUsage): Promise<Pick<CommandEnd, 'outcome' | 'outputs'>> {
    const stopped = this.#stopped ?? (exit.exitCode === 0 ? null : await this.#findFailure(exit, usage));
    const hasOutputs = stopped === null || (stopped.kind === 'program-failed' && stopped.code === 'EXIT_CODE');
    const [folder] = this.#folders;
    if (!hasOutputs || folder === undefined) return { outcome: stopped ?? crashed(exit), outputs: [] };
    const collected = await collectOutputs(folder, this.#parts.limits.outputBytes);
    switch (collected.kind) {
      case 'collected':
        return { outcome: stopped ?? { kind: 'completed' }, outputs: collected.files };
      case 'refused':
        return { outcome: programFailed('OUTPUT_REFUSED', collected.detail), outputs: [] };
      case 'too-much':
        return { outcome: programFailed('OUTPUT_LIMIT', collected.detail), outputs: [] };
      default:
        return collected satisfies never;
    }
  }

  /** A program that fails after it met a limit is said to have failed by that. */
  async #findFailure(exit: CommandExit, usage: GroupUsage): Promise<Failure> {
    if (usage.memoryKills > 0) return programFailed('MEMORY_LIMIT', '');
    if (exit.exitCode === null) return this.#describeUnstarted(exit);
    const { runtime } = this.#parts;
    const place = runtime === undefined ? -1 : this.#stderr.lastIndexOf(runtime.mark);
    if (runtime !== undefined && place !== -1)
      return runtime.explain(this.#stderr.slice(place + runtime.mark.length).trim());
    if (this.#parts.start.rlimits !== null && exit.exitCode === EXIT_OVER_CPU) return programFailed('CPU_LIMIT', '');
    if (usage.refusedTasks > 0) return programFailed('PROCESS_LIMIT', '');
    for (const [index, folder] of this.#folders.entries()) {
      const { bavail } = await statfs(placeOf(folder));
      if (bavail > 0) continue;
      const isOutput = WRITABLE_FOLDERS[index] === '/output';
      return programFailed(isOutput ? 'OUTPUT_LIMIT' : 'SCRATCH_LIMIT', `${WRITABLE_FOLDERS[index]} is full`);
    }
    return programFailed('EXIT_CODE', String(exit.exitCode));
  }

  /** bubblewrap says why it could not start a program, which is the program's fault; everything else is the host's. */
  #describeUnstarted(exit: CommandExit): Failure {
    const reason = /^bwrap: execvp [^\n]*: ([^\n:]*)$/m.exec(this.#stderr)?.[1];
    if (reason === undefined) return crashed(exit);
    return programFailed('PROGRAM_REFUSED', `its program cannot be started: ${reason}`.slice(0, 300));
  }
}

function programFailed(code: Extract<Failure, { kind: 'program-failed' }>['code'], detail: string): Failure {
  return { kind: 'program-failed', code, detail };
}

function crashed({ description }: CommandExit): Failure {
  return { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: `its sandbox ended with ${description}` };
}

function placeOf(folder: FileHandle): string {
  return `/proc/self/fd/${folder.fd}`;
}

async function countFiles(folder: FileHandle): Promise<number> {
  const { files, ffree } = await statfs(placeOf(folder));
  return files - ffree;
}

/** The kernel empties a group a little after its last process has ended. */
async function removeGroup(cgroup: Cgroup | null): Promise<void> {
  for (let attempt = 0; attempt < CGROUP_REMOVE_ATTEMPTS; attempt += 1) {
    if (cgroup === null || cgroup.remove()) return;
    cgroup.kill();
    await delay(CGROUP_REMOVE_WAIT_MS);
  }
}
