import { ANCHOR_LEAF_KINDS, type AnchorLeaf, encodeAnchorLeaf } from '../../domain/anchor.ts';
import type { Codec, Database, Repository, WriteOperation } from '../../storage/interface.ts';
import { DIGEST_BYTES, LEAF_BYTES, PARALLEL_READS } from './constants.ts';
import { AnchoringError } from './errors.ts';

export interface LeafPlace {
  readonly batch: number;
  readonly index: number;
}

/** Two u48, big-endian: written once for each leaf, so without the cost of a schema. */
const NUMBER_BYTES = 6;
export const LEAF_PLACE_CODEC: Codec<LeafPlace> = {
  encode: ({ batch, index }) => {
    const bytes = Buffer.alloc(2 * NUMBER_BYTES);
    bytes.writeUIntBE(batch, 0, NUMBER_BYTES);
    bytes.writeUIntBE(index, NUMBER_BYTES, NUMBER_BYTES);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  },
  decode: (bytes) => {
    if (bytes.length !== 2 * NUMBER_BYTES) throw new RangeError(`${bytes.length} bytes are no place of a leaf`);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return { batch: view.readUIntBE(0, NUMBER_BYTES), index: view.readUIntBE(NUMBER_BYTES, NUMBER_BYTES) };
  },
};

/** Bytes of a leaf as they stand in a batch: `u8 kind ‖ digest`. @throws AnchoringError ANCHORING_BAD_LEAF */
export function encodeLeaf(leaf: AnchorLeaf): Uint8Array {
  if (leaf.digest.length !== DIGEST_BYTES) {
    throw new AnchoringError({ code: 'ANCHORING_BAD_LEAF', reason: `a digest of ${leaf.digest.length} bytes` });
  }
  return encodeAnchorLeaf(leaf);
}

export function isReceiptLeaf(bytes: Uint8Array): boolean {
  return bytes.length === LEAF_BYTES && bytes[0] === ANCHOR_LEAF_KINDS.receipt;
}

/** Which leaf is where. The key is the leaf itself, in hexadecimal digits. */
export class LeafIndex {
  readonly #places: Repository<LeafPlace>;

  constructor(modules: { readonly database: Database }) {
    this.#places = modules.database.repository('anchor-leaves', LEAF_PLACE_CODEC);
  }

  static key(leaf: Uint8Array): string {
    return Buffer.from(leaf.buffer, leaf.byteOffset, leaf.length).toString('hex');
  }

  /** Which of these are here already. */
  async *findKnown(keys: readonly string[]): AsyncIterable<string> {
    for (let from = 0; from < keys.length; from += PARALLEL_READS) {
      const some = keys.slice(from, from + PARALLEL_READS);
      const found = await Promise.all(some.map((key) => this.#places.has(key)));
      for (const [index, key] of some.entries()) if (found[index] === true) yield key;
    }
  }

  async get(leaf: AnchorLeaf): Promise<LeafPlace | undefined> {
    return await this.#places.get(LeafIndex.key(encodeLeaf(leaf)));
  }

  putOperation(key: string, place: LeafPlace): WriteOperation {
    return this.#places.putOperation(key, place);
  }

  deleteOperation(leaf: Uint8Array): WriteOperation {
    return this.#places.deleteOperation(LeafIndex.key(leaf));
  }
}
