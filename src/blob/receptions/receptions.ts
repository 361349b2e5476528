import { describeShape } from '../../domain/blob-shape.ts';
import { DomainError } from '../../domain/errors.ts';
import type { BlobId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import type { BlobCatalog } from '../blob-catalog.ts';
import type { BlobDisk } from '../blob-disk.ts';
import { type BlobReader, measureFile, placeLeaf } from '../blob-reader.ts';
import type { BlobWriter } from '../blob-writer.ts';
import { MAX_RECEPTIONS, RECEPTION_KEPT_MS } from '../constants.ts';
import { BlobError, isLocked } from '../errors.ts';
import type { BlobOptions, BlobReception } from '../interface.ts';
import type { BlobKeys } from '../leaf-seal.ts';
import type { BlobMetrics } from '../metrics.ts';
import { PartialBlob } from '../partial-blob.ts';
import { hasCheckedLeaves, PartialTree } from '../partial-tree.ts';
import { FileReception } from './file-reception.ts';
import { HeldReception, LeafReception } from './whole-reception.ts';

export interface ReceptionsModules {
  readonly catalog: BlobCatalog;
  readonly disk: BlobDisk;
  readonly reader: BlobReader;
  readonly writer: BlobWriter;
  readonly keys: BlobKeys;
  readonly clock: Clock;
  readonly metrics: BlobMetrics;
  readonly guard: <Result>(task: () => Promise<Result>) => Promise<Result>;
}

/** Begins receptions, goes on with those that a disposal or a crash left, and gives up those that nobody goes on with. */
export class Receptions {
  readonly #modules: ReceptionsModules;
  readonly #catalog: BlobCatalog;
  /** Blobs of which a reception is open or being opened. */
  readonly #open = new Set<BlobId>();

  constructor(modules: ReceptionsModules) {
    this.#modules = modules;
    this.#catalog = modules.catalog;
  }

  async open(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception> {
    assertCheckable(blob, sizeBytes);
    if (options.isPrivate === true) this.#modules.keys.assertUsable();
    if (this.#open.has(blob)) throw new BlobError({ code: 'BLOB_BUSY', blob, open: this.#open.size });
    if (this.#open.size >= MAX_RECEPTIONS) throw new BlobError({ code: 'BLOB_BUSY', blob, open: this.#open.size });
    this.#open.add(blob);
    try {
      await this.#catalog.whenStored(blob);
      return (await this.#openHeld(blob, sizeBytes, options)) ?? (await this.#begin(blob, sizeBytes, options));
    } catch (error) {
      this.#open.delete(blob);
      throw error;
    }
  }

  /** Lets go of those that nobody went on with for long. */
  async giveUpOld(): Promise<void> {
    const oldestMs = this.#modules.clock.nowMs() - RECEPTION_KEPT_MS;
    const old = this.#idle().filter(({ lastUseMs }) => lastUseMs < oldestMs);
    if (old.length > 0) await this.#catalog.remove(old.map(({ blob }) => blob));
  }

  /** Undefined if the blob is not here. */
  async #openHeld(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception | undefined> {
    const entry = this.#catalog.get(blob);
    if (entry === undefined || !this.#catalog.touch(blob)) return undefined;
    if (entry.sizeBytes !== sizeBytes) {
      throw new BlobError({ code: 'BLOB_MISMATCH', blob, reason: `its size is ${entry.sizeBytes}` });
    }
    if (options.isPrivate === true) await this.#modules.writer.seal(blob);
    this.#open.delete(blob);
    return new HeldReception({ blob, sizeBytes }, describeShape(sizeBytes).leafCount);
  }

  async #begin(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception> {
    if (describeShape(sizeBytes).leafCount > 1) return await this.#beginFile(blob, sizeBytes, options);
    const close = (): void => void this.#open.delete(blob);
    const store = (bytes: Uint8Array) => this.#modules.guard(() => this.#modules.writer.put(bytes, options));
    return new LeafReception({ tree: new PartialTree(blob, sizeBytes), store, onClose: close }, blob);
  }

  async #beginFile(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<BlobReception> {
    const pin = this.#catalog.pin(blob);
    try {
      const partial = (await this.#resume(blob, sizeBytes, options)) ?? (await this.#create(blob, sizeBytes, options));
      const { clock, disk, guard, keys, metrics } = this.#modules;
      const tree = await this.#catalog.nodes.load(blob, sizeBytes);
      const seal = partial.sealedKey === null ? null : keys.unwrap(blob, partial.sealedKey);
      const fileBytes = measureFile(tree.shape, seal !== null);
      const file = await guard(() => disk.openPartial(partial.name, fileBytes));
      // Its file may have been cut short or taken away.
      for (let leaf = 0; file.foundBytes < fileBytes && leaf < tree.shape.leafCount; leaf += 1) {
        const end = placeLeaf(leaf + 1, seal !== null);
        if (Math.min(end, fileBytes) > file.foundBytes) partial.leaves.remove(leaf);
      }
      partial.isOpen = true;
      const keepPrivate = (): Promise<void> => this.#modules.writer.seal(blob);
      const onClose = async (): Promise<void> => {
        partial.isOpen = false;
        pin[Symbol.dispose]();
        this.#open.delete(blob);
        // What holds nothing is not worth its room.
        if (!partial.isGone && partial.leaves.present === 0) await this.#catalog.remove([blob]);
      };
      const modules = { catalog: this.#catalog, clock, metrics, file, tree, seal, guard, keepPrivate, onClose };
      return new FileReception(modules, partial);
    } catch (error) {
      pin[Symbol.dispose]();
      if (this.#catalog.partial(blob)?.leaves.present === 0) await this.#catalog.remove([blob]);
      throw error;
    }
  }

  /** What is here in part, unless it is of another size, less private than asked, or of another identity. */
  async #resume(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<PartialBlob | undefined> {
    const partial = this.#catalog.partial(blob);
    if (partial === undefined) return undefined;
    const isPlain = partial.sealedKey === null;
    const isPrivateEnough = !isPlain || options.isPrivate !== true;
    if (partial.sizeBytes === sizeBytes && isPrivateEnough && this.#canOpen(partial)) return partial;
    await this.#catalog.remove([blob]);
    return undefined;
  }

  #canOpen({ blob, sealedKey }: PartialBlob): boolean {
    try {
      if (sealedKey !== null) this.#modules.keys.unwrap(blob, sealedKey);
      return true;
    } catch (error) {
      if (isLocked(error)) return false;
      throw error;
    }
  }

  async #create(blob: BlobId, sizeBytes: number, options: BlobOptions): Promise<PartialBlob> {
    await this.giveUpOld();
    const idle = this.#idle().sort((a, b) => a.lastUseMs - b.lastUseMs);
    const excess = this.#open.size + idle.length - MAX_RECEPTIONS;
    if (excess > 0) await this.#catalog.remove(idle.slice(0, excess).map((partial) => partial.blob));
    const { clock, keys } = this.#modules;
    const sealedKey = options.isPrivate === true ? keys.wrap(blob, keys.create()) : null;
    const record = { sizeBytes, sealedKey, lastUseMs: clock.nowMs(), leaves: new Uint8Array() };
    return await this.#catalog.withRoom(sizeBytes, async () => {
      const partial = new PartialBlob(blob, record);
      await this.#catalog.addPartial(partial);
      return partial;
    });
  }

  #idle(): PartialBlob[] {
    return [...this.#catalog.partials()].filter(({ blob }) => !this.#open.has(blob));
  }
}

/** @throws BlobError BLOB_MISMATCH if there is nothing to check its leaves by */
function assertCheckable(blob: BlobId, sizeBytes: number): void {
  try {
    describeShape(sizeBytes);
  } catch (cause) {
    if (!(cause instanceof DomainError)) throw cause;
    throw new BlobError({ code: 'BLOB_MISMATCH', blob, reason: 'no blob has that size' }, { cause });
  }
  if (hasCheckedLeaves(blob, sizeBytes)) return;
  throw new BlobError({ code: 'BLOB_MISMATCH', blob, reason: `its id is not one of a blob of ${sizeBytes} bytes` });
}
