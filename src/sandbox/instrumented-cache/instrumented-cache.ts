import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import type { Clock } from '../../lib/clock.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import type { InstrumentedModule } from '../../wasm/instrument/instrument.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';

export interface InstrumentedCacheOptions {
  /** Made with mode 0700 when it is first needed. */
  readonly folder: string;
  /** What all entries may take together; the one used longest ago goes first. */
  readonly maxBytes: number;
}

export const DEFAULT_CACHE_BYTES = 256 * 1024 * 1024;

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const SUFFIX = '.instrumented';
const KEY_PATTERN = /^[0-9a-f]{64}$/;
/** A temporary file of a write that never ended is removed after an hour: a write takes seconds. */
const ABANDONED_AFTER_MS = 3_600_000;

/** `unwritable`: the disk refused; the module was made all the same. */
export type PutResult = 'stored' | 'too-large' | 'unwritable';

/**
 * Instrumented modules on disk, by `computeCacheKey`. Entries are written whole or not at all, checked by their digest when
 * they are read, and removed where they are damaged, so any number of processes may use a folder at once. It trusts
 * whoever may write to the folder: no sandboxed child can.
 */
export class InstrumentedCache {
  private readonly clock: Clock;
  private readonly options: InstrumentedCacheOptions;

  constructor(modules: { readonly clock: Clock }, options: InstrumentedCacheOptions) {
    this.clock = modules.clock;
    this.options = options;
  }

  /** Null if it is not there; a cache that cannot be read is empty. */
  async get(key: string): Promise<InstrumentedModule | null> {
    const path = this.pathOf(key);
    const entry = await this.read(path);
    if (entry === null) return null;
    const module = decodeEntry(entry);
    if (module === null) await rm(path, { force: true }).catch(() => {});
    else await this.touch(path);
    return module;
  }

  async put(key: string, module: InstrumentedModule): Promise<PutResult> {
    const entry = encodeEntry(module);
    if (entry === null || entry.length > this.options.maxBytes) return 'too-large';
    try {
      await makeFolder(this.options.folder, FOLDER_MODE);
      await writeFileAtomic(this.pathOf(key), entry, { mode: FILE_MODE, existing: 'replace' });
      await this.touch(this.pathOf(key));
      await this.shrink();
      return 'stored';
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
      return 'unwritable';
    }
  }

  private pathOf(key: string): string {
    if (!KEY_PATTERN.test(key)) throw new TypeError('a key of the cache is 64 hexadecimal digits');
    return join(this.options.folder, key + SUFFIX);
  }

  private async read(path: string): Promise<Uint8Array | null> {
    try {
      const { size } = await stat(path);
      return size > this.options.maxBytes ? new Uint8Array(0) : await readFile(path);
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
      return null;
    }
  }

  /** The time of the last use is that of the file. */
  private async touch(path: string): Promise<void> {
    const now = new Date(this.clock.nowMs());
    await utimes(path, now, now).catch(() => {});
  }

  private async shrink(): Promise<void> {
    const files = await this.list();
    const now = this.clock.nowMs();
    const isAbandoned = ({ name, usedAtMs }: CacheFile): boolean =>
      name.endsWith('.tmp') && now - usedAtMs > ABANDONED_AFTER_MS;
    for (const file of files.filter(isAbandoned)) await rm(file.path, { force: true });
    const entries = files.filter(({ name }) => name.endsWith(SUFFIX)).sort((a, b) => a.usedAtMs - b.usedAtMs);
    let total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { path, sizeBytes } of entries) {
      if (total <= this.options.maxBytes) return;
      await rm(path, { force: true });
      total -= sizeBytes;
    }
  }

  /** Another process may take a file away between the two calls. */
  private async list(): Promise<CacheFile[]> {
    const { folder } = this.options;
    const names = await readdir(folder);
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(folder, name);
        const file = await stat(path).catch(() => null);
        return file === null ? [] : [{ name, path, sizeBytes: file.size, usedAtMs: file.mtimeMs }];
      }),
    );
    return found.flat();
  }
}

interface CacheFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
}
