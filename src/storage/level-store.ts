import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { makeFolder } from '../lib/make-folder.ts';
import { beginLog, type Compactable } from './begin-log.ts';
import { removeClosingNote, writeClosingNote } from './closing-note.ts';
import { BLOCK_CACHE_BYTES } from './constants.ts';
import { StorageError } from './errors.ts';
import { errorCode, OPENING, toStorageError } from './storage-failure.ts';

type Store = Level<string, Uint8Array>;
type Snapshot = ReturnType<Store['snapshot']>;

export type StoredOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

export interface StoredRange {
  readonly gte?: string;
  readonly gt?: string;
  readonly lt?: string;
  readonly lte?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** The one LevelDB of a folder: whole keys, values as they are stored, errors with codes. `<path>.pid` names its holder. */
export class LevelStore implements AsyncDisposable {
  readonly path: string;
  readonly #store: Store;
  /** A write failed: the log may end with a piece of it, behind which nothing is found again. */
  #isLogTorn = false;

  private constructor(store: Store, path: string) {
    this.path = path;
    this.#store = store;
  }

  /** @throws StorageError STORAGE_LOCKED, STORAGE_CORRUPT, STORAGE_FULL, STORAGE_IO */
  static async open(path: string): Promise<LevelStore> {
    const store: Store = new Level(path, { keyEncoding: 'utf8', valueEncoding: 'view', cacheSize: BLOCK_CACHE_BYTES });
    await openStore(store, path);
    await removeClosingNote(path);
    await writeFile(pidPath(path), `${process.pid}\n`, { mode: 0o600 });
    return new LevelStore(store, path);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    try {
      const value = await this.#store.get(key);
      return value === undefined ? undefined : toPlainBytes(value);
    } catch (error) {
      throw toStorageError(error, this.path, key);
    }
  }

  async has(key: string): Promise<boolean> {
    try {
      return await this.#store.has(key);
    } catch (error) {
      throw toStorageError(error, this.path, key);
    }
  }

  async *entries(
    range: StoredRange,
    { snapshot }: { readonly snapshot?: Snapshot } = {},
  ): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = range;
    let before = range.gte ?? range.gt ?? '';
    try {
      const options = { ...range, limit, reverse, ...(snapshot === undefined ? {} : { snapshot }) };
      for await (const [key, value] of this.#store.iterator(options)) {
        yield [key, toPlainBytes(value)];
        before = key;
      }
    } catch (error) {
      throw toStorageError(error, this.path, `what comes ${reverse ? 'before' : 'after'} ${before}`);
    }
  }

  /** The moment of all of it, until it is disposed of. */
  snapshot(): Snapshot {
    return this.#store.snapshot();
  }

  async commit(operations: readonly StoredOperation[], options: { readonly isDurable: boolean }): Promise<void> {
    try {
      if (this.#isLogTorn) await beginLog(this.#store as unknown as Compactable, this.path);
      this.#isLogTorn = false;
      await this.#store.batch([...operations], { sync: options.isDurable });
    } catch (error) {
      this.#isLogTorn = true;
      throw toStorageError(error, this.path, 'a write');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store.close();
    // A log that ends torn is not one that was closed well.
    if (!this.#isLogTorn) await writeClosingNote(this.path).catch(() => removeClosingNote(this.path));
    await rm(pidPath(this.path), { force: true });
  }
}

/** LevelDB gives Buffers, which encoders and comparisons treat unlike a Uint8Array. */
function toPlainBytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

async function openStore(store: Store, path: string): Promise<void> {
  try {
    await makeFolder(dirname(path), 0o700);
    await store.open();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    if (errorCode(cause) === 'LEVEL_LOCKED') {
      throw new StorageError({ code: 'STORAGE_LOCKED', path, pid: await readHolder(path) }, { cause });
    }
    throw toStorageError(cause, path, OPENING);
  }
}

function pidPath(path: string): string {
  return `${path}.pid`;
}

async function readHolder(path: string): Promise<number | null> {
  try {
    const pid = Number((await readFile(pidPath(path), 'utf8')).trim());
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    // The holder has not written it yet, or it is unreadable: the lock itself is what counts.
    return null;
  }
}
