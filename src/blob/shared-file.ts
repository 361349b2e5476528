import type { FileHandle } from 'node:fs/promises';

/** A file that several read at once: closed when nobody reads it any more and it was retired. */
export class SharedFile {
  readonly #file: Promise<FileHandle>;
  readonly #closed = Promise.withResolvers<void>();
  #readers = 0;
  #isRetired = false;

  constructor(file: Promise<FileHandle>) {
    this.#file = file;
    file.catch(() => undefined);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    this.#readers += 1;
    try {
      const file = await this.#file;
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    } finally {
      this.#readers -= 1;
      this.#closeIfUnused();
    }
  }

  retire(): Promise<void> {
    this.#isRetired = true;
    this.#closeIfUnused();
    return this.#closed.promise;
  }

  #closeIfUnused(): void {
    if (!this.#isRetired || this.#readers > 0) return;
    this.#file
      .then((file) => file.close())
      .catch(() => undefined)
      .finally(this.#closed.resolve);
  }
}
