import { createHash } from 'node:crypto';
import { BLOB_LEAF_BYTES, type BlobShape, describeShape, measureLeaf } from '../domain/blob-shape.ts';
import { isBlob } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import { formatRawId } from '../lib/cid.ts';
import type { BlobCache } from './blob-cache.ts';
import { type BlobCatalog, fileNameOf } from './blob-catalog.ts';
import type { BlobDisk, BlobFileName } from './blob-disk.ts';
import type { BlobEntry } from './blob-index.ts';
import { LeafBits } from './leaf-bits.ts';
import { type BlobKeys, LEAF_TAG_BYTES, type LeafSeal } from './leaf-seal.ts';
import type { PartialBlob } from './partial-blob.ts';
import { hasCheckedLeaves, type PartialTree } from './partial-tree.ts';

export interface BlobReaderModules {
  readonly catalog: BlobCatalog;
  readonly disk: BlobDisk;
  readonly cache: BlobCache;
  readonly keys: BlobKeys;
}

/** Where the leaves of one blob are, and how they are read. */
interface LeafFile {
  readonly blob: BlobId;
  readonly name: BlobFileName;
  readonly shape: BlobShape;
  readonly seal: LeafSeal | null;
}

/** What a blob on disk turned out to be. */
export type FoundBlob =
  | { readonly kind: 'sound'; readonly bytes: Uint8Array }
  | { readonly kind: 'gone' }
  | { readonly kind: 'damaged' };

/** Reads blobs from disk or database, and checks them. */
export class BlobReader {
  readonly #catalog: BlobCatalog;
  readonly #disk: BlobDisk;
  readonly #cache: BlobCache;
  readonly #keys: BlobKeys;

  constructor(modules: BlobReaderModules) {
    this.#catalog = modules.catalog;
    this.#disk = modules.disk;
    this.#cache = modules.cache;
    this.#keys = modules.keys;
  }

  /** The whole blob, each leaf checked as it is read. */
  async readAll(blob: BlobId, entry: BlobEntry): Promise<FoundBlob> {
    if (entry.place === 'database') return await this.#readSmall(blob, entry);
    const file = this.#openEntry(blob, entry);
    const tree = hasCheckedLeaves(blob, entry.sizeBytes) ? await this.readTree(blob, entry.sizeBytes) : undefined;
    const bytes = new Uint8Array(entry.sizeBytes);
    for (let leaf = 0; leaf < file.shape.leafCount; leaf += 1) {
      const read = await this.#readLeaf(file, leaf);
      if (read === 'gone') return { kind: 'gone' };
      if (read === 'damaged') return { kind: 'damaged' };
      if (tree !== undefined && tree.checkLeaf(leaf, read) !== null) return { kind: 'damaged' };
      bytes.set(read, leaf * BLOB_LEAF_BYTES);
    }
    return tree !== undefined || isBlob(blob, bytes) ? { kind: 'sound', bytes } : { kind: 'damaged' };
  }

  /** Bytes from `start` to `end`, which are inside the blob; undefined if they are not there or were tampered with. */
  async readPart(blob: BlobId, entry: BlobEntry, start: number, end: number): Promise<Uint8Array | undefined> {
    return await this.#readRange(this.#openEntry(blob, entry), start, end);
  }

  /** As `readPart`, of a blob that has arrived in part. */
  async readPartial(partial: PartialBlob, start: number, end: number): Promise<Uint8Array | undefined> {
    for (let leaf = Math.floor(start / BLOB_LEAF_BYTES); leaf * BLOB_LEAF_BYTES < end; leaf += 1) {
      if (!partial.leaves.has(leaf)) return undefined;
    }
    return await this.#readRange(this.#openPartial(partial), start, end);
  }

  /**
   * Which leaves are on disk as they should be; undefined if the blob is gone. Where leaves cannot be checked one by one,
   * it is all or none.
   */
  async checkLeaves(blob: BlobId, entry: BlobEntry, signal?: AbortSignal): Promise<LeafBits | undefined> {
    const sound = new LeafBits(describeShape(entry.sizeBytes).leafCount);
    if (entry.place === 'database') {
      const found = await this.#readSmall(blob, entry);
      if (found.kind === 'sound') sound.add(0);
      return found.kind === 'gone' ? undefined : sound;
    }
    const file = this.#openEntry(blob, entry);
    const tree = hasCheckedLeaves(blob, entry.sizeBytes) ? await this.readTree(blob, entry.sizeBytes) : undefined;
    const hash = createHash('sha256');
    for (let leaf = 0; leaf < file.shape.leafCount; leaf += 1) {
      signal?.throwIfAborted();
      const read = await this.#readLeaf(file, leaf);
      if (read === 'gone') return undefined;
      if (read === 'damaged') continue;
      if (tree === undefined) hash.update(read);
      if (tree === undefined || tree.checkLeaf(leaf, read) === null) sound.add(leaf);
    }
    if (tree !== undefined || formatRawId(new Uint8Array(hash.digest())) === (blob as string)) return sound;
    return new LeafBits(sound.count);
  }

