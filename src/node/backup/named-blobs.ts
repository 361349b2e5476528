import { fileNameOf } from '../../blob/blob-catalog.ts';
import { locateBlobFile } from '../../blob/blob-files.ts';
import { BLOB_ENTRY_CODEC } from '../../blob/entry-codec.ts';
import { BlobId } from '../../domain/ids.ts';
import { openSealedValue } from '../../storage/sealed-value.ts';
import { BLOBS_FOLDER } from './constants.ts';
import type { StoredEntry } from './entry-chunk.ts';

const ROWS = 'blobs/';

/** Files of blobs that the copied database names: those that are not in the backup as its rows say are missing in it. */
export class NamedBlobs {
  readonly #missing = new Set<string>();

  get missing(): number {
    return this.#missing.size;
  }

  note(entries: readonly StoredEntry[]): void {
    for (const [key, stored] of entries) {
      const name = key.startsWith(ROWS) ? readName(key, stored) : undefined;
      if (name !== undefined) this.#missing.add(name);
    }
  }

  /** A file of the data folder was copied. */
  remove(name: string): void {
    this.#missing.delete(name);
  }
}

/** Undefined for a blob in the database, and for a row that is damaged: `node repair` tells of it. */
function readName(key: string, stored: Uint8Array): string | undefined {
  try {
    const blob = BlobId(key.slice(ROWS.length));
    const name = fileNameOf(blob, BLOB_ENTRY_CODEC.decode(openSealedValue(key, stored) ?? stored));
    return name && `${BLOBS_FOLDER}/${locateBlobFile(name)}`;
  } catch {
    return undefined;
  }
}
