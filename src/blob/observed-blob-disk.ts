import type { DiskEffect, DiskObserver } from '../storage/interface.ts';
import type { BlobDisk, BlobFileName, IncomingFile, PartialFile, StoredFile } from './blob-disk.ts';

export interface ObservedBlobDiskModules {
  readonly disk: BlobDisk;
  readonly observer: DiskObserver;
}

/** What is on its way in has no name yet. */
const INCOMING = 'incoming';

class ObservedIncoming implements IncomingFile {
  readonly inner: IncomingFile;
  readonly #around: ObservedBlobDisk['around'];

  constructor(inner: IncomingFile, around: ObservedBlobDisk['around']) {
    this.inner = inner;
    this.#around = around;
  }

  write(piece: Uint8Array): Promise<void> {
    return this.#around('write', INCOMING, () => this.inner.write(piece));
  }

  sync(): Promise<void> {
    return this.#around('sync', INCOMING, () => this.inner.sync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inner[Symbol.asyncDispose]();
  }
}

/** Tells of each change to the folder of blobs before and after it. Taking a file out of its place is told when it is freed. */
export class ObservedBlobDisk implements BlobDisk {
  readonly #disk: BlobDisk;
  readonly #observer: DiskObserver;

  constructor(modules: ObservedBlobDiskModules) {
    this.#disk = modules.disk;
    this.#observer = modules.observer;
  }

  start(finishRemovals: (leaving: readonly BlobFileName[]) => Promise<void>): Promise<void> {
    return this.#disk.start(finishRemovals);
  }

  async createIncoming(): Promise<ObservedIncoming> {
    const inner = await this.around('create', INCOMING, () => this.#disk.createIncoming());
    return new ObservedIncoming(inner, this.around);
  }

  accept(incoming: ObservedIncoming, name: BlobFileName): Promise<void> {
    return this.around('rename', name.blob, () => this.#disk.accept(incoming.inner, name));
  }

  async openPartial(name: BlobFileName, sizeBytes: number): Promise<PartialFile> {
    const file = await this.around('create', name.blob, () => this.#disk.openPartial(name, sizeBytes));
    return {
      foundBytes: file.foundBytes,
      write: (bytes, position) => this.around('write', name.blob, () => file.write(bytes, position)),
      sync: () => this.around('sync', name.blob, () => file.sync()),
      close: () => file.close(),
    };
  }

  read(name: BlobFileName, position: number, length: number): Promise<Uint8Array | undefined> {
    return this.#disk.read(name, position, length);
  }

  remove(name: BlobFileName): () => Promise<void> {
    const free = this.#disk.remove(name);
    return () => this.around('remove', name.blob, free);
  }

  list(): AsyncIterable<StoredFile> {
    return this.#disk.list();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk[Symbol.asyncDispose]();
  }

  readonly around = async <Result>(
    kind: DiskEffect['kind'],
    name: string,
    change: () => Promise<Result>,
  ): Promise<Result> => {
    const effect: DiskEffect = { store: 'blobs', kind, name };
    await this.#observer.before(effect);
    const result = await change();
    await this.#observer.after(effect);
    return result;
  };
}
