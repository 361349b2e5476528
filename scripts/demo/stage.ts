import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../..');
/** The built command line. */
export const LAUNCHER = join(ROOT, 'bin/fogproof');
/** How long a daemon may take to end by itself before it is killed. */
const STOP_GRACE_MS = 5_000;
/** How long what a killed process leaves may take to notice. */
const ORPHAN_GRACE_MS = 3_000;

/** The demo cannot go on, or something that it claims is not so. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Actor {
  readonly name: string;
  readonly home: string;
  readonly socket: string;
}

interface StageFolders {
  readonly isKept: boolean;
  readonly sockets: string;
  readonly launcher: string;
}

export interface RunningDaemon extends Actor {
  readonly process: ChildProcess;
  readonly logFile: string;
}

/**
 * The folder and the processes of one demo. Whatever happens, disposing ends every process that it started and removes
 * the folder, unless it is to be kept.
 */
export class Stage implements AsyncDisposable {
  readonly directory: string;
  readonly #launcher: string;
  readonly #isKept: boolean;
  /** Always temporary: the path of a Unix socket may have 107 bytes only, and a kept folder may lie deep. */
  readonly #sockets: string;
  readonly #processes = new Set<ChildProcess>();
  /** Process groups of daemons; what a daemon starts is in its group. */
  readonly #groups = new Set<number>();
  readonly #onExit = (): void => this.#endAtOnce();

  private constructor(directory: string, options: StageFolders) {
    this.directory = directory;
    this.#launcher = options.launcher;
    this.#isKept = options.isKept;
    this.#sockets = options.sockets;
    process.on('exit', this.#onExit);
  }

  /** With `keep`, a new or empty folder of the caller's choice, which stays; else a temporary one. */
  static async open(options: { readonly keep?: string | undefined; readonly launcher: string }): Promise<Stage> {
    const { keep, launcher } = options;
    if (keep !== undefined) {
      await mkdir(keep, { recursive: true });
      if ((await readdir(keep)).length > 0) throw new DemoFailure(`--keep ${keep}: the folder is not empty`);
    }
    const sockets = await mkdtemp(join(await realpath(tmpdir()), 'fogproof-demo-'));
    return new Stage(keep === undefined ? sockets : await realpath(keep), {
      isKept: keep !== undefined,
      sockets,
      launcher,
    });
  }

  path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  actor(name: string): Actor {
    return { name, home: this.path(name), socket: join(this.#sockets, `${name}.sock`) };
  }

  /** Runs the built command line to its end, as a user of that home would. */
  async run(actor: Actor, args: readonly string[], signal: AbortSignal): Promise<CommandResult> {
    const child = spawn(this.#launcher, args, {
      cwd: this.directory,
      env: this.#environment(actor),
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    this.#processes.add(child);
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    try {
      const [exitCode] = (await once(child, 'close')) as [number | null];
      return { exitCode: exitCode ?? -1, ...output };
    } finally {
      this.#processes.delete(child);
    }
  }

  /** Runs the command line and gives each line of its output when it is printed. @throws DemoFailure if it fails */
  async *lines(actor: Actor, args: readonly string[], signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const child = spawn(this.#launcher, args, {
      cwd: this.directory,
      env: this.#environment(actor),
      stdio: ['ignore', 'pipe', 'inherit'],
      signal,
    });
    this.#processes.add(child);
    const closed = once(child, 'close') as Promise<[number | null]>;
    // It is awaited below; an abort may fail it before.
    closed.catch(() => {});
    try {
      yield* createInterface({ input: child.stdout });
      const [exitCode] = await closed;
      if (exitCode !== 0) throw new DemoFailure(`${args.join(' ')} ended with ${exitCode}`);
    } finally {
      this.#processes.delete(child);
    }
  }

  /** Starts a daemon in the foreground, in its own process group, its log in a file. */
  startDaemon(
    actor: Actor,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): RunningDaemon {
    const logFile = this.path(`${actor.name}.log`);
    const child = spawn(this.#launcher, args, {
      cwd: this.directory,
      env: { ...this.#environment(actor), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const log = createWriteStream(logFile);
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.once('close', () => log.end());
    child.once('error', () => log.end());
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
    if (child.pid !== undefined) this.#groups.add(child.pid);
    return { ...actor, process: child, logFile };
  }

  /** Waits until nothing that the daemon started is left; what is left after a grace period is returned. */
  async findOrphans(daemon: RunningDaemon): Promise<readonly number[]> {
    const deadline = Date.now() + ORPHAN_GRACE_MS;
    let orphans = this.#membersOf(daemon.process.pid ?? 0);
    while (orphans.length > 0 && Date.now() < deadline) {
      await sleep(50);
      orphans = this.#membersOf(daemon.process.pid ?? 0);
    }
    return orphans;
  }

  /** Processes alive that have to do with this stage: by group, or by the folder in their environment. */
  findLeftovers(): readonly number[] {
    const byGroup = [...this.#groups].flatMap((group) => this.#membersOf(group));
    return [...new Set([...byGroup, ...findProcesses((pid) => readEnvironment(pid).includes(this.directory))])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) child.kill('SIGTERM');
    const ended = Promise.all(
      [...this.#processes].map(async (child) => child.exitCode ?? child.signalCode ?? (await once(child, 'exit'))),
    );
    await Promise.race([ended, sleep(STOP_GRACE_MS, undefined, { ref: false })]);
    this.#killGroups();
    process.off('exit', this.#onExit);
    for (const folder of this.#removable()) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Nothing of the caller's own configuration may reach the demo, so the environment is built from nothing. */
  #environment(actor: Actor): NodeJS.ProcessEnv {
    const { PATH, LANG, FOGPROOF_NODE } = process.env;
    const given = { PATH, LANG, FOGPROOF_NODE };
    const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    return {
      ...known,
      HOME: this.directory,
      TMPDIR: this.#sockets,
      FOGPROOF_HOME: actor.home,
      FOGPROOF_SOCKET: actor.socket,
    };
  }

  #removable(): readonly string[] {
    return this.#isKept ? [this.#sockets] : [this.directory];
  }

  #membersOf(group: number): number[] {
    return findProcesses((pid) => readProcessGroup(pid) === group);
  }

  #killGroups(): void {
    for (const group of this.#groups) {
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // The group is empty: its processes have ended, as they should.
      }
    }
  }

  #endAtOnce(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
    this.#killGroups();
    for (const folder of this.#removable()) rmSync(folder, { recursive: true, force: true });
  }
}

function findProcesses(matches: (pid: number) => boolean): number[] {
  const names = process.platform === 'linux' ? readdirSync('/proc') : [];
  return names.map(Number).filter((pid) => Number.isInteger(pid) && pid !== process.pid && matches(pid));
}

function readEnvironment(pid: number): string {
  return readProcessFile(pid, 'environ');
}

/** Field 5 of /proc/PID/stat; the name in field 2 may hold spaces and brackets. Zombies have ended. */
function readProcessGroup(pid: number): number | undefined {
  const [state, , group] = readProcessFile(pid, 'stat').split(') ').at(-1)?.split(' ') ?? [];
  return state === 'Z' ? undefined : Number(group);
}

/** Empty if the process has gone or is somebody else's. */
function readProcessFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
