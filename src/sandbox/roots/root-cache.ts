import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';

/** SHA-256 of what it is unpacked from, and what the tree takes on disk. */
const ENTRY_NAME = /^([0-9a-f]{64})-(\d{1,15})$/;
/** Others may pass through, since sandboxes of root run as nobody, and not look around. */
const FOLDER_MODE = 0o711;

export interface RootCacheModules {
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RootCacheOptions {
  readonly folder: string;
  /** Most that all roots take on disk together; one that is larger is refused. */
  readonly maxBytes: number;
}

/** Fills an empty folder, at most so many bytes on disk; how many it took. @throws SandboxError SANDBOX_ROOT_REFUSED; Error */
export type Unpack = (folder: string, options: { readonly maxBytes: number }) => Promise<number>;

/** An unpacked root that stays while it is held. */
export interface HeldRoot extends Disposable {
  readonly folder: string;
}

interface Entry {
  readonly name: string;
  readonly sizeBytes: number;
  usedAtMs: number;
  holders: number;
}

/** Archives unpacked once, by digest; the ones that were used longest ago go first. Serves one process. */
export class RootCache {
  readonly #modules: RootCacheModules;
  readonly #options: RootCacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #unpacking = new Map<string, Promise<Entry>>();
  #opened: Promise<void> | null = null;

  constructor(modules: RootCacheModules, options: RootCacheOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** @throws SandboxError SANDBOX_ROOT_REFUSED; Error of the file system; the signal's reason */
  async hold(digest: string, unpack: Unpack, signal: AbortSignal): Promise<HeldRoot> {
    this.#opened ??= this.#open();
    await this.#opened;
    let entry = this.#entries.get(digest);
    // What was just unpacked may have made room for another root before this goes on.
    while (entry === undefined || this.#entries.get(digest) !== entry) {
      entry = await raceSignal(this.#unpackOnce(digest, unpack), signal);
    }
    entry.holders += 1;
    entry.usedAtMs = this.#modules.clock.nowMs();
    const folder = join(this.#options.folder, entry.name);
    const atS = entry.usedAtMs / 1000;
    // Only the order in which a later process drops them depends on it.
    void utimes(folder, atS, atS).catch(() => {});
    return {
      folder,
      [Symbol.dispose]: () => {
        entry.holders -= 1;
      },
    };
  }

  /** What a process before this one left half unpacked goes. */
  async #open(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true });
    await chmod(folder, FOLDER_MODE);
    for (const name of await readdir(folder)) {
      const [, digest, size] = ENTRY_NAME.exec(name) ?? [];
      if (digest === undefined) await rm(join(folder, name), { recursive: true, force: true });
      else {
        const { mtimeMs } = await stat(join(folder, name));
        this.#entries.set(digest, { name, sizeBytes: Number(size), usedAtMs: mtimeMs, holders: 0 });
      }
    }
    await this.#evict();
  }

  /** Whoever waits for it may go; it is unpacked to its end, for the next one. */
  async #unpackOnce(digest: string, unpack: Unpack): Promise<Entry> {
    const running = this.#unpacking.get(digest);
    if (running !== undefined) return await running;
    const unpacking = this.#unpack(digest, unpack).finally(() => this.#unpacking.delete(digest));
    this.#unpacking.set(digest, unpacking);
    unpacking.catch(() => {});
    return await unpacking;
  }

  async #unpack(digest: string, unpack: Unpack): Promise<Entry> {
    const { folder, maxBytes } = this.#options;
    const partial = join(folder, `${digest}.${randomUUID()}.partial`);
    await mkdir(partial);
    await chmod(partial, 0o755);
    try {
      const sizeBytes = await unpack(partial, { maxBytes });
      const entry = { name: `${digest}-${sizeBytes}`, sizeBytes, usedAtMs: this.#modules.clock.nowMs(), holders: 0 };
      await rename(partial, join(folder, entry.name));
      this.#entries.set(digest, entry);
      await this.#evict(digest);
      return entry;
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }

  async #evict(kept?: string): Promise<void> {
    const idle = [...this.#entries].filter(([digest, { holders }]) => holders === 0 && digest !== kept);
    idle.sort(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
    let total = [...this.#entries.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const [digest, { name, sizeBytes }] of idle) {
      if (total <= this.#options.maxBytes) return;
      this.#entries.delete(digest);
      total -= sizeBytes;
      await rm(join(this.#options.folder, name), { recursive: true, force: true }).catch((error: unknown) => {
        this.#modules.logger.warn({ error, name }, 'an unpacked root could not be removed');
      });
    }
  }
}
