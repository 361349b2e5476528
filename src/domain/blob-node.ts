/**
 * A node of a blob's tree as a dag-pb block with UnixFS data of a file: https://specs.ipfs.tech/unixfs/ and, for the
 * fields that a node has or has not, the profile unixfs-v1-2025 of IPIP-499. All but the hashes follows from the size
 * of the blob and the place of the node, so a node is checked by writing it again.
 */
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { areBytesEqual } from '../lib/bytes.ts';
import { DAG_PB_CODE, RAW_CODE, SHA2_256 } from '../lib/cid.ts';
import { describeError } from '../lib/errors.ts';
import {
  type BlobNodePlace,
  type BlobShape,
  findChildren,
  hasNode,
  MAX_BLOB_NODE_BYTES,
  spanOf,
} from './blob-shape.ts';
import { DomainError } from './errors.ts';

export const DIGEST_BYTES = 32;

/** Field 1 of UnixFS `Data`, and its value for a file; fields 3 (filesize) and 4 (blocksizes), all varints. */
const TYPE_TAG = 0x08;
const FILE = 0x02;
const FILESIZE_TAG = 0x18;
const BLOCKSIZE_TAG = 0x20;
/** A link beside its Tsize: its own tag and length, a CID of 36 bytes, an empty name, the tag of Tsize. */
const LINK_BYTES = 2 + (2 + 36) + 2 + 1;

/** Bytes of a non-negative integer as a varint of protobuf. */
function measureVarint(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1;
  return length;
}

function writeVarint(target: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) target.push((rest % 128) | 128);
  target.push(rest);
}

/** Bytes of the blob under each child of a node of `level` that is over `bytes` of it. */
function* splitSpan(level: number, bytes: number): Iterable<number> {
  const span = spanOf(level);
  for (let rest = bytes; rest > 0; rest -= span) yield Math.min(span, rest);
}

/** Bytes of all blocks of a subtree, which a link to it has as `Tsize`; `level` is -1 for a leaf. */
export function measureSubtree(level: number, bytes: number): number {
  if (level < 0) return bytes;
  let [links, below, sizes, full] = [0, 0, 0, -1];
  for (const part of splitSpan(level, bytes)) {
    // All but the last child are full: their measure is taken once.
    const isFull = part === spanOf(level);
    if (isFull && full < 0) full = measureSubtree(level - 1, part);
    const child = isFull ? full : measureSubtree(level - 1, part);
    below += child;
    links += LINK_BYTES + measureVarint(child);
    sizes += 1 + measureVarint(part);
  }
  const data = 2 + 1 + measureVarint(bytes) + sizes;
  return links + 1 + measureVarint(data) + data + below;
}

function encodeFileData(level: number, bytes: number): Uint8Array {
  const data = [TYPE_TAG, FILE, FILESIZE_TAG];
  writeVarint(data, bytes);
  for (const part of splitSpan(level, bytes)) {
    data.push(BLOCKSIZE_TAG);
    writeVarint(data, part);
  }
  return Uint8Array.from(data);
}

function bytesUnder(shape: BlobShape, { level, index }: BlobNodePlace): number {
  const span = spanOf(level + 1);
  return Math.min(span, shape.sizeBytes - index * span);
}

/** The node at `place` of a blob; `digests` are those of its children, 32 bytes each, in order. */
export function encodeBlobNode(shape: BlobShape, place: BlobNodePlace, digests: Uint8Array): Uint8Array {
  const { level } = place;
  const bytes = bytesUnder(shape, place);
  const codec = level === 0 ? RAW_CODE : DAG_PB_CODE;
  const full = measureSubtree(level - 1, spanOf(level));
  const links = [...splitSpan(level, bytes)].map((part, child) => ({
    Hash: CID.createV1(
      codec,
      Digest.create(SHA2_256, digests.subarray(child * DIGEST_BYTES, (child + 1) * DIGEST_BYTES)),
    ),
    Name: '',
    Tsize: part === spanOf(level) ? full : measureSubtree(level - 1, part),
  }));
  return dagPb.encode({ Links: links, Data: encodeFileData(level, bytes) });
}

/**
 * The digests of the children of the node at `place`, 32 bytes each, in order. Whether the node hashes to what stands
 * above it is for the caller to check.
 * @throws DomainError DOMAIN_BAD_OBJECT unless `bytes` are the one encoding of a node at that place of such a blob
 */
export function parseBlobNode(bytes: Uint8Array, place: BlobNodePlace, shape: BlobShape): Uint8Array {
  const refuse = (reason: string, cause?: unknown): DomainError => {
    const path = `level ${place.level}, index ${place.index}`;
    return new DomainError({ code: 'DOMAIN_BAD_OBJECT', type: 'blob node', path, reason }, { cause });
  };
  if (!hasNode(shape, place)) throw refuse(`a blob of ${shape.sizeBytes} bytes has no such node`);
  if (bytes.length > MAX_BLOB_NODE_BYTES) throw refuse(`${bytes.length} bytes are too many`);
  let links: readonly dagPb.PBLink[];
  try {
    links = dagPb.decode(bytes).Links;
  } catch (error) {
    throw refuse(describeError(error), error);
  }
  const { count } = findChildren(shape, place);
  if (links.length !== count) throw refuse(`it has ${links.length} links and not ${count}`);
  const digests = new Uint8Array(count * DIGEST_BYTES);
  for (const [child, { Hash }] of links.entries()) {
    const { digest } = Hash.multihash;
    if (digest.length !== DIGEST_BYTES) throw refuse(`link ${child} is no SHA-256`);
    digests.set(digest, child * DIGEST_BYTES);
  }
  if (!areBytesEqual(encodeBlobNode(shape, place, digests), bytes)) throw refuse('it is not of the one shape');
  return digests;
}
