import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { BLOB_LEAF_BYTES, describeShape, measureLeaf } from '../domain/blob-shape.ts';
import { BlobHasher, type BlobTree, computeBlobId, isTreeId } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import { formatRawId } from '../lib/cid.ts';
import { describeError } from '../lib/errors.ts';
import type { BlobCatalog } from './blob-catalog.ts';
import type { BlobDisk, IncomingFile } from './blob-disk.ts';
import type { BlobEntry } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import { HASHED_AT_ONCE, INLINE_MAX_BYTES } from './constants.ts';
import { markSender } from './disk-errors.ts';
import { BlobError } from './errors.ts';
import type { BlobOptions, BlobStat } from './interface.ts';
import { type BlobKeys, LeafSeal } from './leaf-seal.ts';
import { LeafWriter } from './leaf-writer.ts';
import type { BlobMetrics } from './metrics.ts';

export interface BlobWriterModules {
  readonly catalog: BlobCatalog;
  readonly disk: BlobDisk;
  readonly reader: BlobReader;
  readonly keys: BlobKeys;
  readonly metrics: BlobMetrics;
  /** What was just stored in the database is read soon. */
  readonly keepHot: (blob: BlobId, bytes: Uint8Array) => void;
}

/** Takes whole blobs in. */
export class BlobWriter {
  readonly #modules: BlobWriterModules;
  readonly #catalog: BlobCatalog;

  constructor(modules: BlobWriterModules) {
    this.#modules = modules;
    this.#catalog = modules.catalog;
  }

