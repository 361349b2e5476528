/**
 * storage owns the one LevelDB of a data folder, its namespaces, its lock, migrations and atomic writes.
 * It does not own what is stored: each folder keeps its own repositories over a namespace.
 * A write is on disk (fsync) before its promise resolves if it is `durable`; writes of one call are atomic.
 */
import type { StorageError } from './errors.ts';
import type { NamespaceName } from './namespaces.ts';

export interface Codec<Value> {
  encode(value: Value): Uint8Array;
  decode(bytes: Uint8Array): Value;
}

export interface WriteOptions {
  /** Wait until it survives a power cut; without it, it survives a crash of the process only. */
  readonly durable?: boolean;
}

/** One change, to be applied with others through `Database.write`. */
export type WriteOperation =
  | { readonly kind: 'put'; readonly namespace: NamespaceName; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly namespace: NamespaceName; readonly key: string };

export interface KeyRange {
  readonly gte?: string;
  readonly gt?: string;
  readonly lt?: string;
  readonly lte?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface EntriesOptions {
  /** Told of an entry that cannot be read, which is left out; without it such an entry ends the iteration. */
  readonly onDamaged?: (key: string, error: StorageError) => void;
}

/** Typed view of one namespace. Keys are ordered as strings. */
export interface Repository<Value> {
  get(key: string): Promise<Value | undefined>;
  has(key: string): Promise<boolean>;
  put(key: string, value: Value, options?: WriteOptions): Promise<void>;
  delete(key: string, options?: WriteOptions): Promise<void>;
  /** @throws StorageError STORAGE_CORRUPT, naming the entry, unless `onDamaged` is told */
  entries(range?: KeyRange, options?: EntriesOptions): AsyncIterable<readonly [key: string, value: Value]>;
  /** The same changes as values, for an atomic write over several namespaces. */
  putOperation(key: string, value: Value): WriteOperation;
  deleteOperation(key: string): WriteOperation;
}

export interface Database extends AsyncDisposable {
  repository<Value>(namespace: NamespaceName, codec: Codec<Value>): Repository<Value>;
  /** All or nothing. @throws StorageError STORAGE_FULL, STORAGE_CORRUPT, STORAGE_CLOSED */
  write(operations: readonly WriteOperation[], options?: WriteOptions): Promise<void>;
}

/** All of a database at one moment, in the form in which it is stored, checksums included. */
export interface DatabaseCopy extends AsyncDisposable {
  entries(): AsyncIterable<readonly [key: string, value: Uint8Array]>;
}

/**
 * Is told of each group of writes that is committed together, around its commit. What it throws fails those writes:
 * before, nothing of them is stored; after, all of them are.
 */
export interface WriteObserver {
  before(operations: readonly WriteOperation[], options: WriteOptions): void | Promise<void>;
  after(operations: readonly WriteOperation[], options: WriteOptions): void | Promise<void>;
}

/** One change to a file that a store keeps beside the database; `name` is relative to the store's folder. */
export interface DiskEffect {
  readonly store: 'snapshots' | 'blobs';
  readonly kind: 'create' | 'write' | 'sync' | 'rename' | 'remove' | 'sync-folder';
  readonly name: string;
}

/** As `WriteObserver`, for files. */
export interface DiskObserver {
  before(effect: DiskEffect): void | Promise<void>;
  after(effect: DiskEffect): void | Promise<void>;
}
