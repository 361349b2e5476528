import type { Snapshot } from '../../domain/snapshot.ts';
import { formatRawId, sha256 } from '../../lib/cid.ts';
import { BlobError } from '../errors.ts';
import type { SnapshotEntry, SnapshotWriter } from '../interface.ts';
import { MAX_ITEM_BYTES } from './constants.ts';
import { eachDigest } from './each-digest.ts';
import { type DigestKey, toDigestKey } from './item-index.ts';
import { DIGEST_BYTES } from './pack-format.ts';
import type { SnapshotDraft } from './snapshot-draft.ts';

/** Writes a snapshot of which the object is known. */
export class KnownSnapshotWriter implements SnapshotWriter {
  readonly #draft: SnapshotDraft;
  readonly #snapshot: Snapshot;
  readonly #bytes: Uint8Array;
  /** Items that are not here, by their digest, with their place; in order of place. */
  readonly #missing = new Map<DigestKey, number>();

  private constructor(draft: SnapshotDraft, snapshot: Snapshot, bytes: Uint8Array) {
    this.#draft = draft;
    this.#snapshot = snapshot;
    this.#bytes = bytes;
  }

  /** Holds what is here and takes room for the rest. @throws BlobError SNAPSHOT_STORE_FULL */
  static async begin(draft: SnapshotDraft, snapshot: Snapshot, bytes: Uint8Array): Promise<KnownSnapshotWriter> {
    const writer = new KnownSnapshotWriter(draft, snapshot, bytes);
    await eachDigest(snapshot.items, (key, place) => {
      if (!draft.holdKey(key) && !writer.#missing.has(key)) writer.#missing.set(key, place);
    });
    const count = writer.#missing.size;
    await draft.reserve(count * MAX_ITEM_BYTES + bytes.length, count);
    return writer;
  }

  get missing(): readonly number[] {
    return [...this.#missing.values()];
  }

  async add(place: number, bytes: Uint8Array): Promise<void> {
    const expected = this.#snapshot.items.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES);
    const digest = sha256(bytes);
    const key = toDigestKey(digest);
    if (expected.length !== DIGEST_BYTES || key !== toDigestKey(expected)) {
      const blob = expected.length === DIGEST_BYTES ? formatRawId(expected) : `item ${place}`;
      throw new BlobError({ code: 'BLOB_MISMATCH', blob, reason: 'its hash is another' });
    }
    await this.#draft.addAs(key, digest, bytes);
    this.#missing.delete(key);
  }

  async commit(): Promise<SnapshotEntry> {
    try {
      return await this.#draft.commitEncoded(this.#snapshot, this.#bytes);
    } catch (error) {
      if (error instanceof BlobError && error.code === 'SNAPSHOT_INCOMPLETE') await this.#findMissing();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#draft[Symbol.asyncDispose]();
  }

  /** Some that were here may have been found damaged since. */
  async #findMissing(): Promise<void> {
    this.#missing.clear();
    await eachDigest(this.#snapshot.items, (key, place) => {
      if (!this.#draft.holdKey(key) && !this.#missing.has(key)) this.#missing.set(key, place);
    });
  }
}
