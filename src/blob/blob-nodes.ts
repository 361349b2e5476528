import { type BlobShape, describeShape } from '../domain/blob-shape.ts';
import { type BlobTree, isTreeId } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import { BYTES_CODEC } from '../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { NodePlace } from './interface.ts';
import { PartialTree } from './partial-tree.ts';

function* placesOf(shape: BlobShape): Iterable<NodePlace> {
  for (const [level, count] of shape.levels.entries()) {
    for (let index = 0; index < count; index += 1) yield { level, index };
  }
}

const keyOf = (blob: BlobId, { level, index }: NodePlace): string => `${blob}/${level}/${index}`;

/** The nodes of blobs that are here, whole or in part, as they are handed out. */
export class BlobNodes {
  readonly #database: Database;
  readonly #rows: Repository<Uint8Array>;

  constructor(database: Database) {
    this.#database = database;
    this.#rows = database.repository('blob-nodes', BYTES_CODEC);
  }

  async read(blob: BlobId, place: NodePlace): Promise<Uint8Array | undefined> {
    return await this.#rows.get(keyOf(blob, place));
  }

  /** Not durable: a node that is lost is fetched again. */
  async put(blob: BlobId, place: NodePlace, bytes: Uint8Array): Promise<void> {
    await this.#rows.put(keyOf(blob, place), bytes);
  }

  async putTree(tree: BlobTree): Promise<void> {
    await this.#database.write(this.putOperations(tree));
  }

  putOperations(tree: BlobTree): WriteOperation[] {
    const operations: WriteOperation[] = [];
    for (const place of placesOf(tree.shape)) {
      const bytes = tree.encodeNode(place);
      if (bytes !== undefined) operations.push(this.#rows.putOperation(keyOf(tree.id, place), bytes));
    }
    return operations;
  }

  deleteOperations(blob: BlobId, sizeBytes: number): WriteOperation[] {
    if (!isTreeId(blob)) return [];
    const places = [...placesOf(describeShape(sizeBytes))];
    return places.map((place) => this.#rows.deleteOperation(keyOf(blob, place)));
  }

  /** What is here of the tree, each node checked by the one above it; what is damaged is as good as missing. */
  async load(blob: BlobId, sizeBytes: number): Promise<PartialTree> {
    const tree = new PartialTree(blob, sizeBytes);
    const root = tree.shape.levels.length - 1;
    // From the root downwards, a level at a time.
    for (let level = root; level >= 0; level -= 1) {
      for (const place of tree.missing().filter((missing) => missing.level === level)) {
        const bytes = await this.#rows.get(keyOf(blob, place));
        if (bytes !== undefined) tree.add(place, bytes);
      }
    }
    return tree;
  }
}
