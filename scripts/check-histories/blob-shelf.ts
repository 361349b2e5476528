import { createHash } from 'node:crypto';
import { access, open as openFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNameOf } from '../../src/blob/blob-catalog.ts';
import { locateBlobFile, parseLeavingName } from '../../src/blob/blob-files.ts';
import type { BlobEntry } from '../../src/blob/blob-index.ts';
import { BLOB_ENTRY_CODEC } from '../../src/blob/entry-codec.ts';
import { EVICTION_NOTE_CODEC, MAX_EVICTION_NOTES } from '../../src/blob/eviction-notes.ts';
import { BlobKeys, LEAF_TAG_BYTES } from '../../src/blob/leaf-seal.ts';
import { BLOB_LEAF_BYTES } from '../../src/domain/blob-shape.ts';
import { BlobHasher, isBlob, isTreeId } from '../../src/domain/blob-tree.ts';
import type { BlobId } from '../../src/domain/ids.ts';
import { parseKeyFile } from '../../src/identity/key-file.ts';
import { concatBytes } from '../../src/lib/bytes.ts';
import { computeRawId, formatRawId } from '../../src/lib/cid.ts';
import { describeError, InternalError } from '../../src/lib/errors.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import { decodeEntry } from '../../src/sandbox/instrumented-cache/entry-codec.ts';
import { attempt, listFiles, type OpenedNode, readBytes, readRange } from './open-node.ts';
import type { Tally } from './tally.ts';

/** Blobs of one node: each was read whole and hashed once. */
export class BlobShelf {
  readonly node: OpenedNode;
  readonly #entries = new Map<BlobId, BlobEntry>();
  readonly #whole = new Set<string>();
  readonly #inline = new Map<BlobId, Uint8Array>();
  /** When blobs made room for others, as the store noted it. */
  readonly #evictedAtMs = new Map<BlobId, number>();
  /** Files that a process which was killed had taken out of their place. */
  readonly #leaving = new Set<string>();

  readonly #keys: BlobKeys | null;

  private constructor(node: OpenedNode, keys: BlobKeys | null) {
    this.node = node;
    this.#keys = keys;
  }