  async put(bytes: Uint8Array, options: BlobOptions): Promise<BlobStat> {
    const blob = await hashBytes(bytes);
    const sizeBytes = bytes.length;
    await this.#storeUnlessHere(blob, sizeBytes, options, async () => {
      if (sizeBytes <= INLINE_MAX_BYTES) return await this.#storeInDatabase(blob, bytes, options);
      await this.#storeFile(sizeBytes, options, async (writer) => {
        for (let offset = 0; offset < sizeBytes; offset += BLOB_LEAF_BYTES) {
          await writer.writeLeaf(bytes.subarray(offset, offset + BLOB_LEAF_BYTES));
        }
        return blob;
      });
    });
    return { blob, sizeBytes };
  }

  async putFile(path: string, options: AbortOptions & BlobOptions): Promise<BlobStat> {
    const source = (reason: string, cause?: unknown): BlobError =>
      new BlobError({ code: 'BLOB_SOURCE', path, reason }, { cause });
    await using file = await open(path, 'r').catch((error: unknown) => {
      throw source(describeError(error), error);
    });
    const status = await file.stat();
    if (!status.isFile()) throw source('it is not a regular file');
    if (status.size <= INLINE_MAX_BYTES) return await this.put(new Uint8Array(await file.readFile()), options);
    const readAt = async (buffer: Uint8Array, position: number): Promise<number> => {
      options.signal?.throwIfAborted();
      return (await file.read(buffer, 0, buffer.length, position)).bytesRead;
    };
    const blob = await this.#catalog.withRoom(status.size, () =>
      this.#storeFile(status.size, options, async (writer) => {
        await copyLeaves(writer, status.size, readAt);
        const after = await file.stat();
        if (writer.sizeBytes !== status.size || after.size !== status.size || after.mtimeMs !== status.mtimeMs) {
          throw source('it changed while it was read');
        }
        return null;
      }),
    );
    return { blob, sizeBytes: status.size };
  }

  async receive(
    blob: BlobId,
    sizeBytes: number,
    chunks: AsyncIterable<Uint8Array>,
    options: BlobOptions,
  ): Promise<void> {
    const known = this.#catalog.get(blob);
    if (known !== undefined && known.sizeBytes !== sizeBytes)
      throw this.#mismatch(blob, `its size is ${known.sizeBytes}`);
    await this.#storeUnlessHere(blob, sizeBytes, options, async () => {
      if (sizeBytes <= INLINE_MAX_BYTES) return await this.#receiveSmall(blob, sizeBytes, chunks, options);
      await this.#storeFile(sizeBytes, options, async (writer) => {
        // An id of the older kind over more than a leaf has no tree.
        const whole = !isTreeId(blob) && sizeBytes > BLOB_LEAF_BYTES ? createHash('sha256') : null;
        let received = 0;
        for await (const chunk of markSender(chunks)) {
          received += chunk.length;
          if (received > sizeBytes) throw this.#mismatch(blob, 'it is longer than announced');
          whole?.update(chunk);
          await writer.write(chunk);
        }
        if (received !== sizeBytes) throw this.#mismatch(blob, 'it is shorter than announced');
        if (whole !== null && formatRawId(new Uint8Array(whole.digest())) === (blob as string)) return blob;
        if ((await writer.finish()).id !== blob) throw this.#mismatch(blob, 'its hash is another');
        return null;
      });
    });
  }

  /** Encrypts a blob that is here in plain; as good as done if it is not here. */
  async seal(blob: BlobId): Promise<void> {
    this.#modules.keys.assertUsable();
    await this.#catalog.whenStored(blob);
    const entry = this.#catalog.get(blob);
    if (entry === undefined || entry.sealedKey !== null) return;
    using _pin = this.#catalog.pin(blob);
    await this.#catalog.withRoom(entry.sizeBytes, () =>
      this.#catalog.storeOnce(blob, () =>
        entry.place === 'database' ? this.#sealRow(blob, entry) : this.#sealFile(blob, entry),
      ),
    );
  }

  /** What is here is used, after it was encrypted if that is asked for. */
  async #storeUnlessHere(
    blob: BlobId,
    sizeBytes: number,
    options: BlobOptions,
    store: () => Promise<unknown>,
  ): Promise<void> {
    if (!this.#catalog.touch(blob)) await this.#catalog.withRoom(sizeBytes, store);
    if (options.isPrivate === true) await this.seal(blob);
  }

  async #receiveSmall(
    blob: BlobId,
    sizeBytes: number,
    chunks: AsyncIterable<Uint8Array>,
    options: BlobOptions,
  ): Promise<void> {
    const bytes = new Uint8Array(sizeBytes);
    let filled = 0;
    for await (const chunk of markSender(chunks)) {
      if (filled + chunk.length > sizeBytes) throw this.#mismatch(blob, 'it is longer than announced');
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    if (filled !== sizeBytes) throw this.#mismatch(blob, 'it is shorter than announced');
    if (computeBlobId(bytes) !== blob) throw this.#mismatch(blob, 'its hash is another');
    await this.#storeInDatabase(blob, bytes, options);
  }

  #storeInDatabase(blob: BlobId, bytes: Uint8Array, options: BlobOptions): Promise<void> {
    return this.#catalog.storeOnce(blob, async () => {
      if (this.#catalog.get(blob) !== undefined) return;
      const key = this.#createKey(options);
      const copy = bytes.slice();
      const entry = this.#catalog.createEntry(copy.length, 'database', key && this.#modules.keys.wrap(blob, key));
      const stored = key === null ? copy : new LeafSeal(key).seal(0, copy);
      await this.#catalog.add(blob, entry, [this.#catalog.smallBlobs.putOperation(blob, stored)]);
      this.#modules.keepHot(blob, copy);
    });
  }

  /** `fill` writes the leaves, and names the blob if its tree does not. */
  async #storeFile(
    sizeBytes: number,
    options: BlobOptions,
    fill: (writer: LeafWriter) => Promise<BlobId | null>,
  ): Promise<BlobId> {
    const key = this.#createKey(options);
    await using incoming = await this.#modules.disk.createIncoming();
    const writer = new LeafWriter(incoming, key && new LeafSeal(key), sizeBytes);
    const named = await fill(writer);
    const tree = await writer.finish();
    const blob = named ?? tree.id;
    await this.#catalog.storeOnce(blob, async () => {
      if (this.#catalog.touch(blob)) return;
      const entry = this.#catalog.createEntry(sizeBytes, 'file', key && this.#modules.keys.wrap(blob, key));
      await this.#accept(incoming, { blob, entry, tree });
    });
    if (options.isPrivate === true) await this.seal(blob);
    return blob;
  }

  async #accept(
    incoming: IncomingFile,
    { blob, entry, tree }: { readonly blob: BlobId; readonly entry: BlobEntry; readonly tree: BlobTree },
  ): Promise<void> {
    await this.#modules.disk.accept(incoming, { blob, isSealed: entry.sealedKey !== null });
    const nodes = isTreeId(blob) && tree.id === blob ? this.#catalog.nodes.putOperations(tree) : [];
    await this.#catalog.add(blob, entry, nodes);
  }

  async #sealRow(blob: BlobId, entry: BlobEntry): Promise<void> {
    const { keys, reader } = this.#modules;
    const found = await reader.readAll(blob, entry);
    if (found.kind !== 'sound') throw new BlobError({ code: 'BLOB_CORRUPT', blob });
    const key = keys.create();
    const sealed = new LeafSeal(key).seal(0, found.bytes);
    const sealedEntry = { ...entry, sealedKey: keys.wrap(blob, key) };
    await this.#catalog.add(blob, sealedEntry, [this.#catalog.smallBlobs.putOperation(blob, sealed)]);
  }

  async #sealFile(blob: BlobId, entry: BlobEntry): Promise<void> {
    const { disk, keys, reader } = this.#modules;
    const key = keys.create();
    await using incoming = await disk.createIncoming();
    const writer = new LeafWriter(incoming, new LeafSeal(key), entry.sizeBytes);
    const { leafCount } = describeShape(entry.sizeBytes);
    for (let leaf = 0; leaf < leafCount; leaf += 1) {
      const bytes = await reader.readLeaf(blob, entry, leaf);
      if (bytes === undefined) throw new BlobError({ code: 'BLOB_CORRUPT', blob });
      await writer.writeLeaf(bytes);
    }
    const tree = await writer.finish();
    await this.#accept(incoming, { blob, entry: { ...entry, sealedKey: keys.wrap(blob, key) }, tree });
  }

  #createKey(options: BlobOptions): Uint8Array | null {
    return options.isPrivate === true ? this.#modules.keys.create() : null;
  }

  #mismatch(blob: BlobId, reason: string): BlobError {
    this.#modules.metrics.refused.increment({ code: 'BLOB_MISMATCH' });
    return new BlobError({ code: 'BLOB_MISMATCH', blob, reason });
  }
}

