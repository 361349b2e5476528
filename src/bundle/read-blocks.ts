/**
 * Reading of a bundle file: CARv1 (ipld.io/specs/transport/car/carv1) of one root, which is its first block, followed
 * by raw blocks. Stricter than CAR: sha2-256 CIDv1 only, each block once and named by the root or by a snapshot before
 * it, each hashed. Blobs are hashed as they pass and not held, but for those that were asked for.
 */
import { asyncIterableReader, readHeader } from '@ipld/car/decoder';
import { sha256 } from '@noble/hashes/sha2.js';
import { varint } from 'multiformats';
import { CID } from 'multiformats/cid';
import { MAX_BLOB_NODE_BYTES } from '../domain/blob-shape.ts';
import { isTreeId } from '../domain/blob-tree.ts';
import { BUNDLE, type Bundle } from '../domain/bundle.ts';
import { type BlobId, BlobId as createBlobId } from '../domain/ids.ts';
import { decodeObject } from '../domain/object-type.ts';
import { SNAPSHOT_PIECE_BYTES } from '../domain/snapshot.ts';
import { areBytesEqual, concatBytes } from '../lib/bytes.ts';
import { computeObjectCid, DAG_CBOR_CODE, DAG_PB_CODE, sha256 as hashAtOnce, RAW_CODE, SHA2_256 } from '../lib/cid.ts';
import { DaemonError, describeError } from '../lib/errors.ts';
import { BLOB_PIECE_BYTES, MAX_CAR_HEADER_BYTES } from './constants.ts';
import { BundleError } from './errors.ts';
import { type SnapshotInFile, SnapshotRegister } from './snapshot-register.ts';
import { TreeWalk } from './tree-blocks.ts';

/** A whole file, or its pieces in order. */
export type BundleSource = Uint8Array | AsyncIterable<Uint8Array>;

/** Where the bytes of a blob are in the file: in one place, or a place for each of its leaves, in order. */
export type BlobPlaces = readonly { readonly offset: number; readonly sizeBytes: number }[];

export interface BundleBlocks {
  readonly bundle: Bundle;
  /** CID of the root block: names this file's evidence. */
  readonly rootId: string;
  /** Blobs, snapshots and their items. Each hashes to its id. */
  readonly included: ReadonlyMap<BlobId, BlobPlaces>;
  /** The bytes of those that were asked for and are there. */
  readonly kept: ReadonlyMap<BlobId, Uint8Array>;
  /** In the order of the root's list. */
  readonly snapshots: readonly SnapshotInFile[];
}

export interface ReadOptions {
  /** Blobs to be held, with the most bytes that each may have; by default none. */
  readonly keep?: (bundle: Bundle) => Promise<ReadonlyMap<BlobId, number>>;
}

type Reader = ReturnType<typeof asyncIterableReader>;

/** CIDv1 with a one-byte codec and a sha2-256 multihash: version, codec, 0x12, 0x20, digest. */
const CID_BYTES = 36;
const MAX_VARINT_BYTES = 9;
const NO_HEADER = 'it does not begin with the header of a CARv1 file';

/**
 * Reads a bundle file and checks every block against its name and the list in the root.
 * @throws BundleError
 */
export async function readBlocks(source: BundleSource, { keep }: ReadOptions = {}): Promise<BundleBlocks> {
  const reader = asyncIterableReader(source instanceof Uint8Array ? toPieces(source) : source);
  const root = await readRoot(reader);
  const { bundle, rootId } = await readRootBlock(reader, root);
  const wanted = (await keep?.(bundle)) ?? new Map<BlobId, number>();
  const names = new BlockNames(bundle);
  const included = new Map<BlobId, BlobPlaces>();
  const kept = new Map<BlobId, Uint8Array>();
  for (;;) {
    const head = await readBlockHead(reader);
    if (head === undefined) break;
    const { sizeBytes } = head;
    const blob = nameBlock(head);
    if (included.has(blob)) throw new BundleError({ code: 'BUNDLE_DUPLICATE_BLOCK', block: blob });
    if (isTreeId(blob)) {
      const whole = names.sizeOf(blob);
      const isHeld = whole <= (wanted.get(blob) ?? -1);
      const { places, bytes } = await readTree(reader, head, { blob, sizeBytes: whole, isHeld });
      included.set(blob, places);
      if (isHeld) kept.set(blob, bytes);
      continue;
    }
    const isSnapshot = names.admit(blob, sizeBytes);
    const offset = reader.pos;
    const isHeld = isSnapshot || sizeBytes <= (wanted.get(blob) ?? -1);
    const bytes = await readBlob(reader, head, { isHeld, damage: () => names.describeDamage(blob) });
    included.set(blob, [{ offset, sizeBytes }]);
    names.snapshots.takeItem(blob);
    if (isSnapshot) names.snapshots.take(blob, bytes, included);
    else if (isHeld) kept.set(blob, bytes);
  }
  names.assertAllSeen(included);
  return { bundle, rootId, included, kept, snapshots: names.snapshots.found };
}

