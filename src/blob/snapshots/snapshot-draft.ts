import { encodeObject } from '../../domain/object-type.ts';
import { SNAPSHOT, type Snapshot } from '../../domain/snapshot.ts';
import { sha256 } from '../../lib/cid.ts';
import { BlobError } from '../errors.ts';
import type { SnapshotCollector, SnapshotEntry, SnapshotKey } from '../interface.ts';
import { MAX_ITEM_BYTES } from './constants.ts';
import { eachDigest } from './each-digest.ts';
import { type DigestKey, type ItemIndex, type StoredItem, toDigestKey } from './item-index.ts';
import type { PackWriter } from './pack-file.ts';

/** What a pack's list takes for an item, and for itself, in bytes. */
const LISTED_ITEM_BYTES = 40;
const LIST_BYTES = 256;

export interface DraftTarget extends SnapshotKey {
  readonly keptUntilMs: number;
}

/** What a snapshot that is being written needs of the store. */
export interface DraftHost {
  readonly folder: string;
  readonly index: ItemIndex;
  createWriter(): PackWriter;
  /** @throws BlobError SNAPSHOT_STORE_FULL unless so many new items could be listed */
  assertItems(items: number): void;
  /** @throws BlobError SNAPSHOT_STORE_FULL */
  takeRoom(bytes: number): Promise<void>;
  giveRoom(bytes: number): void;
  guard<Result>(task: () => Promise<Result>): Promise<Result>;
  commit(draft: SnapshotDraft, snapshot: Snapshot, bytes: Uint8Array): Promise<SnapshotEntry>;
  onEnd(draft: SnapshotDraft): void;
}

/** A snapshot that is being written: the items that it keeps from going, and a pack of those that are new. */
export class SnapshotDraft implements SnapshotCollector {
  readonly target: DraftTarget;
  readonly #host: DraftHost;
  readonly #held = new Map<DigestKey, StoredItem>();
  /** Items in the own pack; those on their way into it resolve when they are. */
  readonly #own = new Map<DigestKey, Promise<void>>();
  #writer: PackWriter | undefined;
  /** Room that was asked for, and that was given. */
  #wantedBytes = 0;
  #takenBytes = 0;
  #usedBytes = LIST_BYTES;
  #isEnded = false;

  constructor(host: DraftHost, target: DraftTarget) {
    this.#host = host;
    this.target = target;
  }

  /** The pack of new items; none was begun if all are here. */
  get writer(): PackWriter {
    this.#writer ??= this.#host.createWriter();
    return this.#writer;
  }

  /** Room for so many bytes of items and object, ahead of their coming. @throws BlobError SNAPSHOT_STORE_FULL */
  async reserve(bytes: number, items: number): Promise<void> {
    this.#host.assertItems(items);
    await this.#reach(LIST_BYTES + bytes + items * LISTED_ITEM_BYTES);
  }

  hold(digest: Uint8Array): boolean {
    return this.holdKey(toDigestKey(digest));
  }

  holdKey(key: DigestKey): boolean {
    this.#assertOpen();
    const held = this.#held.get(key);
    if (held !== undefined && !held.isLost) return true;
    if (held !== undefined) this.#letGo(held);
    if (this.#own.has(key)) return true;
    const item = this.#host.index.find(key);
    if (item === undefined) return false;
    this.#host.index.retain(item);
    this.#held.set(key, item);
    return true;
  }

  async add(bytes: Uint8Array): Promise<Uint8Array> {
    const digest = sha256(bytes);
    await this.addAs(toDigestKey(digest), digest, bytes);
    return digest;
  }

  /** @param bytes that hash to `digest` */
  async addAs(key: DigestKey, digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    if (bytes.length > MAX_ITEM_BYTES) {
      throw new BlobError({ code: 'BLOB_TOO_LARGE', sizeBytes: bytes.length, maxBytes: MAX_ITEM_BYTES });
    }
    const coming = this.#own.get(key);
    if (coming !== undefined) return await coming;
    if (this.holdKey(key)) return;
    const adding = this.#append(digest, bytes);
    this.#own.set(key, adding);
    try {
      await adding;
    } catch (error) {
      this.#own.delete(key);
      throw error;
    }
  }

  async commit(snapshot: Snapshot): Promise<SnapshotEntry> {
    return await this.commitEncoded(snapshot, encodeObject(SNAPSHOT, snapshot));
  }

  async commitEncoded(snapshot: Snapshot, bytes: Uint8Array): Promise<SnapshotEntry> {
    this.#assertOpen();
    let missing = 0;
    await eachDigest(snapshot.items, (key) => {
      if (!this.holdKey(key)) missing += 1;
    });
    if (missing > 0) throw new BlobError({ code: 'SNAPSHOT_INCOMPLETE', missing });
    await Promise.all(this.#own.values());
    const entry = await this.#host.commit(this, snapshot, bytes);
    await this[Symbol.asyncDispose]();
    return entry;
  }

  /** The store's own accounts have what was written. */
  giveRoom(): void {
    this.#host.giveRoom(this.#takenBytes);
    this.#takenBytes = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const item of this.#held.values()) this.#letGo(item);
    this.giveRoom();
    await this.#writer?.[Symbol.asyncDispose]();
    this.#host.onEnd(this);
  }

  async #append(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    this.#host.assertItems(this.#own.size);
    this.#usedBytes += bytes.length + LISTED_ITEM_BYTES;
    try {
      await this.#reach(this.#usedBytes);
      await this.#host.guard(() => this.writer.append(digest, bytes));
    } catch (error) {
      this.#usedBytes -= bytes.length + LISTED_ITEM_BYTES;
      throw error;
    }
  }

  async #reach(bytes: number): Promise<void> {
    const more = bytes - this.#wantedBytes;
    if (more <= 0) return;
    this.#wantedBytes += more;
    try {
      await this.#host.takeRoom(more);
    } catch (error) {
      this.#wantedBytes -= more;
      throw error;
    }
    this.#takenBytes += more;
    if (!this.#isEnded) return;
    this.giveRoom();
    this.#assertOpen();
  }

  #letGo(item: StoredItem): void {
    this.#held.delete(item.key);
    this.#host.index.release(item);
  }

  #assertOpen(): void {
    if (!this.#isEnded) return;
    const reason = 'the snapshot was committed or given up';
    throw new BlobError({ code: 'BLOB_IO', directory: this.#host.folder, reason });
  }
}
