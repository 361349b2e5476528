import type { ChildProcess } from 'node:child_process';
import { BUBBLEWRAP_PID_WAIT_MS } from '../constants.ts';
import { isRunning, killProcess, type ProcessEntry, readProcessEntry } from '../host/process-entry.ts';

/**
 * Ends a sandbox that bubblewrap holds. Its first process asks to die with bubblewrap only when it has started the program
 * (`do_init` in bubblewrap.c, 0.8.0), and while it waits for its users to be mapped it asks for nothing: whoever ends just
 * bubblewrap may leave the program running. The first process is therefore ended by its own number, before bubblewrap is.
 */
export class BubblewrapEnd {
  readonly #process: ChildProcess;
  #first: ProcessEntry | null = null;
  #isWanted = false;
  #wait: NodeJS.Timeout | null = null;

  constructor(bubblewrap: ChildProcess) {
    this.#process = bubblewrap;
    bubblewrap.once('exit', () => {
      if (this.#wait !== null) clearTimeout(this.#wait);
      this.#killFirst();
    });
  }

  /** Whether the first process is known to have ended, or never was. */
  get isEmpty(): boolean {
    return this.#first === null || !isRunning(this.#first);
  }

  /** To be told as soon as bubblewrap tells it, while bubblewrap cannot have reaped it. */
  setFirst(pid: number): void {
    this.#first ??= readProcessEntry(pid) ?? null;
    if (this.#isWanted) this.#killBoth();
  }

  /** SIGKILL to all of it, as soon as it is known what that is. Nothing happens where bubblewrap has ended. */
  kill(): void {
    if (this.#hasEnded || this.#isWanted) return;
    this.#isWanted = true;
    if (this.#first !== null) this.#killBoth();
    // Without a first process there is nothing to leave behind; with one, its number comes at once.
    else this.#wait = setTimeout(() => this.#killBoth(), BUBBLEWRAP_PID_WAIT_MS);
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #killBoth(): void {
    this.#killFirst();
    this.#process.kill('SIGKILL');
  }

  #killFirst(): void {
    if (this.#first !== null && isRunning(this.#first)) killProcess(this.#first.pid);
  }
}
