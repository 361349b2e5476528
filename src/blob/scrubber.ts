import { createHash } from 'node:crypto';
import { BLOB_LEAF_BYTES, describeShape } from '../domain/blob-shape.ts';
import { BlobHasher, type BlobTree, isTreeId } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import { formatRawId } from '../lib/cid.ts';
import type { Logger } from '../telemetry/interface.ts';
import { type BlobCatalog, fileNameOf } from './blob-catalog.ts';
import type { BlobDisk, StoredFile } from './blob-disk.ts';
import type { BlobEntry } from './blob-index.ts';
import { type BlobReader, measureFile } from './blob-reader.ts';
import { isLocked } from './errors.ts';
import type { BlobCheck } from './interface.ts';
import type { LeafBits } from './leaf-bits.ts';
import type { BlobMetrics } from './metrics.ts';

export interface ScrubberModules {
  readonly catalog: BlobCatalog;
  readonly disk: BlobDisk;
  readonly reader: BlobReader;
  readonly metrics: BlobMetrics;
  readonly logger: Logger;
}

/** Compares what is on disk with what should be there, and keeps what is sound of it. */
export class Scrubber {
  readonly #modules: ScrubberModules;
  readonly #catalog: BlobCatalog;

  constructor(modules: ScrubberModules) {
    this.#modules = modules;
    this.#catalog = modules.catalog;
  }

  /** Reads a blob from disk; what is damaged of it is let go. Undefined if it is not here. */
  async check(blob: BlobId, signal?: AbortSignal): Promise<BlobCheck | undefined> {
    const entry = this.#catalog.get(blob);
    if (entry === undefined) return undefined;
    using _pin = this.#catalog.pin(blob);
    await this.#restoreNodes(blob, entry, signal);
    const sound = await this.#modules.reader.checkLeaves(blob, entry, signal);
    const { leafCount } = describeShape(entry.sizeBytes);
    const damagedLeaves: number[] = [];
    for (let leaf = 0; leaf < leafCount; leaf += 1) if (sound?.has(leaf) !== true) damagedLeaves.push(leaf);
    if (damagedLeaves.length > 0) await this.#letGo(blob, entry, sound);
    return { blob, sizeBytes: entry.sizeBytes, leafCount, damagedLeaves };
  }

  /** After its start: takes in files that a crash left without an entry, and drops entries whose file is gone. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const unseen = new Map<BlobId, BlobEntry>();
    for (const [blob, entry] of this.#catalog.entries()) if (entry.place === 'file') unseen.set(blob, entry);
    for await (const file of this.#modules.disk.list()) {
      if (signal.aborted) return;
      const entry = unseen.get(file.blob);
      if (entry !== undefined && fileNameOf(file.blob, entry)?.isSealed === file.isSealed) {
        unseen.delete(file.blob);
        const isWhole = file.sizeBytes === measureFile(describeShape(entry.sizeBytes), file.isSealed);
        if (!isWhole) await this.#checkUnlessLocked(file.blob, signal);
      } else await this.#judgeStray(file, signal);
    }
    for (const blob of unseen.keys()) {
      if (signal.aborted) return;
      await this.#forgetUnlessThere(blob);
    }
  }

  /** It may have been removed and stored again since the files were listed; pinned, it cannot be while this looks. */
  async #forgetUnlessThere(blob: BlobId): Promise<void> {
    const entry = this.#catalog.get(blob);
    const name = entry && fileNameOf(blob, entry);
    if (entry === undefined || name === undefined) return;
    using _pin = this.#catalog.pin(blob);
    if ((await this.#modules.disk.read(name, 0, 1)) !== undefined || !this.#catalog.isCurrent(blob, entry)) return;
    this.#modules.logger.warn({ blob }, 'a blob is gone from the disk');
    await this.#catalog.remove([blob]);
  }

  /** A blob of another identity is left as it is: this one cannot judge it. */
  async #checkUnlessLocked(blob: BlobId, signal: AbortSignal): Promise<void> {
    try {
      await this.check(blob, signal);
    } catch (error) {
      if (!isLocked(error)) throw error;
      this.#modules.logger.warn({ blob }, 'a damaged blob belongs to another identity');
    }
  }

