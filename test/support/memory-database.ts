import { describeError } from '../../src/lib/errors.ts';
import { StorageError } from '../../src/storage/errors.ts';
import type {
  Codec,
  Database,
  EntriesOptions,
  KeyRange,
  Repository,
  WriteOperation,
  WriteOptions,
} from '../../src/storage/interface.ts';
import type { NamespaceName } from '../../src/storage/namespaces.ts';

/**
 * A `Database` without a disk. Values pass through their codec, so what cannot be encoded fails here too.
 * `clone()` is what a restarted process would find; `onWrite` lets a test fail or observe a write before it is applied.
 */
export class MemoryDatabase implements Database {
  readonly #namespaces = new Map<NamespaceName, Map<string, Uint8Array>>();
  #isClosed = false;
  /** Entries, as `namespace/key`, that are read as ones with another checksum are. */
  readonly damaged = new Set<string>();
  /** What a write has to wait for before anything of it is there. */
  hold: ((operations: readonly WriteOperation[]) => Promise<void> | undefined) | undefined;
  onWrite: ((operations: readonly WriteOperation[], options: WriteOptions) => void) | undefined;

  repository<Value>(namespace: NamespaceName, codec: Codec<Value>): Repository<Value> {
    return new MemoryRepository(this, namespace, codec);
  }

  async write(operations: readonly WriteOperation[], options: WriteOptions = {}): Promise<void> {
    this.assertOpen();
    if (this.hold !== undefined) await this.hold(operations);
    this.onWrite?.(operations, options);
    for (const operation of operations) {
      const rows = this.rows(operation.namespace);
      if (operation.kind === 'put') rows.set(operation.key, operation.value.slice());
      else rows.delete(operation.key);
    }
  }

  rows(namespace: NamespaceName): Map<string, Uint8Array> {
    let rows = this.#namespaces.get(namespace);
    if (rows === undefined) {
      rows = new Map();
      this.#namespaces.set(namespace, rows);
    }
    return rows;
  }

  assertOpen(): void {
    if (this.#isClosed) throw new StorageError({ code: 'STORAGE_CLOSED', path: 'memory' });
  }

  /** A new, open database with the same rows. */
  clone(): MemoryDatabase {
    const copy = new MemoryDatabase();
    for (const where of this.damaged) copy.damaged.add(where);
    for (const [namespace, rows] of this.#namespaces) {
      for (const [key, value] of rows) copy.rows(namespace).set(key, value.slice());
    }
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }
}

class MemoryRepository<Value> implements Repository<Value> {
  readonly #database: MemoryDatabase;
  readonly #namespace: NamespaceName;
  readonly #codec: Codec<Value>;

  constructor(database: MemoryDatabase, namespace: NamespaceName, codec: Codec<Value>) {
    this.#database = database;
    this.#namespace = namespace;
    this.#codec = codec;
  }

  async get(key: string): Promise<Value | undefined> {
    this.#database.assertOpen();
    const bytes = this.#database.rows(this.#namespace).get(key);
    return bytes === undefined ? undefined : this.#decode(key, bytes);
  }

  async has(key: string): Promise<boolean> {
    this.#database.assertOpen();
    return this.#database.rows(this.#namespace).has(key);
  }

  async put(key: string, value: Value, options?: WriteOptions): Promise<void> {
    await this.#database.write([this.putOperation(key, value)], options);
  }

  async delete(key: string, options?: WriteOptions): Promise<void> {
    await this.#database.write([this.deleteOperation(key)], options);
  }

  async *entries(
    range: KeyRange = {},
    { onDamaged }: EntriesOptions = {},
  ): AsyncIterable<readonly [key: string, value: Value]> {
    this.#database.assertOpen();
    const rows = this.#database.rows(this.#namespace);
    const keys = [...rows.keys()].filter((key) => isInRange(key, range)).sort(compareUtf8);
    if (range.reverse === true) keys.reverse();
    const limited = range.limit === undefined || range.limit < 0 ? keys : keys.slice(0, range.limit);
    const snapshot = limited.map((key) => [key, rows.get(key) as Uint8Array] as const);
    for (const [key, bytes] of snapshot) {
      let value: Value;
      try {
        value = this.#decode(key, bytes);
      } catch (error) {
        if (!(error instanceof StorageError) || onDamaged === undefined) throw error;
        onDamaged(key, error);
        continue;
      }
      yield [key, value];
    }
  }

  #decode(key: string, bytes: Uint8Array): Value {
    const where = `${this.#namespace}/${key}`;
    try {
      if (this.#database.damaged.has(where)) throw new TypeError('its checksum is another');
      return this.#codec.decode(bytes.slice());
    } catch (error) {
      throw new StorageError(
        { code: 'STORAGE_CORRUPT', path: 'memory', where, reason: describeError(error) },
        { cause: error },
      );
    }
  }

  putOperation(key: string, value: Value): WriteOperation {
    return { kind: 'put', namespace: this.#namespace, key, value: this.#codec.encode(value) };
  }

  deleteOperation(key: string): WriteOperation {
    return { kind: 'delete', namespace: this.#namespace, key };
  }
}

/** LevelDB orders keys by their UTF-8 bytes. */
function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function isInRange(key: string, range: KeyRange): boolean {
  if (range.gt !== undefined && compareUtf8(key, range.gt) <= 0) return false;
  if (range.gte !== undefined && compareUtf8(key, range.gte) < 0) return false;
  if (range.lt !== undefined && compareUtf8(key, range.lt) >= 0) return false;
  if (range.lte !== undefined && compareUtf8(key, range.lte) > 0) return false;
  return true;
}
