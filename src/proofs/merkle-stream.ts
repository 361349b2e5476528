/**
 * An RFC 6962 tree that only grows, in O(log n) memory: of n leaves, the root of the complete subtree of 2^i leaves
 * where bit i of n is set (the frontier). `proof-anchor` keeps its log the same way.
 */
import { sha256 } from '../lib/cid.ts';
import { computeNodeHash, HASH_BYTES } from './merkle.ts';

/** RFC 6962 section 2.1: the hash of an empty list is that of an empty string. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array());

export class MerkleFrontier {
  /** Index: height of the subtree. */
  readonly #subtrees: (Uint8Array | undefined)[] = [];
  #size = 0;

  /**
   * A frontier as `subtrees` gave it.
   * @param subtrees smallest first
   * @throws RangeError unless there is one hash for each bit of `size`
   */
  static restore(size: number, subtrees: readonly Uint8Array[]): MerkleFrontier {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`no tree has ${size} leaves`);
    const frontier = new MerkleFrontier();
    frontier.#size = size;
    const rest = [...subtrees];
    for (let height = 0, bits = size; bits > 0; height++, bits = Math.floor(bits / 2)) {
      if (bits % 2 === 1) frontier.#subtrees[height] = takeHash(rest);
    }
    if (rest.length > 0) throw new RangeError('more hashes than bits');
    return frontier;
  }

  get size(): number {
    return this.#size;
  }

  /** Roots of the complete subtrees, smallest first. */
  get subtrees(): readonly Uint8Array[] {
    return this.#subtrees.filter((hash) => hash !== undefined);
  }

  get root(): Uint8Array {
    const [smallest, ...larger] = this.subtrees;
    if (smallest === undefined) return EMPTY_ROOT.slice();
    return larger.reduce((right, left) => computeNodeHash(left, right), smallest).slice();
  }

  /** @param leafHash made by `computeLeafHash` */
  append(leafHash: Uint8Array): void {
    if (leafHash.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
    let hash: Uint8Array = leafHash.slice();
    let height = 0;
    for (let left = this.#subtrees[0]; left !== undefined; left = this.#subtrees[height]) {
      hash = computeNodeHash(left, hash);
      this.#subtrees[height] = undefined;
      height += 1;
    }
    this.#subtrees[height] = hash;
    this.#size += 1;
  }
}

function takeHash(hashes: Uint8Array[]): Uint8Array {
  const hash = hashes.shift();
  if (hash === undefined) throw new RangeError('fewer hashes than bits');
  if (hash.length !== HASH_BYTES) throw new RangeError('a hash has 32 bytes');
  return hash.slice();
}
