import { execFile } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CheckpointSchedule } from '../../../domain/job.ts';
import type { Outcome } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import { WASI_CHECKPOINT } from '../../../wasm/runtime/constants.ts';
import { MetricsChain } from '../../../wasm/runtime/metrics-chain.ts';
import {
  CGROUP_REMOVE_ATTEMPTS,
  CGROUP_REMOVE_WAIT_MS,
  COMMAND_BEAT_MS,
  COMMAND_MAX_SCRATCH_FILES,
  COMMAND_START_TIMEOUT_MS,
  MAX_STDERR_BYTES,
} from '../../constants.ts';
import type { EgressProxy } from '../../egress/egress-proxy.ts';
import { listenInside } from '../../egress/netns-listener.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import type { Cgroup } from '../../limits/cgroup.ts';
import { type GroupUsage, NO_USAGE } from '../../limits/group-files.ts';
import { EventCount } from '../../rounds/event-count.ts';
import { RoundSinkError, RoundWatch } from '../../rounds/round-watch.ts';
import { collectOutputs } from './collect-outputs.ts';
import { type CommandStart, type CommandTools, isCheckpointFile, listWritableFolders } from './command-plan.ts';
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
  /** The way to the hosts that the job lists; null: it has no network. Ends with the run. */
  readonly egress: EgressProxy | null;
  /** Null: the limits of `start.rlimits` are all that holds it. */
  readonly cgroup: Cgroup | null;
  readonly limits: { readonly wallTimeMs: number; readonly logBytes: number; readonly outputBytes: number };
  /** Null of a command that makes no checkpoints, as `start.rounds` is. */
  readonly rounds: RunRounds | null;
  /** What stands between the sandbox and the program, if anything does. */
  readonly runtime?: RuntimeVoice;
}

export interface RunRounds {
  readonly schedule: CheckpointSchedule;
  /** That it goes on from; 0 where it begins at the beginning. */
  readonly round: number;
  readonly pausing: AbortSignal | null;
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
  /** The last training round that it reported, and what it measured; null where it makes no checkpoints. */
  readonly rounds: { readonly last: number; readonly metricsHash: Uint8Array } | null;
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
  } catch (error) {
    // What the sink of checkpoints rejected with is for whoever gave the sink.
    throw error instanceof RoundSinkError ? error.cause : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

class CommandRun {
  readonly #parts: CommandRunParts;
  readonly #sink: ExecutionSink;
  readonly #process: CommandProcess;
  readonly #count: EventCount;
  #watch: RoundWatch | null = null;
  #wallTimer: Disposable | null = null;
  #beatTimer: Disposable | null = null;
  /** Why this node ended it; the first reason counts. */
  #stopped: Failure | null = null;
  #folders: readonly FileHandle[] = [];
  #stderr = '';
  #startedAtMs: number | null = null;
  #isBeating = false;
  readonly #over = new AbortController();

  constructor(parts: CommandRunParts, sink: ExecutionSink) {
    this.#parts = parts;
    this.#sink = sink;
    const onExcess = (): void => this.stop(programFailed('LOG_LIMIT', ''));
    this.#count = new EventCount({ maxBytes: parts.limits.logBytes, onExcess });
    this.#process = new CommandProcess(parts.tools, parts.start, parts.filter);
  }

  stop(failure: Failure): void {
    this.#stopped ??= failure;
    this.#over.abort();
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
      const concluded = await this.#conclude(exit, usage);
      const failure = (await this.#watch?.end(concluded.outcome.kind === 'completed')) ?? null;
      const end = failure === null ? concluded : { outcome: failure, outputs: [] };
      return { ...end, usage, wallTimeMs, rounds: this.#describeRounds() };
    } finally {
      this.#endTimers();
      this.#parts.egress?.[Symbol.dispose]();
      await this.#watch?.[Symbol.asyncDispose]();
      this.#process.kill();
      for (const folder of this.#folders) await folder.close();
      await removeGroup(cgroup);
    }
  }

  #listen(): void {
    const lines = new LogLines(this.#sink, this.#count, this.#parts.runtime?.mark);
    lines.listen('stdout', this.#process.stdout);
    lines.listen('stderr', this.#process.stderr);
    this.#process.stderr.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('latin1')).slice(-MAX_STDERR_BYTES);
    });
  }

  /** Nothing of the program runs before its limits are in force. What goes wrong shows in how the sandbox ends. */
  async #start(): Promise<void> {
    const { clock, cgroup, egress, inputs, limits } = this.#parts;
    const late = {
      kind: 'attempt-failed',
      code: 'EXECUTOR_CRASHED',
      detail: 'its sandbox was not ready in time',
    } as const;
    const timer = clock.schedule(COMMAND_START_TIMEOUT_MS, () => this.stop(late));
    try {
      const pid = await this.#process.findPid();
      const limiting = cgroup === null ? this.#limitProcesses(pid) : cgroup.add(pid);
      const listening = egress === null ? null : listenInside(pid, this.#over.signal);
      // Awaited below: whichever fails first is told.
      listening?.catch(() => {});
      // Inputs count as the job's memory, so they wait for its group; the rest is set up meanwhile.
      if (inputs.length > 0) await limiting;
      await Promise.all([limiting, this.#process.setUp(inputs)]);
      if (listening !== null) egress?.serve(await listening);
      this.#folders = await this.#process.openFolders();
    } catch (error) {
      this.stop({ kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: this.#describeStart(error) });
      return;
    } finally {
      timer[Symbol.dispose]();
    }
    await this.#watchRounds();
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

  /** Its first checkpoint is made before anything of it runs. */
  async #watchRounds(): Promise<void> {
    const { clock, rounds, inputs, limits } = this.#parts;
    const [, , , checkpoint, control] = this.#folders;
    if (rounds === null || checkpoint === undefined || control === undefined) return;
    const { outputBytes } = limits;
    this.#watch = new RoundWatch(
      { checkpoint, control },
      { clock, sink: this.#sink, count: this.#count, stop: (failure) => this.stop(failure) },
      { ...rounds, outputBytes },
    );
    try {
      await this.#watch.begin(inputs.filter(({ path }) => isCheckpointFile(path)));
    } catch (error) {
      this.#process.kill();
      await this.#process.waitEnd();
      throw error;
    }
  }

  #describeRounds(): CommandEnd['rounds'] {
    if (this.#parts.rounds === null) return null;
    const { round, metricsHash } = this.#watch ?? {};
    return { last: round ?? this.#parts.rounds.round, metricsHash: metricsHash ?? new MetricsChain().head };
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
      this.#sink.progress({ fuel: null, step: this.#watch?.round ?? 0, cpuTimeMs });
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
      const name = listWritableFolders(this.#parts.start)[index] ?? '';
      const isOutput = name === '/output' || name === WASI_CHECKPOINT;
      return programFailed(isOutput ? 'OUTPUT_LIMIT' : 'SCRATCH_LIMIT', `${name} is full`);
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
