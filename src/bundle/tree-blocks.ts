/**
 * Blobs over 1 MiB in a bundle file (docs/blobs.md section 1): the blocks of their UnixFS file in the order of a depth-first
 * walk (root, then each node before what is under it), a block for each place even where two are equal. So CAR tools read
 * them, and each leaf is checked as it passes.
 */
import { DIGEST_BYTES, parseBlobNode } from '../domain/blob-node.ts';
import {
  type BlobNodePlace,
  type BlobShape,
  describeShape,
  findChildren,
  measureLeaf,
  rootPlace,
} from '../domain/blob-shape.ts';
import { formatTreeId } from '../domain/blob-tree.ts';
import type { BlobId } from '../domain/ids.ts';
import { formatRawId } from '../lib/cid.ts';
import { DaemonError } from '../lib/errors.ts';
import { BundleError } from './errors.ts';

/** A block that has to come next. */
export type ExpectedBlock =
  | { readonly kind: 'node'; readonly blob: BlobId; readonly place: BlobNodePlace }
  | { readonly kind: 'leaf'; readonly blob: BlobId; readonly leaf: number; readonly sizeBytes: number };

/** The blocks of one blob in their order. Memory: the digests of one path from the root down. */
export class TreeWalk {
  readonly #shape: BlobShape;
  /** Of each level, from the root down: what is still to come under the node that was walked into. */
  readonly #open: { readonly level: number; next: number; readonly digests: Uint8Array; readonly first: number }[] = [];
  #root: ExpectedBlock | undefined;

  /** @throws BundleError BUNDLE_MALFORMED for a blob that is too small, or too large, to have a tree */
  constructor(blob: BlobId, sizeBytes: number) {
    this.#shape = guard(() => describeShape(sizeBytes));
    const place = rootPlace(this.#shape);
    if (place === undefined) {
      throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: `${blob} is no name for ${sizeBytes} bytes` });
    }
    this.#root = { kind: 'node', blob, place };
  }

  /** Undefined once all have come. */
  get next(): ExpectedBlock | undefined {
    if (this.#root !== undefined) return this.#root;
    while (this.#open.length > 0) {
      const top = this.#open[this.#open.length - 1];
      if (top === undefined) break;
      const offset = (top.next - top.first) * DIGEST_BYTES;
      if (offset >= top.digests.length) {
        this.#open.pop();
        continue;
      }
      return this.#describe(top.level, top.next, top.digests.subarray(offset, offset + DIGEST_BYTES));
    }
    return undefined;
  }

  /** Goes on behind the next block, which hashes to its name; a node's bytes say what is under it. */
  take(block: ExpectedBlock, bytes: Uint8Array): void {
    if (this.#root === undefined) {
      const top = this.#open[this.#open.length - 1];
      if (top !== undefined) top.next += 1;
    }
    this.#root = undefined;
    if (block.kind === 'leaf') return;
    const digests = guard(() => parseBlobNode(bytes, block.place, this.#shape));
    const { first } = findChildren(this.#shape, block.place);
    this.#open.push({ level: block.place.level, next: first, digests, first });
  }

  #describe(level: number, index: number, digest: Uint8Array): ExpectedBlock {
    if (level === 0) {
      const blob = formatRawId(digest) as BlobId;
      return { kind: 'leaf', blob, leaf: index, sizeBytes: measureLeaf(this.#shape, index) };
    }
    return { kind: 'node', blob: formatTreeId(digest), place: { level: level - 1, index } };
  }
}

function guard<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: error.message }, { cause: error });
  }
}