async function* toPieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += BLOB_PIECE_BYTES) {
    yield bytes.subarray(offset, offset + BLOB_PIECE_BYTES);
  }
}

async function readRoot(reader: Reader): Promise<CID> {
  const sizeBytes = await peekVarint(reader);
  if (sizeBytes === undefined || sizeBytes.value < 1 || sizeBytes.value > MAX_CAR_HEADER_BYTES) {
    throw new BundleError({ code: 'BUNDLE_NOT_A_BUNDLE', reason: NO_HEADER });
  }
  try {
    const header = await readHeader(reader, 1);
    const [root, ...others] = header.roots;
    if (root !== undefined && others.length === 0) return root;
  } catch (error) {
    throw new BundleError({ code: 'BUNDLE_NOT_A_BUNDLE', reason: NO_HEADER }, { cause: error });
  }
  throw new BundleError({ code: 'BUNDLE_NOT_A_BUNDLE', reason: 'its CAR header does not name exactly one root' });
}

async function readRootBlock(reader: Reader, root: CID): Promise<{ bundle: Bundle; rootId: string }> {
  const head = await readBlockHead(reader);
  if (head === undefined || !head.cid.equals(root) || root.code !== DAG_CBOR_CODE) {
    throw new BundleError({ code: 'BUNDLE_NOT_A_BUNDLE', reason: 'its first block is not its root' });
  }
  if (head.sizeBytes > BUNDLE.maxBytes) {
    const { sizeBytes } = head;
    throw new BundleError({ code: 'BUNDLE_TOO_LARGE', part: 'root block', sizeBytes, maxBytes: BUNDLE.maxBytes });
  }
  const bytes = Uint8Array.from(await readExactly(reader, head.sizeBytes));
  const rootId = root.toString();
  if (computeObjectCid(bytes).toString() !== rootId) {
    throw new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: rootId });
  }
  try {
    return { bundle: decodeObject(BUNDLE, bytes), rootId };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: error.message }, { cause: error });
  }
}

interface BlockHead {
  readonly cid: CID;
  readonly sizeBytes: number;
}

async function readBlockHead(reader: Reader): Promise<BlockHead | undefined> {
  const length = await peekVarint(reader);
  if (length === undefined) return undefined;
  reader.seek(length.sizeBytes);
  if (length.value < CID_BYTES) throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: 'a block without a CID' });
  const cid = decodeCid(Uint8Array.from(await readExactly(reader, CID_BYTES)));
  return { cid, sizeBytes: length.value - CID_BYTES };
}

/** The number at the reader's place, which stays; undefined at the end of the file. */
async function peekVarint(reader: Reader): Promise<{ value: number; sizeBytes: number } | undefined> {
  const bytes = await reader.upTo(MAX_VARINT_BYTES);
  if (bytes.length === 0) return undefined;
  try {
    const [value, sizeBytes] = varint.decode(bytes);
    if (Number.isSafeInteger(value)) return { value, sizeBytes };
  } catch (error) {
    if (bytes.length < MAX_VARINT_BYTES) {
      throw new BundleError({ code: 'BUNDLE_TRUNCATED', atByte: reader.pos + bytes.length }, { cause: error });
    }
  }
  throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: 'a length that is no number below 2^53' });
}

function decodeCid(bytes: Uint8Array): CID {
  try {
    const cid = CID.decode(bytes);
    if (cid.version === 1 && Number(cid.multihash.code) === SHA2_256) return cid;
  } catch (error) {
    throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: describeError(error) }, { cause: error });
  }
  throw new BundleError({ code: 'BUNDLE_MALFORMED', reason: 'a block whose CID is not a CIDv1 with sha2-256' });
}

function nameBlock({ cid }: BlockHead): BlobId {
  if (cid.code !== RAW_CODE && cid.code !== DAG_PB_CODE)
    throw new BundleError({ code: 'BUNDLE_UNREFERENCED_BLOCK', block: cid.toString() });
  return createBlobId(cid.toString());
}