  static async load(node: OpenedNode, tally: Tally): Promise<BlobShelf> {
    const shelf = new BlobShelf(node, await readKeys(node));
    for await (const [key, bytes] of readRange(node.database, 'blob-evictions', {})) {
      const note = attempt(() => EVICTION_NOTE_CODEC.decode(bytes));
      if (note !== undefined) shelf.#evictedAtMs.set(key as BlobId, note.atMs);
    }
    for (const name of await listFiles(join(node.paths.blobs, 'incoming'))) {
      const file = parseLeavingName(name);
      if (file !== undefined) shelf.#leaving.add(locateBlobFile(file));
    }
    for await (const [key, bytes] of readRange(node.database, 'blobs', {})) {
      const entry = attempt(() => BLOB_ENTRY_CODEC.decode(bytes));
      if (entry === undefined) continue;
      const blob = key as BlobId;
      shelf.#entries.set(blob, entry);
      if (!shelf.#isReadable(entry)) {
        tally.skip('blobs-whole');
        shelf.#whole.add(blob);
        continue;
      }
      // A file leaves its place before its row does: a node that was killed in between forgets the row at its next start.
      if (node.wasKilled && !(await shelf.#isInPlace(blob, entry)) && shelf.isLeaving(blob)) {
        tally.skip('blobs-whole');
        continue;
      }
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

  /** True if it was out of its place already when its node was killed. */
  isLeaving(blob: BlobId): boolean {
    const entry = this.#entries.get(blob);
    const name = entry && fileNameOf(blob, entry);
    return name !== undefined && this.#leaving.has(locateBlobFile(name));
  }

  /** When it made room for others; undefined if the store noted nothing. */
  evictedAtMs(blob: BlobId): number | undefined {
    return this.#evictedAtMs.get(blob);
  }

  /** The store keeps so many notes and no more: what it says nothing of may have been noted once. */
  get hasAllNotes(): boolean {
    return this.#evictedAtMs.size < MAX_EVICTION_NOTES;
  }

  /** Bytes that ride with a receipt. True if they hash to their name. */
  addInline(blob: BlobId, bytes: Uint8Array): boolean {
    if (!isBlob(blob, bytes)) return false;
    this.#inline.set(blob, bytes.slice());
    return true;
  }

  /** Undefined unless it is here, whole and can be read. */
  async read(blob: BlobId): Promise<Uint8Array | undefined> {
    const inline = this.#inline.get(blob);
    const entry = this.#entries.get(blob);
    if (inline !== undefined || entry === undefined || !this.#whole.has(blob) || !this.#isReadable(entry))
      return inline;
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#readPieces(blob, entry)) pieces.push(piece);
    return concatBytes(...pieces);
  }

  /** Of a private blob only who has the keystore's passphrase can tell. */
  #isReadable({ sealedKey }: BlobEntry): boolean {
    return sealedKey === null || this.#keys !== null;
  }

  async #isInPlace(blob: BlobId, entry: BlobEntry): Promise<boolean> {
    if (entry.place === 'database') return true;
    return await access(this.#pathOf(blob, entry)).then(
      () => true,
      () => false,
    );
  }

  #pathOf(blob: BlobId, { sealedKey }: BlobEntry): string {
    return join(this.node.paths.blobs, locateBlobFile({ blob, isSealed: sealedKey !== null }));
  }

  async #findProblem(blob: BlobId, entry: BlobEntry): Promise<string | null> {
    const tree = new BlobHasher();
    const whole = createHash('sha256');
    let readBytes = 0;
    try {
      for await (const piece of this.#readPieces(blob, entry)) {
        if (isTreeId(blob)) tree.update(piece);
        else whole.update(piece);
        readBytes += piece.length;
      }
    } catch (error) {
      return `it cannot be read: ${describeError(error)}`;
    }
    if (readBytes !== entry.sizeBytes) return `it has ${readBytes} bytes, its entry says ${entry.sizeBytes}`;
    const name = isTreeId(blob) ? tree.finish().id : formatRawId(whole.digest());
    return name === blob ? null : 'its bytes do not hash to its name';
  }

  /** Its bytes in order, those of a private blob opened leaf by leaf. */
  async *#readPieces(blob: BlobId, entry: BlobEntry): AsyncGenerator<Uint8Array> {
    const { place, sealedKey, sizeBytes } = entry;
    const seal = sealedKey === null ? null : (this.#keys?.unwrap(blob, sealedKey) ?? null);
    const open = (leaf: number, bytes: Uint8Array): Uint8Array => {
      const opened = seal === null ? bytes : seal.open(leaf, bytes);
      if (opened === undefined) throw new InternalError(`leaf ${leaf} cannot be opened with its key`);
      return opened;
    };
    if (place === 'database') {
      const bytes = await readBytes(this.node.database, 'blob-bytes', blob);
      if (bytes === undefined) throw new InternalError('its bytes are not in the database');
      yield open(0, bytes);
      return;
    }
    await using file = await openFile(this.#pathOf(blob, entry), 'r');
    const leafBytes = BLOB_LEAF_BYTES + (sealedKey === null ? 0 : LEAF_TAG_BYTES);
    const { size } = await file.stat();
    for (let leaf = 0; leaf * leafBytes < size; leaf += 1) {
      const bytes = new Uint8Array(Math.min(leafBytes, size - leaf * leafBytes));
      await file.read(bytes, 0, bytes.length, leaf * leafBytes);
      yield open(leaf, bytes);
    }
    if (size === 0 && sizeBytes === 0) yield new Uint8Array();
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

/** Null where the keystore asks for a passphrase. */
async function readKeys({ folder }: OpenedNode): Promise<BlobKeys | null> {
  const path = join(folder, 'identity.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return null;
  const { identity } = await parseKeyFile(text, path);
  return new BlobKeys({ random: new SystemRandom() }, identity.deriveStoreKey());
}
