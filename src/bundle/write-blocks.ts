import * as dagCbor from '@ipld/dag-cbor';
import { sha256 } from '@noble/hashes/sha2.js';
import { varint } from 'multiformats';
import { CID } from 'multiformats/cid';
import { BUNDLE, type Bundle } from '../domain/bundle.ts';
import type { BlobId } from '../domain/ids.ts';
import { encodeObject } from '../domain/object-type.ts';
import { areBytesEqual, concatBytes } from '../lib/bytes.ts';
import { computeObjectCid, computeRawId } from '../lib/cid.ts';
import type { RawBlock } from './collect-snapshots.ts';
import { BLOB_PIECE_BYTES } from './constants.ts';
import { BundleError } from './errors.ts';

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
    if (included) yield* writeBlob(blob, sizeBytes, read);
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
  for (let offset = 0; offset < sizeBytes; ) {
    const piece = await read(blob, offset, Math.min(BLOB_PIECE_BYTES, sizeBytes - offset));
    if (piece === undefined || piece.length === 0) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: blob });
    hash.update(piece);
    offset += piece.length;
    yield piece;
  }
  if (!areBytesEqual(hash.digest(), cid.multihash.digest)) {
    throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
  }
}

function encodeBlockHead(cid: CID, sizeBytes: number): Uint8Array {
  return concatBytes(encodeVarint(cid.bytes.length + sizeBytes), cid.bytes);
}

function encodeVarint(value: number): Uint8Array {
  return varint.encodeTo(value, new Uint8Array(varint.encodingLength(value)));
}
