import { BlobError } from '../../src/blob/errors.ts';
import type { BlobReception, BlobStat, NodePlace } from '../../src/blob/interface.ts';
import { DIGEST_BYTES, parseBlobNode } from '../../src/domain/blob-node.ts';
import {
  BLOB_FANOUT,
  BLOB_LEAF_BYTES,
  type BlobShape,
  describeShape,
  findChildren,
  measureLeaf,
  rootPlace,
} from '../../src/domain/blob-shape.ts';
import { BlobHasher, type BlobTree, computeBlobId, readBlobDigest } from '../../src/domain/blob-tree.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { areBytesEqual } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { HeapBlobStore } from './provider-blobs.ts';

/** What has arrived of a blob; it outlives the reception. */
interface Partial {
  readonly shape: BlobShape;
  readonly bytes: Uint8Array;
  readonly nodes: Map<string, Uint8Array>;
  readonly leaves: Uint8Array;
  isOpen: boolean;
}

const keyOf = ({ level, index }: NodePlace): string => `${level}/${index}`;

export function treeOf(bytes: Uint8Array): BlobTree {
  const hasher = new BlobHasher();
  hasher.update(bytes);
  return hasher.finish();
}

/** Blobs and receptions in memory, by the rules of `BlobTransferStore`. */
export class MemoryTransferStore extends HeapBlobStore {
  readonly partials = new Map<BlobId, Partial>();
  readonly #trees = new Map<BlobId, BlobTree>();
  /** Leaves that were added, in order. */
  readonly added: number[] = [];
  readonly privates = new Set<BlobId>();
  /** Thrown by the next `addLeaf`. */
  failure: Error | null = null;

  override async put(bytes: Uint8Array): Promise<BlobStat> {
    const blob = computeBlobId(bytes);
    this.blobs.set(blob, bytes);
    return { blob, sizeBytes: bytes.length };
  }

  override async read(blob: BlobId, offset: number, length: number): Promise<Uint8Array | undefined> {
    const partial = this.partials.get(blob);
    if (partial === undefined || this.blobs.has(blob)) return super.read(blob, offset, length);
    const last = Math.floor((offset + length - 1) / BLOB_LEAF_BYTES);
    for (let leaf = Math.floor(offset / BLOB_LEAF_BYTES); leaf <= last; leaf++) {
      if (!hasBit(partial.leaves, leaf)) return undefined;
    }
    return partial.bytes.slice(offset, offset + length);
  }

  override async readNode(blob: BlobId, place: NodePlace): Promise<Uint8Array | undefined> {
    const bytes = this.blobs.get(blob);
    if (bytes === undefined) return this.partials.get(blob)?.nodes.get(keyOf(place));
    const tree = this.#trees.get(blob) ?? treeOf(bytes);
    this.#trees.set(blob, tree);
    return tree.encodeNode(place);
  }

  override partialLeaves(blob: BlobId): { readonly sizeBytes: number; readonly leaves: Uint8Array } | undefined {
    const partial = this.partials.get(blob);
    return partial === undefined ? undefined : { sizeBytes: partial.shape.sizeBytes, leaves: partial.leaves.slice() };
  }

  override async receive(
    blob: BlobId,
    sizeBytes: number,
    chunks: AsyncIterable<Uint8Array>,
    options: { readonly isPrivate?: boolean } = {},
  ): Promise<void> {
    await super.receive(blob, sizeBytes, chunks);
    if (options.isPrivate === true) this.privates.add(blob);
  }

  override async openReception(
    blob: BlobId,
    sizeBytes: number,
    options: { readonly isPrivate?: boolean },
  ): Promise<BlobReception> {
    const partial = this.partials.get(blob) ?? createPartial(sizeBytes);
    if (partial.isOpen) throw new TypeError('one reception of a blob at a time');
    if (options.isPrivate === true) this.privates.add(blob);
    partial.isOpen = true;
    this.partials.set(blob, partial);
    return new MemoryReception(this, blob, partial);
  }
}

