import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { describeError } from '../../lib/errors.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { LocalnetError } from '../errors.ts';
import type { ChainStore, StoreChange, StoreRange } from './interface.ts';

interface PendingWrite {
  readonly changes: readonly StoreChange[];
  readonly isDurable: boolean;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * A database of its own in the folder of the chain: it is no part of the daemon's, may be thrown away at any time, and
 * several daemons share the chain while each has its own data folder. Writes that meet share one fsync.
 */
export class LevelChainStore implements ChainStore {
  readonly #level: Level<string, Uint8Array>;
  readonly #directory: string;
  #pending: PendingWrite[] = [];
  #writing: Promise<void> | undefined;
  #failure: LocalnetError | undefined;

  private constructor(level: Level<string, Uint8Array>, directory: string) {
    this.#level = level;
    this.#directory = directory;
  }

  /** Takes LevelDB's lock on the folder. @throws LocalnetError LOCALNET_IN_USE, LOCALNET_CORRUPT, LOCALNET_DISK */
  static async open(directory: string): Promise<LevelChainStore> {
    const level = new Level<string, Uint8Array>(directory, { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await makeFolder(dirname(directory), 0o700);
      await level.open();
    } catch (error) {
      throw toOpenError(error, directory);
    }
    return new LevelChainStore(level, directory);
  }

  /** Removes the state, once nobody uses it. @throws LocalnetError LOCALNET_IN_USE, LOCALNET_DISK */
  static async reset(directory: string): Promise<void> {
    try {
      const store = await LevelChainStore.open(directory);
      await store[Symbol.asyncDispose]();
    } catch (error) {
      if (!(error instanceof LocalnetError) || error.code !== 'LOCALNET_CORRUPT') throw error;
    }
    try {
      await rm(directory, { recursive: true, force: true });
    } catch (error) {
      throw new LocalnetError({ code: 'LOCALNET_DISK', directory, reason: describeError(error) }, { cause: error });
    }
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const value = await this.#level.get(key);
    return value === undefined ? undefined : toPlainBytes(value);
  }

  async *range({ gte, lt, reverse = false, limit = -1 }: StoreRange): AsyncIterable<readonly [string, Uint8Array]> {
    for await (const [key, value] of this.#level.iterator({ gte, lt, reverse, limit }))
      yield [key, toPlainBytes(value)];
  }

  write(changes: readonly StoreChange[], { durable = false }: { readonly durable?: boolean } = {}): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#pending.push({ changes, isDurable: durable, done });
    this.#writing ??= this.#writeAll();
    return done.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#level.close();
  }

  async #writeAll(): Promise<void> {
    // One turn, so that writes of the same moment are taken together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      await this.#writeBatch(batch);
    }
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly PendingWrite[]): Promise<void> {
    const operations = batch.flatMap(({ changes }) =>
      changes.map(({ key, value }) =>
        value === null ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
      ),
    );
    try {
      // LevelDB forgets, when it opens again, what it wrote behind a piece of a record that did not fit the disk.
      if (this.#failure !== undefined) throw this.#failure;
      await this.#level.batch(operations, { sync: batch.some(({ isDurable }) => isDurable) });
      for (const { done } of batch) done.resolve();
    } catch (error) {
      this.#failure ??= new LocalnetError(
        { code: 'LOCALNET_DISK', directory: this.#directory, reason: describeError(error) },
        { cause: error },
      );
      for (const { done } of batch) done.reject(this.#failure);
    }
  }
}

function toPlainBytes(value: Uint8Array): Uint8Array {
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function toOpenError(error: unknown, directory: string): LocalnetError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = systemErrorCode(cause) ?? '';
  const reason = describeError(cause);
  if (code === 'LEVEL_LOCKED') return new LocalnetError({ code: 'LOCALNET_IN_USE', directory }, { cause });
  if (code === 'LEVEL_CORRUPTION' || /^corruption:/i.test(reason)) {
    return new LocalnetError({ code: 'LOCALNET_CORRUPT', directory, where: 'its list of files', reason }, { cause });
  }
  return new LocalnetError({ code: 'LOCALNET_DISK', directory, reason }, { cause });
}
