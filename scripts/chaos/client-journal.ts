import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { BlobId, JobId } from '../../src/domain/ids.ts';

/** A job that a client was told to be accepted. */
export interface Acknowledged {
  readonly job: JobId;
  readonly kind: string;
  readonly requester: string;
  /** What it has to make of an input of its own; null if it has none. */
  readonly output: BlobId | null;
}

/** What clients wrote down, on disk before they went on: nothing of it may be lost. */
export class ClientJournal implements Disposable {
  readonly #file: number;
  readonly #acknowledged: Acknowledged[] = [];

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  get acknowledged(): readonly Acknowledged[] {
    return this.#acknowledged;
  }

  write(entry: Acknowledged): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
    this.#acknowledged.push(entry);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