function createPartial(sizeBytes: number): Partial {
  const shape = describeShape(sizeBytes);
  const leaves = new Uint8Array(Math.ceil(shape.leafCount / 8));
  return { shape, bytes: new Uint8Array(sizeBytes), nodes: new Map(), leaves, isOpen: false };
}

const hasBit = (bits: Uint8Array, index: number): boolean => (((bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;

class MemoryReception implements BlobReception {
  readonly blob: BlobId;
  readonly #store: MemoryTransferStore;
  readonly #partial: Partial;

  constructor(store: MemoryTransferStore, blob: BlobId, partial: Partial) {
    this.#store = store;
    this.blob = blob;
    this.#partial = partial;
  }

  get sizeBytes(): number {
    return this.#partial.shape.sizeBytes;
  }

  get leafCount(): number {
    return this.#partial.shape.leafCount;
  }

  missingNodes(): readonly NodePlace[] {
    const { shape, nodes } = this.#partial;
    const root = rootPlace(shape);
    const missing: NodePlace[] = [];
    const visit = (place: NodePlace): void => {
      if (!nodes.has(keyOf(place))) missing.push(place);
      else if (place.level > 0) {
        const { first, count } = findChildren(shape, place);
        for (let child = 0; child < count; child++) visit({ level: place.level - 1, index: first + child });
      }
    };
    if (root !== undefined) visit(root);
    return missing;
  }

  async addNode(place: NodePlace, bytes: Uint8Array): Promise<void> {
    const { shape, nodes } = this.#partial;
    const root = rootPlace(shape);
    const isRoot = place.level === root?.level;
    const above = { level: place.level + 1, index: Math.floor(place.index / BLOB_FANOUT) };
    const expected = isRoot ? readBlobDigest(this.blob) : this.#digestIn(above, place.index % BLOB_FANOUT);
    if (!areBytesEqual(sha256(bytes), expected)) throw this.#mismatch('a node has another hash');
    try {
      parseBlobNode(bytes, place, shape);
    } catch (cause) {
      throw new BlobError({ code: 'BLOB_MISMATCH', blob: this.blob, reason: 'a node has another shape' }, { cause });
    }
    nodes.set(keyOf(place), bytes.slice());
  }

  hasLeaf(leaf: number): boolean {
    return hasBit(this.#partial.leaves, leaf);
  }

  async addLeaf(leaf: number, bytes: Uint8Array): Promise<void> {
    const { shape, leaves, bytes: all } = this.#partial;
    const { failure } = this.#store;
    if (failure !== null) throw failure;
    const expected = this.#digestIn({ level: 0, index: Math.floor(leaf / BLOB_FANOUT) }, leaf % BLOB_FANOUT);
    const isRight = bytes.length === measureLeaf(shape, leaf) && areBytesEqual(sha256(bytes), expected);
    if (!isRight) throw this.#mismatch(`leaf ${leaf} has another hash`);
    this.#store.added.push(leaf);
    all.set(bytes, leaf * BLOB_LEAF_BYTES);
    leaves[leaf >> 3] = (leaves[leaf >> 3] ?? 0) | (1 << (leaf & 7));
  }

  async commit(): Promise<BlobStat> {
    const { shape, bytes } = this.#partial;
    for (let leaf = 0; leaf < shape.leafCount; leaf++) if (!this.hasLeaf(leaf)) throw new TypeError('incomplete');
    this.#store.blobs.set(this.blob, bytes);
    this.#store.partials.delete(this.blob);
    return { blob: this.blob, sizeBytes: bytes.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#partial.isOpen = false;
  }

  #digestIn(place: NodePlace, child: number): Uint8Array {
    const bytes = this.#partial.nodes.get(keyOf(place));
    if (bytes === undefined) throw new TypeError('the node above is not here');
    const digests = parseBlobNode(bytes, place, this.#partial.shape);
    return digests.subarray(child * DIGEST_BYTES, (child + 1) * DIGEST_BYTES);
  }

  #mismatch(reason: string): BlobError {
    return new BlobError({ code: 'BLOB_MISMATCH', blob: this.blob, reason });
  }
}
