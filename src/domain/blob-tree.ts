/** Names of blobs and the trees over their leaves (docs/blobs.md section 1). Runs in a browser too. */
import { DAG_PB_CODE, formatRawId, RAW_CODE, sha256, sha256Into } from '../lib/cid.ts';
import { formatDigest, isLinkText, LINK_BYTES, Link, writeLinkBytes } from '../lib/link.ts';
import { DIGEST_BYTES, encodeBlobNode } from './blob-node.ts';
import {
  BLOB_LEAF_BYTES,
  type BlobNodePlace,
  type BlobShape,
  describeShape,
  findChildren,
  hasNode,
} from './blob-shape.ts';
import { DomainError } from './errors.ts';
import type { BlobId } from './ids.ts';

/** True if the blob has a tree, so that any part of it can be checked alone. */
export function isTreeId(blob: BlobId): boolean {
  return isLinkText(DAG_PB_CODE, blob);
}

/** The SHA-256 that a blob's id holds: of its bytes, or of its root node. 32 bytes. */
export function readBlobDigest(blob: BlobId): Uint8Array {
  const bytes = new Uint8Array(LINK_BYTES);
  if (!writeLinkBytes(bytes, 0, new Link(isTreeId(blob) ? DAG_PB_CODE : RAW_CODE, blob))) {
    throw new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'blob id', text: blob.slice(0, 80) });
  }
  return bytes.subarray(LINK_BYTES - DIGEST_BYTES);
}

/** The id of the blob whose root node, not leaf, hashes to `digest`. */
export function formatTreeId(digest: Uint8Array): BlobId {
  return formatDigest(DAG_PB_CODE, digest) as BlobId;
}

/** Everything above the leaves of a blob, made from their digests. */
export class BlobTree {
  readonly shape: BlobShape;
  readonly id: BlobId;
  /** Digests of the leaves, then of the nodes of each level, the lowest first. */
  readonly #rows: readonly Uint8Array[];

  /**
   * `leafDigests` has 32 bytes for each leaf, in order, and is kept: do not change it.
   * @throws DomainError DOMAIN_BAD_OBJECT if the size is too large or has another number of leaves
   */
  constructor(leafDigests: Uint8Array, sizeBytes: number) {
    this.shape = describeShape(sizeBytes);
    if (leafDigests.length !== this.shape.leafCount * DIGEST_BYTES) {
      const reason = `${leafDigests.length} bytes are not the digests of ${this.shape.leafCount} leaves`;
      throw new DomainError({ code: 'DOMAIN_BAD_OBJECT', type: 'blob', path: 'leaves', reason });
    }
    const rows = [leafDigests];
    this.#rows = rows;
    for (const [level, count] of this.shape.levels.entries()) {
      const row = new Uint8Array(count * DIGEST_BYTES);
      for (let index = 0; index < count; index += 1) {
        sha256Into(row, index * DIGEST_BYTES, this.#encode({ level, index }));
      }
      rows.push(row);
    }
    const top = (rows.at(-1) ?? leafDigests).subarray(0, DIGEST_BYTES);
    this.id = this.shape.levels.length === 0 ? (formatRawId(top) as BlobId) : formatTreeId(top);
  }

  get leafDigests(): Uint8Array {
    return this.#rows[0] ?? new Uint8Array();
  }

  /** Undefined if the blob has no node there. */
  encodeNode(place: BlobNodePlace): Uint8Array | undefined {
    return hasNode(this.shape, place) ? this.#encode(place) : undefined;
  }

  #encode(place: BlobNodePlace): Uint8Array {
    const { first, count } = findChildren(this.shape, place);
    const row = this.#rows[place.level] ?? new Uint8Array();
    return encodeBlobNode(this.shape, place, row.subarray(first * DIGEST_BYTES, (first + count) * DIGEST_BYTES));
  }
}

/** Hashes a blob that comes in pieces of any length, leaf by leaf. */
export class BlobHasher {
  readonly #leaf = new Uint8Array(BLOB_LEAF_BYTES);
  #digests = new Uint8Array(64 * DIGEST_BYTES);
  #leafCount = 0;
  #filled = 0;
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length;
    for (let offset = 0; offset < bytes.length; ) {
      const piece = bytes.subarray(offset, offset + BLOB_LEAF_BYTES - this.#filled);
      offset += piece.length;
      if (piece.length === BLOB_LEAF_BYTES) {
        this.#addLeaf(piece);
        continue;
      }
      this.#leaf.set(piece, this.#filled);
      this.#filled += piece.length;
      if (this.#filled === BLOB_LEAF_BYTES) this.#flush();
    }
  }

  /** After the last piece. */
  finish(): BlobTree {
    if (this.#filled > 0 || this.#leafCount === 0) this.#flush();
    return new BlobTree(this.#digests.slice(0, this.#leafCount * DIGEST_BYTES), this.#sizeBytes);
  }

  #flush(): void {
    this.#addLeaf(this.#leaf.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #addLeaf(leaf: Uint8Array): void {
    const end = (this.#leafCount + 1) * DIGEST_BYTES;
    if (end > this.#digests.length) {
      const grown = new Uint8Array(this.#digests.length * 2);
      grown.set(this.#digests);
      this.#digests = grown;
    }
    sha256Into(this.#digests, this.#leafCount * DIGEST_BYTES, leaf);
    this.#leafCount += 1;
  }
}

/** The name of a blob held in memory. */
export function computeBlobId(bytes: Uint8Array): BlobId {
  if (bytes.length <= BLOB_LEAF_BYTES) return formatRawId(sha256(bytes)) as BlobId;
  const hasher = new BlobHasher();
  hasher.update(bytes);
  return hasher.finish().id;
}

/** True if `bytes` are the blob, also one of the older ids that have the codec raw over more than one leaf. */
export function isBlob(blob: BlobId, bytes: Uint8Array): boolean {
  if (!isTreeId(blob)) return formatRawId(sha256(bytes)) === (blob as string);
  return bytes.length > BLOB_LEAF_BYTES && computeBlobId(bytes) === blob;
}
