import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobEntry } from '../../src/blob/blob-index.ts';
import { BLOB_ENTRY_CODEC } from '../../src/blob/entry-codec.ts';
import { BlobHasher, isBlob, isTreeId } from '../../src/domain/blob-tree.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { computeRawId, formatRawId } from '../../src/lib/cid.ts';
import { decodeEntry } from '../../src/sandbox/instrumented-cache/entry-codec.ts';
import { attempt, listFiles, type OpenedNode, readRange } from './open-node.ts';
import type { Tally } from './tally.ts';

/** Blobs of one node: each was read whole and hashed once. */
export class BlobShelf {
  readonly node: OpenedNode;
  readonly #entries = new Map<BlobId, BlobEntry>();
  readonly #whole = new Set<string>();
  readonly #inline = new Map<BlobId, Uint8Array>();

  private constructor(node: OpenedNode) {
    this.node = node;
  }

  static async load(node: OpenedNode, tally: Tally): Promise<BlobShelf> {
    const shelf = new BlobShelf(node);
    for await (const [key, bytes] of readRange(node.database, 'blobs', {})) {
      const entry = attempt(() => BLOB_ENTRY_CODEC.decode(bytes));
      if (entry === undefined) continue;
      const blob = key as BlobId;
      shelf.#entries.set(blob, entry);
      const problem = await shelf.#findProblem(blob, entry);
      tally.check('blobs-whole', { node: node.name, key: `blobs/${blob}` }, [[problem === null, problem ?? '']]);
      if (problem === null) shelf.#whole.add(blob);
    }
    await shelf.#readCache();
    return shelf;
  }

  /** True if it is here and hashes to its name. */
  has(blob: string): boolean {
    return this.#whole.has(blob) || this.#inline.has(blob as BlobId);
  }

  /** True if the node's index names it, whether or not it is there. */
  names(blob: BlobId): boolean {
    return this.#entries.has(blob);
  }

  get storedBytes(): number {
    return [...this.#entries.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Bytes that ride with a receipt. True if they hash to their name. */
  addInline(blob: BlobId, bytes: Uint8Array): boolean {
    if (!isBlob(blob, bytes)) return false;
    this.#inline.set(blob, bytes.slice());
    return true;
  }

  /** Undefined unless it is here and whole. */
  async read(blob: BlobId): Promise<Uint8Array | undefined> {
    const inline = this.#inline.get(blob);
    if (inline !== undefined || !this.#whole.has(blob)) return inline;
    const entry = this.#entries.get(blob);
    if (entry === undefined) return undefined;
    if (entry.place === 'database') return await this.node.database.getBytes('blob-bytes', blob);
    return new Uint8Array(await readFile(this.#pathOf(blob)));
  }

  async #findProblem(blob: BlobId, entry: BlobEntry): Promise<string | null> {
    if (entry.place === 'database') {
      const bytes = await this.node.database.getBytes('blob-bytes', blob);
      if (bytes === undefined) return 'its bytes are not in the database';
      if (bytes.length !== entry.sizeBytes) return `it has ${bytes.length} bytes, its entry says ${entry.sizeBytes}`;
      return isBlob(blob, bytes) ? null : 'its bytes do not hash to its name';
    }
    const path = this.#pathOf(blob);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) return `there is no file ${path}`;
    if (found.size !== entry.sizeBytes) return `it has ${found.size} bytes, its entry says ${entry.sizeBytes}`;
    return (await hashFile(path, blob)) === blob ? null : 'its bytes do not hash to its name';
  }

  #pathOf(blob: BlobId): string {
    return join(this.node.paths.blobs, blob.slice(-2), blob);
  }

  /** Instrumented modules are a cache of their own; a damaged entry is no entry. */
  async #readCache(): Promise<void> {
    const folder = this.node.paths.instrumented;
    for (const name of await listFiles(folder)) {
      const module = decodeEntry(new Uint8Array(await readFile(join(folder, name)).catch(() => Buffer.alloc(0))));
      if (module !== null) this.#whole.add(computeRawId(module.bytes));
    }
  }
}

async function hashFile(path: string, blob: BlobId): Promise<string> {
  if (isTreeId(blob)) {
    const hasher = new BlobHasher();
    for await (const piece of createReadStream(path)) hasher.update(piece as Buffer);
    return hasher.finish().id;
  }
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return formatRawId(hash.digest());
}
