import type { BlobId } from '../../domain/ids.ts';
import { BlobError } from '../errors.ts';
import type { BlobReception, BlobStat, NodePlace } from '../interface.ts';
import type { PartialTree } from '../partial-tree.ts';

/** Of a blob that is here already. */
export class HeldReception implements BlobReception {
  readonly blob: BlobId;
  readonly sizeBytes: number;
  readonly leafCount: number;

  constructor(stat: BlobStat, leafCount: number) {
    this.blob = stat.blob;
    this.sizeBytes = stat.sizeBytes;
    this.leafCount = leafCount;
  }

  missingNodes(): readonly NodePlace[] {
    return [];
  }

  async addNode(): Promise<void> {}

  hasLeaf(leaf: number): boolean {
    return leaf >= 0 && leaf < this.leafCount;
  }

  async addLeaf(): Promise<void> {}

  async commit(): Promise<BlobStat> {
    return { blob: this.blob, sizeBytes: this.sizeBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface LeafReceptionModules {
  readonly tree: PartialTree;
  readonly store: (bytes: Uint8Array) => Promise<BlobStat>;
  readonly onClose: () => void;
}

/** Of a blob of one leaf: nothing of it stays but the whole. */
export class LeafReception implements BlobReception {
  readonly blob: BlobId;
  readonly leafCount = 1;
  readonly #modules: LeafReceptionModules;
  #bytes: Uint8Array | undefined;

  constructor(modules: LeafReceptionModules, blob: BlobId) {
    this.#modules = modules;
    this.blob = blob;
  }

  get sizeBytes(): number {
    return this.#modules.tree.shape.sizeBytes;
  }

  missingNodes(): readonly NodePlace[] {
    return [];
  }

  async addNode(): Promise<void> {
    throw new BlobError({ code: 'BLOB_MISMATCH', blob: this.blob, reason: 'the blob has no such node' });
  }

  hasLeaf(leaf: number): boolean {
    return leaf === 0 && this.#bytes !== undefined;
  }

  async addLeaf(leaf: number, bytes: Uint8Array): Promise<void> {
    const reason = this.#modules.tree.checkLeaf(leaf, bytes);
    if (reason !== null) throw new BlobError({ code: 'BLOB_MISMATCH', blob: this.blob, reason });
    this.#bytes ??= bytes.slice();
  }

  async commit(): Promise<BlobStat> {
    if (this.#bytes === undefined) throw new BlobError({ code: 'BLOB_INCOMPLETE', blob: this.blob, missing: 1 });
    const stat = await this.#modules.store(this.#bytes);
    this.#modules.onClose();
    return stat;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#modules.onClose();
  }
}
