import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { describeError } from '../lib/errors.ts';
import { makeFolder } from '../lib/make-folder.ts';
import type { Logger } from '../telemetry/interface.ts';
import { beginLog, type Compactable } from './begin-log.ts';
import { BLOCK_CACHE_BYTES, SCHEMA_VERSION } from './constants.ts';
import { StorageError } from './errors.ts';
import { GroupCommit } from './group-commit.ts';
import type {
  Codec,
  Database,
  KeyRange,
  Repository,
  WriteObserver,
  WriteOperation,
  WriteOptions,
} from './interface.ts';
import { MIGRATIONS, type Migration, migrate } from './migrations.ts';
import type { NamespaceName } from './namespaces.ts';
import { type ByteReader, NamespaceRepository } from './repository.ts';

export interface LevelDatabaseModules {
  readonly logger: Logger;
  readonly observer?: WriteObserver | undefined;
}

export interface LevelDatabaseOptions {
  /** For tests of migrations; the program's own otherwise. */
  readonly schema?: { readonly version: number; readonly migrations: readonly Migration[] };
}

type Store = Level<string, Uint8Array>;

const OPENING = 'its list of files';

/**
 * The database of one data folder in LevelDB. A key is stored as `<namespace>/<key>`: no namespace holds a slash, so
 * namespaces do not overlap, and one batch is atomic over all of them. LevelDB's own lock keeps a second process out;
 * `<path>.pid` beside it names the holder.
 */
export class LevelDatabase implements Database, ByteReader {
  readonly path: string;
  readonly #store: Store;
  readonly #commits: GroupCommit;
  #closed: Promise<void> | undefined;
  /** A write failed: the log may end with a piece of it, behind which nothing is found again. */
  #isLogTorn = false;

  private constructor(store: Store, path: string, observer: WriteObserver | undefined) {
    this.path = path;
    this.#store = store;
    this.#commits = new GroupCommit({
      commit: async (operations, options) => {
        await observer?.before(operations, options);
        await this.#commit(operations, options);
        await observer?.after(operations, options);
      },
    });
  }

  /**
   * Opens the folder, takes its lock and brings its schema up to date. Parent folders are made with mode 0700.
   * @throws StorageError STORAGE_LOCKED, STORAGE_CORRUPT, STORAGE_FULL, STORAGE_NEWER_SCHEMA, STORAGE_IO
   */
  static async open(
    path: string,
    modules: LevelDatabaseModules,
    options: LevelDatabaseOptions = {},
  ): Promise<LevelDatabase> {
    const store: Store = new Level(path, {
      keyEncoding: 'utf8',
      valueEncoding: 'view',
      cacheSize: BLOCK_CACHE_BYTES,
    });
    await openStore(store, path);
    const database = new LevelDatabase(store, path, modules.observer);
    try {
      await writeFile(pidPath(path), `${process.pid}\n`, { mode: 0o600 });
      const { version, migrations } = options.schema ?? { version: SCHEMA_VERSION, migrations: MIGRATIONS };
      await migrate(database, { path, current: version, migrations, logger: modules.logger });
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error instanceof StorageError ? error : toStorageError(error, path, 'the schema version');
    }
    return database;
  }

  repository<Value>(namespace: NamespaceName, codec: Codec<Value>): Repository<Value> {
    return new NamespaceRepository({ reader: this, writer: this, codec }, { namespace });
  }

  async write(operations: readonly WriteOperation[], options: WriteOptions = {}): Promise<void> {
    this.#assertOpen();
    if (operations.length > 0) await this.#commits.write(operations, options);
  }

  async getBytes(namespace: NamespaceName, key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    try {
      const value = await this.#store.get(`${namespace}/${key}`);
      return value === undefined ? undefined : toPlainBytes(value);
    } catch (error) {
      throw toStorageError(error, this.path, `${namespace}/${key}`);
    }
  }

  async hasKey(namespace: NamespaceName, key: string): Promise<boolean> {
    this.#assertOpen();
    try {
      return await this.#store.has(`${namespace}/${key}`);
    } catch (error) {
      throw toStorageError(error, this.path, `${namespace}/${key}`);
    }
  }

  async *byteEntries(
    namespace: NamespaceName,
    range: KeyRange,
  ): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    this.#assertOpen();
    const prefixLength = namespace.length + 1;
    try {
      for await (const [key, value] of this.#store.iterator(toStoreRange(namespace, range))) {
        yield [key.slice(prefixLength), toPlainBytes(value)];
      }
    } catch (error) {
      throw error instanceof StorageError ? error : toStorageError(error, this.path, namespace);
    }
  }

  /** Waits for what is being written, then closes and gives the lock back. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#commits.drain();
    await rm(pidPath(this.path), { force: true });
    await this.#store.close();
  }

  async #commit(operations: readonly WriteOperation[], options: WriteOptions): Promise<void> {
    const batch = operations.map((operation) =>
      operation.kind === 'put'
        ? { type: 'put' as const, key: `${operation.namespace}/${operation.key}`, value: operation.value }
        : { type: 'del' as const, key: `${operation.namespace}/${operation.key}` },
    );
    try {
      if (this.#isLogTorn) await beginLog(this.#store as unknown as Compactable, this.path);
      this.#isLogTorn = false;
      await this.#store.batch(batch, { sync: options.durable === true });
    } catch (error) {
      this.#isLogTorn = true;
      if (error instanceof StorageError) throw error;
      throw toStorageError(error, this.path, 'a write');
    }
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new StorageError({ code: 'STORAGE_CLOSED', path: this.path });
  }
}

/** LevelDB gives Buffers, which encoders and comparisons treat unlike a Uint8Array. */
function toPlainBytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** `<namespace>0` is the first key after every `<namespace>/…`: '0' follows '/' in ASCII. */
function toStoreRange(namespace: NamespaceName, range: KeyRange) {
  const prefixed = (key: string): string => `${namespace}/${key}`;
  const lower = range.gt === undefined ? { gte: prefixed(range.gte ?? '') } : { gt: prefixed(range.gt) };
  const upper =
    range.lt === undefined && range.lte === undefined
      ? { lt: `${namespace}0` }
      : range.lt === undefined
        ? { lte: prefixed(range.lte ?? '') }
        : { lt: prefixed(range.lt) };
  return { ...lower, ...upper, reverse: range.reverse ?? false, limit: range.limit ?? Number.POSITIVE_INFINITY };
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

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** LevelDB tells a full disk and a damaged file only in the text of its status (`IO error: …: No space left on device`). */
function toStorageError(error: unknown, path: string, where: string): StorageError {
  const code = errorCode(error);
  const reason = describeError(error);
  if (/no space left on device|disk quota exceeded/i.test(reason)) {
    return new StorageError({ code: 'STORAGE_FULL', path }, { cause: error });
  }
  // A file that CURRENT or the manifest names and that is not there: the folder itself is made before.
  const isFileMissing = where === OPENING && code.startsWith('LEVEL_') && /no such file/i.test(reason);
  if (isFileMissing || code === 'LEVEL_CORRUPTION' || /^corruption:/i.test(reason)) {
    return new StorageError({ code: 'STORAGE_CORRUPT', path, where, reason }, { cause: error });
  }
  if (code === 'LEVEL_DATABASE_NOT_OPEN' || code === 'LEVEL_ITERATOR_NOT_OPEN') {
    return new StorageError({ code: 'STORAGE_CLOSED', path }, { cause: error });
  }
  return new StorageError({ code: 'STORAGE_IO', path, reason }, { cause: error });
}