/** Lets others have a turn now and then: a leaf takes some 0.6 ms. */
async function hashBytes(bytes: Uint8Array): Promise<BlobId> {
  if (bytes.length <= BLOB_LEAF_BYTES) return computeBlobId(bytes);
  const hasher = new BlobHasher();
  for (let offset = 0; offset < bytes.length; offset += HASHED_AT_ONCE) {
    if (offset > 0) await setImmediate();
    hasher.update(bytes.subarray(offset, offset + HASHED_AT_ONCE));
  }
  return hasher.finish().id;
}

/** Reads the next leaf while the last one is written. */
async function copyLeaves(
  writer: LeafWriter,
  sizeBytes: number,
  readAt: (buffer: Uint8Array, position: number) => Promise<number>,
): Promise<void> {
  const shape = describeShape(sizeBytes);
  const buffers = [new Uint8Array(BLOB_LEAF_BYTES), new Uint8Array(BLOB_LEAF_BYTES)] as const;
  let writing = Promise.resolve();
  for (let leaf = 0; leaf < shape.leafCount; leaf += 1) {
    const buffer = buffers[leaf % 2 === 0 ? 0 : 1].subarray(0, measureLeaf(shape, leaf));
    let filled = 0;
    while (filled < buffer.length) {
      const bytesRead = await readAt(buffer.subarray(filled), leaf * BLOB_LEAF_BYTES + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    await writing;
    writing = writer.writeLeaf(buffer.subarray(0, filled));
    // If reading fails first, this failure is not the one that is told.
    writing.catch(() => undefined);
    if (filled < buffer.length) break;
  }
  await writing;
}
