import type { DiskEffect, DiskObserver } from '../../storage/interface.ts';
import type { PackDisk, PackOutput } from './pack-disk.ts';

export interface ObservedDiskModules {
  readonly disk: PackDisk;
  readonly observer: DiskObserver;
}

/** Tells of each change to the folder before and after it. */
export class ObservedDisk implements PackDisk {
  readonly #disk: PackDisk;
  readonly #observer: DiskObserver;

  constructor(modules: ObservedDiskModules) {
    this.#disk = modules.disk;
    this.#observer = modules.observer;
  }

  start(): Promise<void> {
    return this.#disk.start();
  }

  list(): Promise<readonly string[]> {
    return this.#disk.list();
  }

  measure(name: string): Promise<number> {
    return this.#disk.measure(name);
  }

  read(name: string, position: number, length: number): Promise<Uint8Array | undefined> {
    return this.#disk.read(name, position, length);
  }

  async create(name: string): Promise<PackOutput> {
    const output = await this.#around('create', name, () => this.#disk.create(name));
    return {
      write: (bytes, position) => this.#around('write', name, () => output.write(bytes, position)),
      sync: () => this.#around('sync', name, () => output.sync()),
      close: () => output.close(),
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#around('rename', to, () => this.#disk.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.#around('remove', name, () => this.#disk.remove(name));
  }

  sync(): Promise<void> {
    return this.#around('sync-folder', '', () => this.#disk.sync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]();
  }

  async #around<Result>(kind: DiskEffect['kind'], name: string, change: () => Promise<Result>): Promise<Result> {
    const effect: DiskEffect = { store: 'snapshots', kind, name };
    await this.#observer.before(effect);
    const result = await change();
    await this.#observer.after(effect);
    return result;
  }
}
