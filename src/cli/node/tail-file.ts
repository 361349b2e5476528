import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { raceSignal } from '../../lib/abort.ts';
import { systemErrorCode } from '../../lib/system-error.ts';

/** Read at a time, bytes. */
const CHUNK_BYTES = 64 * 1024;
/** Longest line that is kept together, characters; the logger cuts its fields well below. */
const MAX_LINE_LENGTH = 1024 * 1024;

export interface TailOptions {
  /** Whole lines from the end to begin with. */
  readonly lines: number;
  /** Go on with what is appended, also after the file was moved aside for a new one. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Lines of a text file that another process appends to. @throws the system's error if it cannot be read at first */
export async function* tailFile(path: string, options: TailOptions): AsyncGenerator<string, void, undefined> {
  const { follow, lines, signal } = options;
  // Begins before the first read, so that nothing falls between.
  using changes = follow ? new FolderChanges(dirname(path), signal) : undefined;
  let file = await open(path, 'r');
  try {
    let reader = new LineReader(file, await findStart(file, lines));
    yield* reader.read();
    while (changes !== undefined) {
      await changes.next();
      yield* reader.read();
      const next = await openIfOther(path, file);
      if (next === undefined) continue;
      await file.close();
      file = next;
      reader = new LineReader(file, 0);
      yield* reader.read();
    }
  } finally {
    await file.close();
  }
}

/** Tells that something in a folder has changed since it was last asked; many changes are one. */
class FolderChanges implements Disposable {
  readonly #watcher: FSWatcher;
  readonly #signal: AbortSignal;
  #changed = Promise.withResolvers<void>();
  #failure: Error | undefined;

  constructor(folder: string, signal: AbortSignal) {
    this.#signal = signal;
    this.#watcher = watch(folder, () => this.#changed.resolve());
    this.#watcher.on('error', (error) => {
      this.#failure = error;
      this.#changed.resolve();
    });
  }

  async next(): Promise<void> {
    await raceSignal(this.#changed.promise, this.#signal);
    if (this.#failure !== undefined) throw this.#failure;
    this.#changed = Promise.withResolvers();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}

/** Where the last `lines` lines begin. */
async function findStart(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let found = 0;
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK_BYTES);
    const { bytesRead } = await file.read(chunk, 0, end - from, from);
    for (let index = bytesRead - 1; index >= 0; index -= 1) {
      if (chunk[index] !== 0x0a || from + index === size - 1) continue;
      found += 1;
      if (found === lines) return from + index + 1;
    }
    end = from;
  }
  return lines === 0 ? size : 0;
}

async function openIfOther(path: string, file: FileHandle): Promise<FileHandle | undefined> {
  const next = await open(path, 'r').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (next === undefined) return undefined;
  const [{ ino: newInode }, { ino }] = await Promise.all([next.stat(), file.stat()]);
  if (newInode !== ino) return next;
  await next.close();
  return undefined;
}

class LineReader {
  readonly #file: FileHandle;
  readonly #decoder = new TextDecoder();
  #position: number;
  #rest = '';

  constructor(file: FileHandle, position: number) {
    this.#file = file;
    this.#position = position;
  }

  async *read(): AsyncGenerator<string, void, undefined> {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(chunk, 0, CHUNK_BYTES, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      const text = this.#rest + this.#decoder.decode(chunk.subarray(0, bytesRead), { stream: true });
      const lines = text.split('\n');
      this.#rest = (lines.pop() ?? '').slice(-MAX_LINE_LENGTH);
      yield* lines;
    }
  }
}
