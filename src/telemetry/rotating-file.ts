import { renameSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { destination } from 'pino';
import { systemErrorCode } from '../lib/system-error.ts';

export interface RotatingFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** Older files kept: `<path>.1` is the newest. */
  readonly keep: number;
}

type Sink = ReturnType<typeof destination>;

/** A file that lines are appended to, moved aside when it is full. Losing a line never stops the daemon. */
export class RotatingFile implements AsyncDisposable {
  readonly #options: RotatingFileOptions;
  readonly #sink: Sink;
  #sizeBytes: number;
  #isClosed = false;

  private constructor(options: RotatingFileOptions, sizeBytes: number) {
    this.#options = options;
    this.#sizeBytes = sizeBytes;
    this.#sink = destination({ dest: options.path, append: true, mkdir: true, mode: 0o600, sync: false });
    this.#sink.on('write', (written: number) => {
      this.#sizeBytes += written;
      if (this.#sizeBytes >= options.maxBytes && !this.#isClosed) this.#rotate();
    });
    // A full disk must not end the process; sonic-boom keeps trying with what it holds and drops beyond maxLength.
    this.#sink.on('error', () => {});
  }

  static async open(options: RotatingFileOptions): Promise<RotatingFile> {
    const sizeBytes = await readSize(options.path);
    if (sizeBytes < options.maxBytes) return new RotatingFile(options, sizeBytes);
    moveAside(options);
    return new RotatingFile(options, 0);
  }

  write(line: string): void {
    if (!this.#isClosed) this.#sink.write(line);
  }

  /** Writes what is buffered, at once: for a process about to end. */
  flushSync(): void {
    try {
      this.#sink.flushSync();
    } catch {
      // Not open yet, or the disk is full: there is nowhere left to say so.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sink.once('close', resolve);
    this.#sink.once('error', () => resolve());
    this.#sink.end();
    await promise;
  }

  /** Between two writes of the sink: the open file keeps its content under its new name until `reopen` takes another. */
  #rotate(): void {
    this.#sizeBytes = 0;
    try {
      moveAside(this.#options);
      this.#sink.reopen(this.#options.path);
    } catch {
      // The folder cannot be changed: the file grows on, and is tried again after as many bytes.
    }
  }
}

function moveAside({ path, keep }: RotatingFileOptions): void {
  for (let index = keep - 1; index >= 1; index -= 1) moveIfPresent(`${path}.${index}`, `${path}.${index + 1}`);
  if (keep > 0) moveIfPresent(path, `${path}.1`);
  else rmSync(path, { force: true });
}

function moveIfPresent(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

async function readSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
