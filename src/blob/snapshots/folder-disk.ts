import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { syncDirectory } from '../../lib/atomic-file.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { SharedFile } from '../shared-file.ts';
import { OPEN_PACKS } from './constants.ts';
import type { PackDisk, PackOutput } from './pack-disk.ts';

export class FolderDisk implements PackDisk {
  readonly #folder: string;
  readonly #open = new LRUCache<string, SharedFile>({
    max: OPEN_PACKS,
    dispose: (file) => void file.retire(),
  });

  constructor(options: { readonly folder: string }) {
    this.#folder = options.folder;
  }

  async start(): Promise<void> {
    await makeFolder(this.#folder, 0o700);
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  }

  async measure(name: string): Promise<number> {
    return (await stat(join(this.#folder, name))).size;
  }

  async read(name: string, position: number, length: number): Promise<Uint8Array | undefined> {
    let shared = this.#open.get(name);
    if (shared === undefined) {
      shared = new SharedFile(open(join(this.#folder, name), 'r'));
      this.#open.set(name, shared);
    }
    try {
      return await shared.read(position, length);
    } catch (error) {
      if (this.#open.peek(name) === shared) this.#open.delete(name);
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async create(name: string): Promise<PackOutput> {
    return new FileOutput(await open(join(this.#folder, name), 'wx', 0o600));
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(join(this.#folder, from), join(this.#folder, to));
  }

  async remove(name: string): Promise<void> {
    this.#open.delete(name);
    await rm(join(this.#folder, name), { force: true });
  }

  async sync(): Promise<void> {
    await syncDirectory(this.#folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(files.map((file) => file.retire()));
  }
}

class FileOutput implements PackOutput {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await this.#file.write(bytes, written, bytes.length - written, position + written);
      written += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
