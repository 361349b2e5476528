import * as dagCbor from '@ipld/dag-cbor';
import { sha256 } from '@noble/hashes/sha2.js';
import { varint } from 'multiformats';
import { CID } from 'multiformats/cid';
import { BLOB_LEAF_BYTES } from '../domain/blob-shape.ts';
import { BlobHasher, isTreeId } from '../domain/blob-tree.ts';
import { BUNDLE, type Bundle } from '../domain/bundle.ts';
import type { BlobId } from '../domain/ids.ts';
import { encodeObject } from '../domain/object-type.ts';
import { areBytesEqual, concatBytes } from '../lib/bytes.ts';
import { computeObjectCid, computeRawId, sha256 as sha256Bytes } from '../lib/cid.ts';
import type { RawBlock } from './collect-snapshots.ts';
import { BLOB_PIECE_BYTES } from './constants.ts';
import { BundleError } from './errors.ts';
import { TreeWalk } from './tree-blocks.ts';

/** Reads at most `length` bytes of a blob from `offset`; undefined if it is not there. */
export type BlobReader = (blob: BlobId, offset: number, length: number) => Promise<Uint8Array | undefined>;

/**
 * The pieces of a bundle file in order: CARv1 header, root block, each included blob, then each snapshot with its items;
 * read piece by piece and hashed on the way, so that a damaged store cannot give a damaged file.
 * @throws BundleError BUNDLE_TOO_LARGE, BUNDLE_MISSING_BLOCK, BUNDLE_HASH_MISMATCH
 */
export async function* writeBlocks(
  bundle: Bundle,
  read: BlobReader,
  snapshots?: AsyncIterable<RawBlock>,
): AsyncIterable<Uint8Array> {
  const root = encodeObject(BUNDLE, bundle);
  if (root.length > BUNDLE.maxBytes) {
    const sizeBytes = root.length;
    throw new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'root block', sizeBytes, maxBytes: BUNDLE.maxBytes });
  }
  const cid = computeObjectCid(root);
  const header = dagCbor.encode({ version: 1, roots: [cid] });
  yield concatBytes(encodeVarint(header.length), header, encodeBlockHead(cid, root.length), root);
  for (const { blob, sizeBytes, included } of bundle.blobs) {
    if (!included) continue;
    yield* isTreeId(blob) ? writeTree(blob, sizeBytes, read) : writeBlob(blob, sizeBytes, read);
  }
  if (snapshots !== undefined) yield* writeSnapshots(snapshots);
}

async function* writeSnapshots(blocks: AsyncIterable<RawBlock>): AsyncIterable<Uint8Array> {
  for await (const { blob, bytes } of blocks) {
    if (computeRawId(bytes) !== blob) throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
    yield encodeBlockHead(CID.parse(blob), bytes.length);
    yield bytes;
  }
}

async function* writeBlob(blob: BlobId, sizeBytes: number, read: BlobReader): AsyncIterable<Uint8Array> {
  const cid = CID.parse(blob);
  yield encodeBlockHead(cid, sizeBytes);
  const hash = sha256.create();
  for await (const piece of readPieces(blob, sizeBytes, read)) {
    hash.update(piece);
    yield piece;
  }
  if (!areBytesEqual(hash.digest(), cid.multihash.digest)) {
    throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
  }
}

/** Read twice: the nodes come before the leaves that they are made from. */
async function* writeTree(blob: BlobId, sizeBytes: number, read: BlobReader): AsyncIterable<Uint8Array> {
  const hasher = new BlobHasher();
  for await (const piece of readPieces(blob, sizeBytes, read)) hasher.update(piece);
  const tree = hasher.finish();
  if (tree.id !== blob) throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
  const walk = new TreeWalk(blob, sizeBytes);
  for (let next = walk.next; next !== undefined; next = walk.next) {
    const bytes =
      next.kind === 'node'
        ? tree.encodeNode(next.place)
        : await read(blob, next.leaf * BLOB_LEAF_BYTES, next.sizeBytes);
    if (bytes === undefined) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: blob });
    const cid = CID.parse(next.blob);
    if (!areBytesEqual(sha256Bytes(bytes), cid.multihash.digest)) {
      throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
    }
    yield encodeBlockHead(cid, bytes.length);
    yield bytes;
    walk.take(next, bytes);
  }
}

async function* readPieces(blob: BlobId, sizeBytes: number, read: BlobReader): AsyncIterable<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; ) {
    const piece = await read(blob, offset, Math.min(BLOB_PIECE_BYTES, sizeBytes - offset));
    if (piece === undefined || piece.length === 0) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: blob });
    offset += piece.length;
    yield piece;
  }
}

function encodeBlockHead(cid: CID, sizeBytes: number): Uint8Array {
  return concatBytes(encodeVarint(cid.bytes.length + sizeBytes), cid.bytes);
}

function encodeVarint(value: number): Uint8Array {
  return varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)));
}
