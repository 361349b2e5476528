import { BlobError } from '../../blob/errors.ts';
import type { BlobReception, BlobTransferStore, NodePlace } from '../../blob/interface.ts';
import { DIGEST_BYTES, parseBlobNode } from '../../domain/blob-node.ts';
import { BLOB_FANOUT, type BlobShape, rootPlace } from '../../domain/blob-shape.ts';
import { readBlobDigest } from '../../domain/blob-tree.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import type { SuppliedLeaves, SuppliedSet } from './supplied-leaves.ts';

/** Where the pieces of one blob go that come from peers. Each is checked before it is taken. */
export interface LeafSink {
  readonly shape: BlobShape;
  missingNodes(): readonly NodePlace[];
  /** @throws BlobError BLOB_MISMATCH and what the store throws */
  addNode(place: NodePlace, bytes: Uint8Array): Promise<void>;
  hasLeaf(leaf: number): boolean;
  /** `bytes` may be used again when it resolves. @throws BlobError BLOB_MISMATCH and what the store throws */
  addLeaf(leaf: number, bytes: Uint8Array, peer: PeerKey): Promise<void>;
}

export interface ReceptionSinkModules {
  readonly store: Pick<BlobTransferStore, 'openReception' | 'readNode'>;
  readonly supplied: SuppliedLeaves;
}

/**
 * Stores what comes. The reception is opened when the root is here: until then nobody has shown that there is a blob of that
 * id and size, and no room is made for it.
 */
export class ReceptionSink implements LeafSink, AsyncDisposable {
  readonly shape: BlobShape;
  readonly #modules: ReceptionSinkModules;
  readonly #blob: BlobId;
  readonly #isPrivate: boolean;
  #opening: Promise<BlobReception> | null = null;
  #reception: BlobReception | null = null;
  readonly #adding = new Map<number, Promise<void>>();

  constructor(
    modules: ReceptionSinkModules,
    options: { readonly blob: BlobId; readonly shape: BlobShape; readonly isPrivate: boolean },
  ) {
    this.#modules = modules;
    this.#blob = options.blob;
    this.shape = options.shape;
    this.#isPrivate = options.isPrivate;
  }

  /** Goes on from what an earlier reception left, if it did. */
  async resume(): Promise<void> {
    const root = rootPlace(this.shape);
    if (root === undefined) return;
    const bytes = await this.#modules.store.readNode(this.#blob, root);
    if (bytes !== undefined && isRoot(this.#blob, this.shape, bytes)) await this.#open();
  }

  missingNodes(): readonly NodePlace[] {
    if (this.#reception !== null) return this.#reception.missingNodes();
    const root = rootPlace(this.shape);
    return root === undefined ? [] : [root];
  }

  async addNode(place: NodePlace, bytes: Uint8Array): Promise<void> {
    if (this.#reception === null) {
      if (!isRoot(this.#blob, this.shape, bytes)) throw mismatch(this.#blob, 'its root is another');
      await this.#open();
    }
    // It may have come from two peers.
    if (!this.#isKnown(place)) await this.#reception?.addNode(place, bytes);
  }

  hasLeaf(leaf: number): boolean {
    return this.#reception?.hasLeaf(leaf) === true;
  }

  async addLeaf(leaf: number, bytes: Uint8Array, peer: PeerKey): Promise<void> {
    // A store takes a leaf that it has without looking: only whose bytes were looked at has shown that it has them.
    for (let other = this.#adding.get(leaf); other !== undefined; other = this.#adding.get(leaf)) {
      await other.catch(() => undefined);
      if (this.#adding.get(leaf) === other) this.#adding.delete(leaf);
    }
    if (this.hasLeaf(leaf)) return;
    const adding = this.#reception?.addLeaf(leaf, bytes) ?? Promise.resolve();
    this.#adding.set(leaf, adding);
    try {
      await adding;
    } finally {
      if (this.#adding.get(leaf) === adding) this.#adding.delete(leaf);
    }
    this.#modules.supplied.of(peer, this.#blob, this.shape.leafCount).add(leaf);
  }

  async commit(): Promise<void> {
    await this.#reception?.commit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reception = await this.#opening?.catch(() => undefined);
    await reception?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    const { sizeBytes } = this.shape;
    this.#opening ??= this.#modules.store.openReception(this.#blob, sizeBytes, { isPrivate: this.#isPrivate });
    this.#reception = await this.#opening;
  }

  #isKnown(place: NodePlace): boolean {
    return !this.missingNodes().some(({ level, index }) => level === place.level && index === place.index);
  }
}

/** Keeps nothing: compares what one peer sends with the blob that is here. */
export class ProofSink implements LeafSink {
  readonly shape: BlobShape;
  readonly #store: Pick<BlobTransferStore, 'readNode'>;
  readonly #blob: BlobId;
  readonly #supplied: SuppliedSet;
  /** Digests under the level-0 node that was used last: leaves come in order. */
  #digests: { readonly index: number; readonly bytes: Uint8Array } | null = null;

  constructor(
    modules: { readonly store: Pick<BlobTransferStore, 'readNode'>; readonly supplied: SuppliedSet },
    options: { readonly blob: BlobId; readonly shape: BlobShape },
  ) {
    this.#store = modules.store;
    this.#supplied = modules.supplied;
    this.#blob = options.blob;
    this.shape = options.shape;
  }

  missingNodes(): readonly NodePlace[] {
    return [];
  }

  async addNode(): Promise<void> {}

  hasLeaf(leaf: number): boolean {
    return this.#supplied.has(leaf);
  }

  async addLeaf(leaf: number, bytes: Uint8Array): Promise<void> {
    const offset = (leaf % BLOB_FANOUT) * DIGEST_BYTES;
    const digests = await this.#readDigests(Math.floor(leaf / BLOB_FANOUT));
    if (!areBytesEqual(sha256(bytes), digests.subarray(offset, offset + DIGEST_BYTES))) {
      throw mismatch(this.#blob, `leaf ${leaf} has another hash`);
    }
    this.#supplied.add(leaf);
  }

  async #readDigests(index: number): Promise<Uint8Array> {
    if (this.#digests?.index === index) return this.#digests.bytes;
    const place = { level: 0, index };
    const node = await this.#store.readNode(this.#blob, place);
    if (node === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob: this.#blob });
    const bytes = parseBlobNode(node, place, this.shape);
    this.#digests = { index, bytes };
    return bytes;
  }
}

function isRoot(blob: BlobId, shape: BlobShape, bytes: Uint8Array): boolean {
  const place = rootPlace(shape);
  if (place === undefined || !areBytesEqual(sha256(bytes), readBlobDigest(blob))) return false;
  try {
    parseBlobNode(bytes, place, shape);
    return true;
  } catch {
    return false;
  }
}

function mismatch(blob: BlobId, reason: string): BlobError {
  return new BlobError({ code: 'BLOB_MISMATCH', blob, reason });
}
