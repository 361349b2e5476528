import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { BlobId, JobId } from '../../src/domain/ids.ts';

/** A job that a client was told to be accepted. */
export interface Acknowledged {
  readonly job: JobId;
  readonly kind: string;
  readonly requester: string;
  /** What it has to make of an input of its own; null if it has none. */
  readonly output: BlobId | null;
  /** From before the call that was answered, ms. */
  readonly sinceMs: number;
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

  /** Once for each job: a place of a batch is answered with the same job however often it is submitted. */
  write(entry: Acknowledged): void {
    if (this.#acknowledged.some(({ job }) => job === entry.job)) return;
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fsyncSync(this.#file);
    this.#acknowledged.push(entry);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
