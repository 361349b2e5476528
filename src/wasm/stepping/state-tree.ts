import { DIGEST_BYTES } from './constants.ts';
import { DigestList, hashInto } from './digests.ts';

const NODE_BYTES = 1 + 2 * DIGEST_BYTES;
const NOTHING = new Uint8Array(DIGEST_BYTES);

/**
 * A Merkle tree of RFC 6962 section 2.1 over leaf hashes that change and become more: an unpaired node is carried up, and
 * only nodes above changed leaves are computed again. Leaves are never taken away.
 */
export class StateTree {
  private readonly levels: DigestList[] = [new DigestList()];
  private readonly node = new Uint8Array(NODE_BYTES);
  private changed: number[] = [];

  constructor() {
    this.node[0] = 0x01;
  }

  /** Every leaf from the old size on has to be set. */
  resize(size: number): void {
    this.level(0).grow(size, NOTHING);
  }

  /** Sets the hash of a leaf. Leaves are set in ascending order between two calls of `computeRoot`. */
  set(index: number, leafHash: Uint8Array): void {
    this.level(0).set(index, leafHash);
    this.changed.push(index);
  }

  /** The root, valid until the tree changes. */
  computeRoot(): Uint8Array {
    let { changed } = this;
    this.changed = [];
    let height = 0;
    for (; this.level(height).length > 1; height++) changed = this.raise(height, changed);
    return this.level(height).at(0);
  }

  private level(height: number): DigestList {
    return (this.levels[height] ??= new DigestList());
  }

  /** Computes the parents of nodes again; returns which those are. */
  private raise(height: number, changed: readonly number[]): number[] {
    const below = this.level(height);
    const above = this.level(height + 1);
    above.grow(Math.ceil(below.length / 2), NOTHING);
    const parents: number[] = [];
    let known = -1;
    for (const index of changed) {
      const parent = index >> 1;
      if (parents.at(-1) === parent) continue;
      parents.push(parent);
      if (2 * parent + 1 === below.length) above.set(parent, below.at(2 * parent));
      // In memory that is all zeros most nodes are the same.
      else if (known !== -1 && below.arePairsEqual(known, parent)) above.set(parent, above.at(known));
      else {
        this.node.set(below.at(2 * parent), 1);
        this.node.set(below.at(2 * parent + 1), 1 + DIGEST_BYTES);
        above.hashAt(parent, this.node);
        known = parent;
      }
    }
    return parents;
  }
}

/** SHA-256(0x00 ‖ tag ‖ content), the hash of a leaf of the state. */
export function hashLeaf(tag: number, content: Uint8Array): Uint8Array {
  const leaf = new Uint8Array(2 + content.length);
  leaf[1] = tag;
  leaf.set(content, 2);
  const leafHash = new Uint8Array(DIGEST_BYTES);
  hashInto(leafHash, 0, leaf);
  return leafHash;
}