  /** What is here of a blob's tree. */
  async readTree(blob: BlobId, sizeBytes: number): Promise<PartialTree> {
    const known = this.#cache.trees.get(blob);
    if (known !== undefined) return known;
    const tree = await this.#catalog.nodes.load(blob, sizeBytes);
    if (tree.missing().length === 0 && this.#catalog.get(blob) !== undefined) this.#cache.trees.set(blob, tree);
    return tree;
  }

  /** One leaf of a blob in a file, not checked against its hash; undefined if it is not there or was tampered with. */
  async readLeaf(blob: BlobId, entry: BlobEntry, leaf: number): Promise<Uint8Array | undefined> {
    const read = await this.#readLeaf(this.#openEntry(blob, entry), leaf);
    return read === 'gone' || read === 'damaged' ? undefined : read;
  }

  async #readSmall(blob: BlobId, entry: BlobEntry): Promise<FoundBlob> {
    const stored = await this.#catalog.smallBlobs.get(blob);
    if (stored === undefined) return { kind: 'gone' };
    const bytes = entry.sealedKey === null ? stored : this.#keys.unwrap(blob, entry.sealedKey).open(0, stored);
    return bytes !== undefined && isBlob(blob, bytes) ? { kind: 'sound', bytes } : { kind: 'damaged' };
  }

  #openEntry(blob: BlobId, entry: BlobEntry): LeafFile {
    const name = fileNameOf(blob, entry) ?? { blob, isSealed: false };
    const seal = entry.sealedKey === null ? null : this.#keys.unwrap(blob, entry.sealedKey);
    return { blob, name, shape: describeShape(entry.sizeBytes), seal };
  }

  #openPartial({ blob, name, sizeBytes, sealedKey }: PartialBlob): LeafFile {
    const seal = sealedKey === null ? null : this.#keys.unwrap(blob, sealedKey);
    return { blob, name, shape: describeShape(sizeBytes), seal };
  }

  async #readRange(file: LeafFile, start: number, end: number): Promise<Uint8Array | undefined> {
    if (file.seal === null) {
      const part = await this.#disk.read(file.name, start, end - start);
      return part?.length === end - start ? part : undefined;
    }
    const bytes = new Uint8Array(end - start);
    for (let at = start; at < end; ) {
      const leaf = Math.floor(at / BLOB_LEAF_BYTES);
      const within = at - leaf * BLOB_LEAF_BYTES;
      const opened = await this.#readOpened(file, leaf);
      if (opened === undefined) return undefined;
      const part = opened.subarray(within, within + end - at);
      bytes.set(part, at - start);
      at += part.length;
    }
    return bytes;
  }

  async #readOpened(file: LeafFile, leaf: number): Promise<Uint8Array | undefined> {
    const known = this.#cache.getLeaf(file.blob, leaf);
    if (known !== undefined) return known;
    const read = await this.#readLeaf(file, leaf);
    if (read === 'gone' || read === 'damaged') return undefined;
    this.#cache.setLeaf(file.blob, leaf, read);
    return read;
  }

  async #readLeaf(file: LeafFile, leaf: number): Promise<Uint8Array | 'gone' | 'damaged'> {
    const length = measureLeaf(file.shape, leaf);
    if (file.seal === null) {
      const read = await this.#disk.read(file.name, leaf * BLOB_LEAF_BYTES, length);
      return read === undefined ? 'gone' : read.length === length ? read : 'damaged';
    }
    const stored = await this.#disk.read(file.name, leaf * SEALED_LEAF_BYTES, length + LEAF_TAG_BYTES);
    if (stored === undefined) return 'gone';
    const opened = stored.length === length + LEAF_TAG_BYTES ? file.seal.open(leaf, stored) : undefined;
    return opened ?? 'damaged';
  }
}

/** Bytes from the start of one sealed leaf to that of the next. */
export const SEALED_LEAF_BYTES = BLOB_LEAF_BYTES + LEAF_TAG_BYTES;

/** Where a leaf stands in its blob's file. */
export function placeLeaf(leaf: number, isSealed: boolean): number {
  return leaf * (isSealed ? SEALED_LEAF_BYTES : BLOB_LEAF_BYTES);
}

/** Bytes of a blob's file. */
export function measureFile(shape: BlobShape, isSealed: boolean): number {
  return shape.sizeBytes + (isSealed ? shape.leafCount * LEAF_TAG_BYTES : 0);
}
