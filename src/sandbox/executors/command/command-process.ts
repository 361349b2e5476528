import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { InternalError } from '../../../lib/errors.ts';
import {
  COMMAND_END_ATTEMPTS,
  COMMAND_END_WAIT_MS,
  COMMAND_FIRST_INPUT_FD,
  COMMAND_HOLD_FD,
  COMMAND_REACHED_FD,
  COMMAND_SECCOMP_FD,
  COMMAND_STATUS_FD,
  COMMAND_USER,
} from '../../constants.ts';
import { SandboxError } from '../../errors.ts';
import type { InputFile } from '../../interface.ts';
import { BubblewrapEnd } from '../../isolation/bubblewrap-end.ts';
import { type CommandStart, type CommandTools, createStartArguments, listWritableFolders } from './command-plan.ts';

const MAX_STATUS_CHARS = 4096;
const IGNORE = (): void => {};

/** How a sandbox ended. */
export interface CommandExit {
  /** 128 and the number of the signal where one ended it; null if the program was never started. */
  readonly exitCode: number | null;
  /** Of bubblewrap itself, for messages. */
  readonly description: string;
}

/** One sandbox from its start to the end of its last process. */
export class CommandProcess {
  readonly #process: ChildProcess;
  readonly #folders: readonly string[];
  readonly #pid = Promise.withResolvers<number>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #end: BubblewrapEnd;
  #status = '';

  /** @throws Error where a process cannot be started at all */
  constructor(tools: CommandTools, start: CommandStart, filter: Uint8Array) {
    this.#folders = listWritableFolders(start);
    const inputs = start.inputPaths.map(() => 'pipe' as const);
    const isRoot = process.getuid?.() === 0;
    this.#process = spawn(tools.shell, createStartArguments(tools, start), {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...inputs],
      // As root, bubblewrap would map the program's user to root outside: it may own what it reaches.
      ...(isRoot ? { uid: COMMAND_USER, gid: COMMAND_USER } : {}),
    });
    this.#end = new BubblewrapEnd(this.#process);
    this.#process.on('error', (error) => this.#pid.reject(error));
    for (const stream of this.#process.stdio) stream?.on('error', IGNORE);
    this.#process.once('close', () => {
      this.#pid.reject(startFailed('it ended before it was set up'));
      this.#closed.resolve();
    });
    this.#pid.promise.catch(IGNORE);
    this.#readStatus();
    this.#writable(COMMAND_SECCOMP_FD).end(filter);
  }

  get stdout(): Readable {
    return this.#readable(1);
  }

  get stderr(): Readable {
    return this.#readable(2);
  }

  /** Process id of the sandbox's first process, as this host sees it. @throws SandboxError if it never came to be */
  async findPid(): Promise<number> {
    return await this.#pid.promise;
  }

  /** Gives the inputs, in the order of `inputPaths`, and waits until everything is in place but /proc. @throws SandboxError */
  async setUp(inputs: readonly InputFile[]): Promise<void> {
    inputs.forEach(({ bytes }, index) => this.#writable(COMMAND_FIRST_INPUT_FD + index).end(bytes));
    const reached = this.#writable(COMMAND_REACHED_FD);
    const passed = new Promise<void>((resolve) => reached.once('close', resolve));
    // It is read to its end, and then closed on the other side, when all that comes before it is done.
    reached.end();
    (reached as unknown as Readable).resume();
    await Promise.race([passed, this.#closed.promise]);
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      throw startFailed('it ended before it was set up');
    }
  }

  /** Folders that the program may write to, which stay readable for whoever holds them when the sandbox is gone. @throws Error */
  async openFolders(): Promise<readonly FileHandle[]> {
    const pid = await this.findPid();
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    // bubblewrap builds the root of the sandbox in this folder, and changes into it later.
    const opening = this.#folders.map((folder) => open(`/proc/${pid}/root/newroot${folder}`, flags));
    const settled = await Promise.allSettled(opening);
    const opened = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed === undefined) return opened;
    for (const handle of opened) await handle.close();
    throw failed.reason;
  }

  /** Lets bubblewrap go on to the program. */
  release(): void {
    this.#writable(COMMAND_HOLD_FD).end();
  }

  /** Ends the sandbox: with its first process every other dies. */
  kill(): void {
    this.#end.kill();
  }

  /** Resolves once every process of the sandbox is gone. */
  async waitEnd(): Promise<CommandExit> {
    await this.#closed.promise;
    // bubblewrap reports the end of the program and goes; its first process in the sandbox is killed by that.
    for (let attempt = 0; !this.#end.isEmpty && attempt < COMMAND_END_ATTEMPTS; attempt += 1) {
      await delay(COMMAND_END_WAIT_MS);
    }
    const { exitCode, signalCode } = this.#process;
    const reported = /"exit-code":\s*(\d{1,3})/.exec(this.#status)?.[1];
    return {
      exitCode: reported === undefined ? null : Number(reported),
      description: signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`,
    };
  }

  #readStatus(): void {
    const status = this.#readable(COMMAND_STATUS_FD);
    status.setEncoding('utf8');
    status.on('data', (chunk: string) => {
      this.#status = (this.#status + chunk).slice(0, MAX_STATUS_CHARS);
      const found = /"child-pid":\s*(\d+)/.exec(this.#status)?.[1];
      if (found === undefined) return;
      this.#end.setFirst(Number(found));
      this.#pid.resolve(Number(found));
    });
  }

  #readable(fd: number): Readable {
    return this.#stream(fd) as Readable;
  }

  #writable(fd: number): Writable {
    return this.#stream(fd) as Writable;
  }

  #stream(fd: number): unknown {
    const stream = this.#process.stdio[fd];
    // Node gives a stream for every 'pipe', unless the process could not be started at all.
    if (stream === null || stream === undefined) throw new InternalError(`a command has no pipe ${fd}`);
    return stream;
  }
}

/** The error of a sandbox that did not come to be. */
export function startFailed(reason: string, cause?: unknown): SandboxError {
  return new SandboxError({ code: 'SANDBOX_CHILD_START_FAILED', isolation: 'bubblewrap', reason }, { cause });
}
