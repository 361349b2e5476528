import { HASH_BYTES, MerkleTree, writeLeafHash } from '../../proofs/merkle.ts';
import { BYTES_CODEC } from '../../storage/codecs.ts';
import type { Database, Repository, WriteOperation } from '../../storage/interface.ts';
import { encodeBatchKey } from './batch-record.ts';
import { CHUNK_LEAVES, LEAF_BYTES } from './constants.ts';
import { AnchoringError } from './errors.ts';

const CHUNK_DIGITS = 8;

/** The tree over leaves that stand one after the other. */
export function buildChunkTree(leaves: Uint8Array): MerkleTree {
  const hashes = new Uint8Array((leaves.length / LEAF_BYTES) * HASH_BYTES);
  for (let from = 0, to = 0; from < leaves.length; from += LEAF_BYTES, to += HASH_BYTES) {
    writeLeafHash(hashes, to, leaves.subarray(from, from + LEAF_BYTES));
  }
  return new MerkleTree(hashes);
}

/**
 * Trees on disk, in rows of 256 leaves and one row with the roots of those: a proof reads two rows, whatever the size
 * of the batch. 256 leaves are a complete subtree, so the tree over the rows' roots continues theirs (RFC 6962).
 */
export class StoredTrees {
  readonly #rows: Repository<Uint8Array>;

  constructor(modules: { readonly database: Database }) {
    this.#rows = modules.database.repository('anchor-trees', BYTES_CODEC);
  }

  putChunkOperation(batch: number, chunk: number, leaves: Uint8Array): WriteOperation {
    return this.#rows.putOperation(chunkKey(batch, chunk), leaves);
  }

  putRootsOperation(batch: number, roots: Uint8Array): WriteOperation {
    return this.#rows.putOperation(rootsKey(batch), roots);
  }

  deleteChunkOperation(batch: number, chunk: number): WriteOperation {
    return this.#rows.deleteOperation(chunkKey(batch, chunk));
  }

  deleteRootsOperation(batch: number): WriteOperation {
    return this.#rows.deleteOperation(rootsKey(batch));
  }

  /** Leaves of one row after another. @throws AnchoringError ANCHORING_DAMAGED if they are no whole leaves */
  async *chunks(batch: number): AsyncIterable<readonly [chunk: number, leaves: Uint8Array]> {
    const prefix = encodeBatchKey(batch);
    for await (const [key, leaves] of this.#rows.entries({ gte: `${prefix}/`, lt: rootsKey(batch) })) {
      assertLeaves(batch, leaves);
      yield [Number(key.slice(prefix.length + 1)), leaves];
    }
  }

  /** Inclusion path of a leaf of a sealed batch. @throws AnchoringError ANCHORING_DAMAGED */
  async readPath(batch: number, index: number): Promise<Uint8Array[]> {
    const chunk = Math.floor(index / CHUNK_LEAVES);
    const leaves = await this.#rows.get(chunkKey(batch, chunk));
    const roots = await this.#rows.get(rootsKey(batch));
    if (leaves === undefined || roots === undefined || roots.length % HASH_BYTES !== 0 || roots.length === 0) {
      throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason: `a row of leaf ${index} is missing` });
    }
    assertLeaves(batch, leaves);
    const within = index % CHUNK_LEAVES;
    if (within * LEAF_BYTES >= leaves.length || chunk * HASH_BYTES >= roots.length) {
      throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason: `it ends before leaf ${index}` });
    }
    return [
      ...buildChunkTree(leaves).computeInclusionPath(within),
      ...new MerkleTree(roots).computeInclusionPath(chunk),
    ];
  }
}

function chunkKey(batch: number, chunk: number): string {
  return `${encodeBatchKey(batch)}/${String(chunk).padStart(CHUNK_DIGITS, '0')}`;
}

/** After all rows of the batch in the order of keys. */
function rootsKey(batch: number): string {
  return `${encodeBatchKey(batch)}/roots`;
}

function assertLeaves(batch: number, leaves: Uint8Array): void {
  if (leaves.length > 0 && leaves.length % LEAF_BYTES === 0 && leaves.length <= CHUNK_LEAVES * LEAF_BYTES) return;
  throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason: `a row of ${leaves.length} bytes` });
}
