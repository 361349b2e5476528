import { describeShape } from '../../domain/blob-shape.ts';
import type { BlobId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { InternalError } from '../../lib/errors.ts';
import type { BlobCatalog } from '../blob-catalog.ts';
import type { PartialFile } from '../blob-disk.ts';
import { placeLeaf, SEALED_LEAF_BYTES } from '../blob-reader.ts';
import { RECEPTION_SYNC_BYTES, RECEPTION_SYNC_MS } from '../constants.ts';
import { BlobError } from '../errors.ts';
import type { BlobReception, BlobStat, NodePlace } from '../interface.ts';
import type { LeafBits } from '../leaf-bits.ts';
import type { LeafSeal } from '../leaf-seal.ts';
import type { BlobMetrics } from '../metrics.ts';
import type { PartialBlob } from '../partial-blob.ts';
import type { PartialTree } from '../partial-tree.ts';

export interface FileReceptionModules {
  readonly catalog: BlobCatalog;
  readonly clock: Clock;
  readonly metrics: BlobMetrics;
  readonly file: PartialFile;
  readonly tree: PartialTree;
  readonly seal: LeafSeal | null;
  /** Failures of the disk as errors of this folder. */
  readonly guard: <Result>(task: () => Promise<Result>) => Promise<Result>;
  /** Encrypts the blob if it is here in plain. */
  readonly keepPrivate: () => Promise<void>;
  readonly onClose: (partial: PartialBlob) => Promise<void>;
}

/**
 * A blob that arrives into a file of its full length. A leaf is noted as here only after its bytes were synced, many at
 * once: after a crash those that came since the last sync are fetched again.
 */
export class FileReception implements BlobReception {
  readonly #modules: FileReceptionModules;
  readonly #partial: PartialBlob;
  /** Leaves that are noted in the row. */
  #synced: LeafBits;
  #unsyncedBytes = 0;
  #syncedAtMs: number;
  #syncing: Promise<void> | undefined;
  #failure: Error | undefined;
  #isClosed = false;
  /** Memory to seal leaves into, as many as were ever under way at once. */
  readonly #buffers: Uint8Array[] = [];

  constructor(modules: FileReceptionModules, partial: PartialBlob) {
    this.#modules = modules;
    this.#partial = partial;
    this.#synced = partial.leaves.clone();
    this.#syncedAtMs = modules.clock.monotonicMs();
  }

  get blob(): BlobId {
    return this.#partial.blob;
  }

  get sizeBytes(): number {
    return this.#partial.sizeBytes;
  }

  get leafCount(): number {
    return describeShape(this.#partial.sizeBytes).leafCount;
  }

  missingNodes(): readonly NodePlace[] {
    return this.#partial.isGone ? [] : this.#modules.tree.missing();
  }

  async addNode(place: NodePlace, bytes: Uint8Array): Promise<void> {
    this.#assertUsable();
    if (this.#partial.isGone || this.#modules.tree.has(place)) return;
    const reason = this.#modules.tree.add(place, bytes);
    if (reason !== null) throw this.#mismatch(reason);
    await this.#modules.guard(() => this.#modules.catalog.nodes.put(this.blob, place, bytes));
  }

  hasLeaf(leaf: number): boolean {
    return this.#partial.isGone ? leaf >= 0 && leaf < this.leafCount : this.#partial.leaves.has(leaf);
  }

  async addLeaf(leaf: number, bytes: Uint8Array): Promise<void> {
    const { file, guard, metrics, seal, tree } = this.#modules;
    this.#assertUsable();
    // Checked even if it is here: a sender has to be told from a liar.
    const reason = this.#partial.isGone ? null : tree.checkLeaf(leaf, bytes);
    if (reason !== null) throw this.#mismatch(reason);
    if (this.hasLeaf(leaf)) return;
    const buffer = seal === null ? undefined : (this.#buffers.pop() ?? new Uint8Array(SEALED_LEAF_BYTES));
    const stored = seal === null || buffer === undefined ? bytes : seal.sealInto(buffer, leaf, bytes);
    try {
      await guard(() => file.write(stored, placeLeaf(leaf, seal !== null)));
    } finally {
      if (buffer !== undefined) this.#buffers.push(buffer);
    }
    // A sync that failed meanwhile may be about these bytes too.
    this.#assertUsable();
    this.#partial.leaves.add(leaf);
    this.#unsyncedBytes += stored.length;
    metrics.leaves.increment();
    await this.#syncNowAndThen();
  }

  async commit(): Promise<BlobStat> {
    const { blob, sizeBytes } = this;
    if (this.#isClosed) throw new BlobError({ code: 'BLOB_CLOSED', blob });
    if (!this.#partial.isGone) {
      const missing = this.leafCount - this.#partial.leaves.present;
      if (missing > 0) throw new BlobError({ code: 'BLOB_INCOMPLETE', blob, missing });
      await this.#syncing;
      this.#assertUsable();
      await this.#sync();
      this.#assertUsable();
      await this.#modules.guard(() => this.#accept());
    }
    // It came whole by another way, and perhaps in plain.
    if (this.#modules.seal !== null) await this.#modules.guard(() => this.#modules.keepPrivate());
    await this[Symbol.asyncDispose]();
    return { blob, sizeBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#syncing;
      if (this.#failure === undefined && !this.#partial.isGone) await this.#sync();
    } finally {
      await this.#modules.file.close();
      await this.#modules.onClose(this.#partial);
    }
  }

  async #accept(): Promise<void> {
    const { blob } = this;
    const { catalog } = this.#modules;
    await catalog.whenStored(blob);
    await catalog.storeOnce(blob, async () => {
      if (this.#partial.isGone) return;
      await catalog.add(blob, catalog.createEntry(this.sizeBytes, 'file', this.#partial.sealedKey), []);
    });
  }

  /** In the background, one at a time; who brings more than that keeps up with waits for it. */
  async #syncNowAndThen(): Promise<void> {
    const waitedMs = this.#modules.clock.monotonicMs() - this.#syncedAtMs;
    if (this.#unsyncedBytes >= RECEPTION_SYNC_BYTES || waitedMs >= RECEPTION_SYNC_MS) {
      this.#syncing ??= this.#sync().finally(() => {
        this.#syncing = undefined;
      });
    }
    if (this.#unsyncedBytes >= 2 * RECEPTION_SYNC_BYTES) await this.#syncing;
    this.#assertUsable();
  }

  /** Never fails: the failure is told by what comes next. */
  async #sync(): Promise<void> {
    const { catalog, clock, file, guard } = this.#modules;
    const leaves = this.#partial.leaves.clone();
    const bytes = this.#unsyncedBytes;
    try {
      await guard(async () => {
        await file.sync();
        this.#partial.lastUseMs = clock.nowMs();
        await catalog.putPartial(this.#partial, leaves);
      });
      this.#synced = leaves;
      this.#unsyncedBytes -= bytes;
      this.#syncedAtMs = clock.monotonicMs();
    } catch (error) {
      // After a sync that failed nobody knows which bytes are on disk, and a second one may succeed all the same
      // (Rebello et al., "Can applications recover from fsync failures?", USENIX ATC 2020).
      this.#failure = error instanceof Error ? error : new InternalError('a sync failed', { cause: error });
      this.#partial.leaves = this.#synced.clone();
    }
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new BlobError({ code: 'BLOB_CLOSED', blob: this.blob });
  }

  #mismatch(reason: string): BlobError {
    this.#modules.metrics.refused.increment({ code: 'BLOB_MISMATCH' });
    return new BlobError({ code: 'BLOB_MISMATCH', blob: this.blob, reason });
  }
}