  /** Nodes that are missing or damaged follow from the leaves, if those are sound. */
  async #restoreNodes(blob: BlobId, entry: BlobEntry, signal: AbortSignal | undefined): Promise<void> {
    if (!isTreeId(blob)) return;
    const { reader } = this.#modules;
    if ((await reader.readTree(blob, entry.sizeBytes)).missing().length === 0) return;
    const hasher = new BlobHasher();
    const { leafCount } = describeShape(entry.sizeBytes);
    for (let leaf = 0; leaf < leafCount; leaf += 1) {
      signal?.throwIfAborted();
      const bytes = await reader.readLeaf(blob, entry, leaf);
      if (bytes === undefined) return;
      hasher.update(bytes);
    }
    const tree = hasher.finish();
    if (tree.id === blob && this.#catalog.isCurrent(blob, entry)) await this.#catalog.nodes.putTree(tree);
  }

  /** What is sound of a blob with a tree becomes the beginning of its next reception. */
  async #letGo(blob: BlobId, entry: BlobEntry, sound: LeafBits | undefined): Promise<void> {
    if (!this.#catalog.isCurrent(blob, entry)) return;
    const { logger, metrics } = this.#modules;
    if (sound === undefined) {
      logger.warn({ blob }, 'a blob is gone from the disk');
      await this.#catalog.remove([blob]);
      return;
    }
    metrics.refused.increment({ code: 'BLOB_CORRUPT' });
    const kept = isTreeId(blob) ? sound.present : 0;
    logger.error({ blob, leaves: sound.count, kept }, 'a blob was damaged on disk');
    if (kept > 0) await this.#catalog.demote(blob, entry, sound);
    else await this.#catalog.remove([blob]);
  }

  /** A file that is nobody's: one without its key is of no use, any other is taken in if it is what its name says. */
  async #judgeStray(file: StoredFile, signal: AbortSignal): Promise<void> {
    const { blob, sizeBytes } = file;
    if (this.#isOwned(file)) return;
    const tree =
      file.isSealed || this.#catalog.get(blob) !== undefined ? undefined : await this.#hashFile(file, signal);
    if (signal.aborted || this.#isOwned(file)) return;
    if (tree === undefined) {
      await this.#modules.disk.remove(file)();
      return;
    }
    const entry = this.#catalog.createEntry(sizeBytes, 'file', null);
    await this.#catalog.storeOnce(blob, () =>
      this.#catalog.add(blob, entry, tree.id === blob ? this.#catalog.nodes.putOperations(tree) : []),
    );
    this.#modules.logger.info({ blob, sizeBytes }, 'a blob without an entry was taken in');
  }

  #isOwned({ blob, isSealed }: StoredFile): boolean {
    if (this.#catalog.isStoring(blob)) return true;
    const entry = this.#catalog.get(blob);
    const owner = entry === undefined ? this.#catalog.partial(blob)?.name : fileNameOf(blob, entry);
    return owner?.isSealed === isSealed;
  }

  /** The tree over a file's leaves; undefined if they are not those of the blob. */
  async #hashFile(file: StoredFile, signal: AbortSignal): Promise<BlobTree | undefined> {
    const hasher = new BlobHasher();
    const whole = createHash('sha256');
    while (hasher.sizeBytes < file.sizeBytes) {
      if (signal.aborted) return undefined;
      const length = Math.min(BLOB_LEAF_BYTES, file.sizeBytes - hasher.sizeBytes);
      const bytes = await this.#modules.disk.read(file, hasher.sizeBytes, length);
      if (bytes?.length !== length) return undefined;
      hasher.update(bytes);
      if (!isTreeId(file.blob)) whole.update(bytes);
    }
    const tree = hasher.finish();
    const isWhole = tree.id === file.blob || formatRawId(new Uint8Array(whole.digest())) === (file.blob as string);
    return isWhole ? tree : undefined;
  }
}