/** The blocks of a blob with a tree, which follow each other: its root is under way. */
async function readTree(
  reader: Reader,
  root: BlockHead,
  { blob, sizeBytes, isHeld }: { readonly blob: BlobId; readonly sizeBytes: number; readonly isHeld: boolean },
): Promise<{ readonly places: BlobPlaces; readonly bytes: Uint8Array }> {
  const walk = new TreeWalk(blob, sizeBytes);
  const damage = (): BundleError => new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block: blob });
  const places: { offset: number; sizeBytes: number }[] = [];
  const held: Uint8Array[] = [];
  for (let next = walk.next, head: BlockHead | undefined = root; next !== undefined; next = walk.next) {
    head ??= await readBlockHead(reader);
    if (head === undefined) throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: next.blob });
    const isNode = next.kind === 'node';
    const isOfSize = next.kind === 'node' ? head.sizeBytes <= MAX_BLOB_NODE_BYTES : head.sizeBytes === next.sizeBytes;
    if (head.cid.toString() !== (next.blob as string) || !isOfSize) throw damage();
    if (!isNode) places.push({ offset: reader.pos, sizeBytes: head.sizeBytes });
    const bytes = await readBlob(reader, head, { isHeld: isHeld || isNode, damage });
    if (isHeld && !isNode) held.push(bytes);
    walk.take(next, bytes);
    head = undefined;
  }
  return { places, bytes: concatBytes(...held) };
}

/** The bytes of a block that is to be held, else none; small ones are hashed at once, which is faster. */
async function readBlob(
  reader: Reader,
  { cid, sizeBytes }: BlockHead,
  { isHeld, damage }: { readonly isHeld: boolean; readonly damage: () => BundleError },
): Promise<Uint8Array> {
  const held: Uint8Array[] = [];
  const hash = sizeBytes > BLOB_PIECE_BYTES ? sha256.create() : undefined;
  let digest: Uint8Array | undefined;
  for (let left = sizeBytes; left > 0; ) {
    const piece = await readExactly(reader, Math.min(left, BLOB_PIECE_BYTES));
    if (hash === undefined) digest = hashAtOnce(piece);
    else hash.update(piece);
    if (isHeld) held.push(piece.slice());
    left -= piece.length;
  }
  digest ??= hash?.digest() ?? hashAtOnce(new Uint8Array());
  if (!areBytesEqual(digest, cid.multihash.digest)) throw damage();
  return concatBytes(...held);
}

async function readExactly(reader: Reader, length: number): Promise<Uint8Array> {
  const bytes = await reader.upTo(length);
  if (bytes.length < length) throw new BundleError({ code: 'BUNDLE_TRUNCATED', atByte: reader.pos + bytes.length });
  reader.seek(length);
  return bytes;
}

/** What the root says is in the file is in the file, of that size, and nothing else is. */
class BlockNames {
  readonly snapshots: SnapshotRegister;
  readonly #listed = new Map<BlobId, number | undefined>();

  constructor(bundle: Bundle) {
    this.snapshots = new SnapshotRegister(bundle.snapshots ?? []);
    for (const { blob, sizeBytes, included } of bundle.blobs) {
      if (this.#listed.has(blob)) throw new BundleError({ code: 'BUNDLE_DUPLICATE_BLOCK', block: blob });
      this.#listed.set(blob, included ? sizeBytes : undefined);
    }
  }

  /** Bytes of a blob that the root lists as being in the file. @throws BundleError BUNDLE_UNREFERENCED_BLOCK */
  sizeOf(blob: BlobId): number {
    const sizeBytes = this.#listed.get(blob);
    if (sizeBytes === undefined) throw new BundleError({ code: 'BUNDLE_UNREFERENCED_BLOCK', block: blob });
    return sizeBytes;
  }

  /** True if it is a snapshot. @throws BundleError for a block that nothing names, or that is named with another size */
  admit(blob: BlobId, sizeBytes: number): boolean {
    const asSnapshot = this.snapshots.sizeOf(blob);
    const expected = asSnapshot ?? this.#listed.get(blob);
    if (expected === undefined) {
      if (this.snapshots.isItem(blob) && sizeBytes <= SNAPSHOT_PIECE_BYTES) return false;
      throw new BundleError({ code: 'BUNDLE_UNREFERENCED_BLOCK', block: blob });
    }
    if (expected !== sizeBytes) {
      throw new BundleError({ code: 'BUNDLE_SIZE_MISMATCH', block: blob, expected, found: sizeBytes });
    }
    return asSnapshot !== undefined;
  }

  describeDamage(block: BlobId): BundleError {
    return this.snapshots.describeDamage(block) ?? new BundleError({ code: 'BUNDLE_HASH_MISMATCH', block });
  }

  assertAllSeen(included: ReadonlyMap<BlobId, BlobPlaces>): void {
    for (const [blob, expected] of this.#listed) {
      if (expected !== undefined && !included.has(blob)) {
        throw new BundleError({ code: 'BUNDLE_MISSING_BLOCK', block: blob });
      }
    }
    this.snapshots.assertAllSeen();
  }
}
