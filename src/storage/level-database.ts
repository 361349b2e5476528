import type { Logger } from '../telemetry/interface.ts';
import { checkBeforeOpen } from './check-before-open.ts';
import { ENTRY_CHECKSUMS_KEY, SCHEMA_VERSION } from './constants.ts';
import { StorageError } from './errors.ts';
import { GroupCommit } from './group-commit.ts';
import type {
  Codec,
  Database,
  DatabaseCopy,
  EntriesOptions,
  KeyRange,
  Repository,
  WriteObserver,
  WriteOperation,
  WriteOptions,
} from './interface.ts';
import { LevelStore, type StoredOperation, type StoredRange } from './level-store.ts';
import type { Migration } from './migrations/migration.ts';
import { MIGRATIONS, migrate } from './migrations.ts';
import type { NamespaceName } from './namespaces.ts';
import { type ByteReader, NamespaceRepository } from './repository.ts';
import { openSealedValue, sealValue } from './sealed-value.ts';

export interface LevelDatabaseModules {
  readonly logger: Logger;
  readonly observer?: WriteObserver | undefined;
}

export interface LevelDatabaseOptions {
  /** For tests of migrations; the program's own otherwise. */
  readonly schema?: { readonly version: number; readonly migrations: readonly Migration[] };
  /** Neither migrates nor refuses what a newer program wrote: for those who look at it. */
  readonly isAsFound?: true;
}

/**
 * The database of one data folder in LevelDB. A key is stored as `<namespace>/<key>`: no namespace holds a slash, so
 * namespaces do not overlap, and one batch is atomic over all of them. Every value but those of `meta` is stored with a
 * checksum. LevelDB's own lock keeps a second process out; `<path>.pid` beside it names the holder.
 */
export class LevelDatabase implements Database, ByteReader {
  readonly path: string;
  readonly #store: LevelStore;
  readonly #commits: GroupCommit;
  /** False for a database of schema 1, until it was migrated: an entry has a checksum then or has none. */
  #isSealed = false;
  #closed: Promise<void> | undefined;

  private constructor(store: LevelStore, observer: WriteObserver | undefined) {
    this.path = store.path;
    this.#store = store;
    this.#commits = new GroupCommit({
      commit: async (operations, options) => {
        await observer?.before(operations, options);
        const stored = operations.map((operation) => this.#toStored(operation));
        await store.commit(stored, { isDurable: options.durable === true });
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
    await checkBeforeOpen(path, modules.logger);
    const database = new LevelDatabase(await LevelStore.open(path), modules.observer);
    try {
      await database.#detectForm();
      const { version, migrations } = options.schema ?? { version: SCHEMA_VERSION, migrations: MIGRATIONS };
      const onVersion = (): Promise<void> => database.#detectForm();
      if (options.isAsFound !== true)
        await migrate(database, { path, current: version, migrations, logger: modules.logger, onVersion });
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
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
    const stored = await this.#store.get(`${namespace}/${key}`);
    const value = stored === undefined ? undefined : this.#open(namespace, key, stored);
    if (value instanceof StorageError) throw value;
    return value;
  }

  async hasKey(namespace: NamespaceName, key: string): Promise<boolean> {
    this.#assertOpen();
    return await this.#store.has(`${namespace}/${key}`);
  }

  async *byteEntries(
    namespace: NamespaceName,
    range: KeyRange,
    { onDamaged }: EntriesOptions = {},
  ): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    this.#assertOpen();
    const prefixLength = namespace.length + 1;
    for await (const [stored, sealed] of this.#store.entries(toStoredRange(namespace, range))) {
      const key = stored.slice(prefixLength);
      const value = this.#open(namespace, key, sealed);
      if (!(value instanceof StorageError)) yield [key, value];
      else if (onDamaged === undefined) throw value;
      else onDamaged(key, value);
    }
  }

  /** An entry by its whole key, as it is stored: for those who keep a copy of what they cannot read. */
  async readStored(key: string): Promise<Uint8Array | undefined> {
    this.#assertOpen();
    return await this.#store.get(key);
  }

  /** All entries as they are stored, at one moment: what is written meanwhile is not among them. */
  copy(): DatabaseCopy {
    this.#assertOpen();
    const snapshot = this.#store.snapshot();
    return {
      entries: () => this.#store.entries({}, { snapshot }),
      [Symbol.asyncDispose]: () => snapshot.close(),
    };
  }

  /** Waits for what is being written, then closes and gives the lock back. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#commits.drain();
    await this.#store[Symbol.asyncDispose]();
  }

  async #detectForm(): Promise<void> {
    this.#isSealed =
      (await this.#store.has(`meta/${ENTRY_CHECKSUMS_KEY}`)) || !(await this.#store.has('meta/schema-version'));
  }

  #toStored(operation: WriteOperation): StoredOperation {
    const key = `${operation.namespace}/${operation.key}`;
    if (operation.kind === 'delete') return { type: 'del', key };
    const isSealed = this.#isSealed && operation.namespace !== 'meta';
    return { type: 'put', key, value: isSealed ? sealValue(key, operation.value) : operation.value };
  }

  #open(namespace: NamespaceName, key: string, stored: Uint8Array): Uint8Array | StorageError {
    if (namespace === 'meta') return stored;
    const where = `${namespace}/${key}`;
    const value = openSealedValue(where, stored);
    // A migration that was cut off has given some their checksum already, and its cursor may be lost.
    if (!this.#isSealed) return value ?? stored;
    if (value !== undefined) return value;
    return new StorageError({ code: 'STORAGE_CORRUPT', path: this.path, where, reason: 'its checksum is another' });
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new StorageError({ code: 'STORAGE_CLOSED', path: this.path });
  }
}

/** `<namespace>0` is the first key after every `<namespace>/…`: '0' follows '/' in ASCII. */
function toStoredRange(namespace: NamespaceName, range: KeyRange): StoredRange {
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
