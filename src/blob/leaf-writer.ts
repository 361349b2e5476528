import { DIGEST_BYTES } from '../domain/blob-node.ts';
import { BLOB_LEAF_BYTES } from '../domain/blob-shape.ts';
import { BlobTree } from '../domain/blob-tree.ts';
import { sha256Into } from '../lib/cid.ts';
import type { IncomingFile } from './blob-disk.ts';
import { LEAF_TAG_BYTES, type LeafSeal } from './leaf-seal.ts';

/** Writes a blob from its start, and hashes and seals it leaf by leaf. */
export class LeafWriter {
  readonly #file: IncomingFile;
  readonly #seal: LeafSeal | null;
  readonly #leaf: Uint8Array;
  readonly #sealed: Uint8Array;
  #digests = new Uint8Array(16 * DIGEST_BYTES);
  #leafCount = 0;
  #filled = 0;
  #sizeBytes = 0;

  /** `sizeBytes` is what to expect. */
  constructor(file: IncomingFile, seal: LeafSeal | null, sizeBytes: number) {
    this.#file = file;
    this.#seal = seal;
    this.#leaf = new Uint8Array(Math.min(BLOB_LEAF_BYTES, sizeBytes));
    this.#sealed = new Uint8Array(seal === null ? 0 : this.#leaf.length + LEAF_TAG_BYTES);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Pieces of any length, of at most as many bytes as expected in all. */
  async write(piece: Uint8Array): Promise<void> {
    for (let offset = 0; offset < piece.length; ) {
      const part = piece.subarray(offset, offset + BLOB_LEAF_BYTES - this.#filled);
      offset += part.length;
      this.#leaf.set(part, this.#filled);
      this.#filled += part.length;
      if (this.#filled === BLOB_LEAF_BYTES) await this.#flush();
    }
  }

  /** A whole leaf, or the last one. One at a time; not to be changed until it resolves. */
  writeLeaf(bytes: Uint8Array): Promise<void> {
    const end = (this.#leafCount + 1) * DIGEST_BYTES;
    if (end > this.#digests.length) {
      const grown = new Uint8Array(this.#digests.length * 2);
      grown.set(this.#digests);
      this.#digests = grown;
    }
    sha256Into(this.#digests, end - DIGEST_BYTES, bytes);
    const stored = this.#seal === null ? bytes : this.#seal.sealInto(this.#sealed, this.#leafCount, bytes);
    this.#leafCount += 1;
    this.#sizeBytes += bytes.length;
    return this.#file.write(stored);
  }

  /** After the last piece; what was written is then on disk. */
  async finish(): Promise<BlobTree> {
    if (this.#filled > 0 || this.#leafCount === 0) await this.#flush();
    await this.#file.sync();
    return new BlobTree(this.#digests.slice(0, this.#leafCount * DIGEST_BYTES), this.#sizeBytes);
  }

  async #flush(): Promise<void> {
    await this.writeLeaf(this.#leaf.subarray(0, this.#filled));
    this.#filled = 0;
  }
}
