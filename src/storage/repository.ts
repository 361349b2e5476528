import { describeError } from '../lib/errors.ts';
import { StorageError } from './errors.ts';
import type {
  Codec,
  Database,
  EntriesOptions,
  KeyRange,
  Repository,
  WriteOperation,
  WriteOptions,
} from './interface.ts';
import type { NamespaceName } from './namespaces.ts';

/** The untyped reads that a repository needs of a database. */
export interface ByteReader {
  readonly path: string;
  getBytes(namespace: NamespaceName, key: string): Promise<Uint8Array | undefined>;
  hasKey(namespace: NamespaceName, key: string): Promise<boolean>;
  byteEntries(
    namespace: NamespaceName,
    range: KeyRange,
    options: EntriesOptions,
  ): AsyncIterable<readonly [key: string, value: Uint8Array]>;
}

export interface RepositoryModules<Value> {
  readonly reader: ByteReader;
  readonly writer: Pick<Database, 'write'>;
  readonly codec: Codec<Value>;
}

/** Typed view of one namespace of any database. */
export class NamespaceRepository<Value> implements Repository<Value> {
  readonly #modules: RepositoryModules<Value>;
  readonly #namespace: NamespaceName;

  constructor(modules: RepositoryModules<Value>, options: { readonly namespace: NamespaceName }) {
    this.#modules = modules;
    this.#namespace = options.namespace;
  }

  async get(key: string): Promise<Value | undefined> {
    const bytes = await this.#modules.reader.getBytes(this.#namespace, key);
    return bytes === undefined ? undefined : this.#decode(key, bytes);
  }

  has(key: string): Promise<boolean> {
    return this.#modules.reader.hasKey(this.#namespace, key);
  }

  async put(key: string, value: Value, options?: WriteOptions): Promise<void> {
    await this.#modules.writer.write([this.putOperation(key, value)], options);
  }

  async delete(key: string, options?: WriteOptions): Promise<void> {
    await this.#modules.writer.write([this.deleteOperation(key)], options);
  }

  async *entries(
    range: KeyRange = {},
    options: EntriesOptions = {},
  ): AsyncIterable<readonly [key: string, value: Value]> {
    for await (const [key, bytes] of this.#modules.reader.byteEntries(this.#namespace, range, options)) {
      let value: Value;
      try {
        value = this.#decode(key, bytes);
      } catch (error) {
        if (!(error instanceof StorageError) || options.onDamaged === undefined) throw error;
        options.onDamaged(key, error);
        continue;
      }
      yield [key, value];
    }
  }

  putOperation(key: string, value: Value): WriteOperation {
    return { kind: 'put', namespace: this.#namespace, key, value: this.#modules.codec.encode(value) };
  }

  deleteOperation(key: string): WriteOperation {
    return { kind: 'delete', namespace: this.#namespace, key };
  }

  #decode(key: string, bytes: Uint8Array): Value {
    try {
      return this.#modules.codec.decode(bytes);
    } catch (error) {
      throw new StorageError(
        {
          code: 'STORAGE_CORRUPT',
          path: this.#modules.reader.path,
          where: `${this.#namespace}/${key}`,
          reason: describeError(error).slice(0, 300),
        },
        { cause: error },
      );
    }
  }
}
