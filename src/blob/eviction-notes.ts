import { z } from 'zod';
import { BlobId } from '../domain/ids.ts';
import { createJsonCodec } from '../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';

export interface EvictionNote {
  readonly atMs: number;
}

export const EVICTION_NOTE_CODEC = createJsonCodec<EvictionNote>(z.strictObject({ atMs: z.number().min(0) }));

/** Most notes; beyond that the oldest goes. */
export const MAX_EVICTION_NOTES = 4_096;

/**
 * Which blobs made room for others, and when: written together with the loss of their rows, so that whoever misses one can
 * tell that from a loss. A blob that is stored again has none.
 */
export class EvictionNotes {
  readonly #notes: Repository<EvictionNote>;
  /** Oldest first. */
  readonly #noted = new Set<BlobId>();

  constructor(database: Database) {
    this.#notes = database.repository('blob-evictions', EVICTION_NOTE_CODEC);
  }

  async load(): Promise<void> {
    const found: (readonly [BlobId, number])[] = [];
    // One that cannot be read keeps no daemon from starting.
    const rows = this.#notes.entries({}, { onDamaged: () => undefined });
    for await (const [blob, { atMs }] of rows) found.push([BlobId(blob), atMs]);
    found.sort(([, a], [, b]) => a - b);
    for (const [blob] of found) this.#noted.add(blob);
  }

  noteOperations(blobs: readonly BlobId[], atMs: number): readonly WriteOperation[] {
    const operations: WriteOperation[] = [];
    for (const blob of blobs) {
      this.#noted.delete(blob);
      this.#noted.add(blob);
      operations.push(this.#notes.putOperation(blob, { atMs }));
    }
    for (const oldest of this.#noted) {
      if (this.#noted.size <= MAX_EVICTION_NOTES) break;
      operations.push(...this.forgetOperations(oldest));
    }
    return operations;
  }

  forgetOperations(blob: BlobId): readonly WriteOperation[] {
    return this.#noted.delete(blob) ? [this.#notes.deleteOperation(blob)] : [];
  }
}
