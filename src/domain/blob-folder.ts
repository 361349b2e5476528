/**
 * Folders as UnixFS directories (https://specs.ipfs.tech/unixfs/, profile unixfs-v1-2025 of IPIP-499): a dag-pb node whose
 * links are the files and folders in it, in the order of their names' bytes. What IPFS would spread over several nodes is
 * refused.
 */
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { areBytesEqual, encodeUtf8 } from '../lib/bytes.ts';
import { DAG_PB_CODE, formatRawId, RAW_CODE, sha256 } from '../lib/cid.ts';
import { describeError } from '../lib/errors.ts';
import { DIGEST_BYTES, measureSubtree } from './blob-node.ts';
import { BLOB_LEAF_BYTES, describeShape, MAX_BLOB_BYTES } from './blob-shape.ts';
import { formatTreeId, isTreeId, readBlobDigest } from './blob-tree.ts';
import { DomainError } from './errors.ts';
import type { BlobId } from './ids.ts';

/** Most bytes of a folder's node: from there on, that profile has a tree of nodes instead. */
export const MAX_FOLDER_NODE_BYTES = 262_144;
/** Most bytes of a name: what file systems take. */
export const MAX_FOLDER_NAME_BYTES = 255;
/** How deep folders may stand in each other. */
export const MAX_FOLDER_DEPTH = 64;

/** UnixFS `Data` of a directory: type 1 and nothing else. */
const DIRECTORY = Uint8Array.of(0x08, 0x01);

export interface FolderEntry {
  readonly name: string;
  /** A file, or the id of another folder. */
  readonly id: BlobId;
  /** Bytes of all its blocks (`Tsize`): `measureBlobDag` of a file, `dagBytes` of a folder. */
  readonly dagBytes: number;
}

export interface EncodedFolder {
  readonly id: BlobId;
  readonly bytes: Uint8Array;
  /** Bytes of this node and of everything under it. */
  readonly dagBytes: number;
}

/** Bytes of a file's leaves and nodes together. */
export function measureBlobDag(sizeBytes: number): number {
  return measureSubtree(describeShape(sizeBytes).levels.length - 1, sizeBytes);
}

/** Nodes of a blob take less than this share of it: about 51 bytes for each leaf of 1 MiB. */
const MAX_NODE_SHARE = 2 ** -12;

/**
 * Bytes of the file that an entry is, if it is one: the inverse of `measureBlobDag`, which no two sizes have in common.
 * Undefined if no file of that kind takes `dagBytes`: then it is a folder, or its size is made up.
 */
export function measureEntryFile({ id, dagBytes }: Pick<FolderEntry, 'id' | 'dagBytes'>): number | undefined {
  if (dagBytes <= BLOB_LEAF_BYTES) return isTreeId(id) ? undefined : dagBytes;
  let low = Math.max(BLOB_LEAF_BYTES + 1, Math.floor(dagBytes * (1 - MAX_NODE_SHARE)));
  let high = Math.min(dagBytes, MAX_BLOB_BYTES);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (measureBlobDag(middle) < dagBytes) low = middle + 1;
    else high = middle;
  }
  return low === high && measureBlobDag(low) === dagBytes ? low : undefined;
}

/**
 * The blob as which a folder's node is kept and moved: the node is one leaf, so the blob of its bytes has the same digest
 * under the codec raw.
 */
export function folderNodeBlob(folder: BlobId): BlobId {
  return formatRawId(readBlobDigest(folder)) as BlobId;
}

/** The folder whose node that blob is, if it is one's. */
export function folderOfNode(node: BlobId): BlobId {
  return formatTreeId(readBlobDigest(node));
}

function refuse(reason: string, cause?: unknown): DomainError {
  return new DomainError({ code: 'DOMAIN_BAD_OBJECT', type: 'folder', path: '', reason }, { cause });
}

function assertName(name: string): void {
  const isPlain = name.length > 0 && name !== '.' && name !== '..' && !/[/\0]/.test(name) && name.isWellFormed();
  if (!isPlain || encodeUtf8(name).length > MAX_FOLDER_NAME_BYTES) {
    throw refuse(`'${name.slice(0, 80)}' is no name of a file`);
  }
}

/** @throws DomainError DOMAIN_BAD_OBJECT for names that no file has, names that occur twice, and too many entries */
export function encodeFolder(entries: readonly FolderEntry[]): EncodedFolder {
  const names = new Set<string>();
  for (const { name } of entries) {
    assertName(name);
    if (names.has(name)) throw refuse(`'${name.slice(0, 80)}' occurs twice`);
    names.add(name);
  }
  const links = entries.map(({ name, id, dagBytes }) => ({ Hash: CID.parse(id), Name: name, Tsize: dagBytes }));
  const bytes = dagPb.encode(dagPb.prepare({ Data: DIRECTORY, Links: links }));
  if (bytes.length > MAX_FOLDER_NODE_BYTES) {
    throw refuse(
      `its list takes ${bytes.length} bytes of at most ${MAX_FOLDER_NODE_BYTES}: put some of it into folders`,
    );
  }
  const dagBytes = entries.reduce((sum, entry) => sum + entry.dagBytes, bytes.length);
  if (!Number.isSafeInteger(dagBytes)) throw refuse('its size is too large');
  return { id: formatTreeId(sha256(bytes)), bytes, dagBytes };
}

/**
 * The entries of a folder, in order. Whether the node hashes to the folder's id is for the caller to check.
 * @throws DomainError DOMAIN_BAD_OBJECT unless `bytes` are what `encodeFolder` gives for these entries
 */
export function parseFolder(bytes: Uint8Array): readonly FolderEntry[] {
  if (bytes.length > MAX_FOLDER_NODE_BYTES) throw refuse(`${bytes.length} bytes are too many`);
  let node: dagPb.PBNode;
  try {
    node = dagPb.decode(bytes);
  } catch (error) {
    throw refuse(describeError(error), error);
  }
  const entries = node.Links.map(({ Hash, Name, Tsize }): FolderEntry => {
    const isBlob = Hash.version === 1 && (Hash.code === RAW_CODE || Hash.code === DAG_PB_CODE);
    if (!isBlob || Hash.multihash.digest.length !== DIGEST_BYTES) throw refuse('it has a link to what is no blob');
    if (Name === undefined || Tsize === undefined) throw refuse('it has a link without a name or a size');
    return { name: Name, id: Hash.toString() as BlobId, dagBytes: Tsize };
  });
  if (!areBytesEqual(encodeFolder(entries).bytes, bytes)) throw refuse('it is not of the one form');
  return entries;
}

/** The entries of this very folder. @throws DomainError DOMAIN_BAD_OBJECT also if the node has another hash */
export function openFolder(folder: BlobId, bytes: Uint8Array): readonly FolderEntry[] {
  if (formatTreeId(sha256(bytes)) !== folder) throw refuse(`its node is not that of ${folder}`);
  return parseFolder(bytes);
}

export interface FolderFile {
  /** Names from the outermost folder to the file, with a slash between them. */
  readonly path: string;
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

export interface FolderTree extends EncodedFolder {
  /** Every folder's node, the outermost one's too. */
  readonly nodes: ReadonlyMap<BlobId, Uint8Array>;
}

interface Draft {
  readonly files: FolderEntry[];
  readonly folders: Map<string, Draft>;
}

/**
 * The folder that holds these files, and these folders even if nothing is in them, at these paths.
 * @throws DomainError DOMAIN_BAD_OBJECT
 */
export function buildFolderTree(files: Iterable<FolderFile>, folders: Iterable<string> = []): FolderTree {
  const root: Draft = { files: [], folders: new Map() };
  for (const path of folders) openDraft(root, path, path.split('/'));
  for (const { path, blob, sizeBytes } of files) {
    const names = path.split('/');
    const name = names.pop() ?? '';
    openDraft(root, path, names).files.push({ name, id: blob, dagBytes: measureBlobDag(sizeBytes) });
  }
  const nodes = new Map<BlobId, Uint8Array>();
  return { ...encodeDraft(root, nodes), nodes };
}

function openDraft(root: Draft, path: string, names: readonly string[]): Draft {
  if (names.length >= MAX_FOLDER_DEPTH) throw refuse(`'${path.slice(0, 80)}' stands deeper than ${MAX_FOLDER_DEPTH}`);
  let folder = root;
  for (const name of names) {
    const inner = folder.folders.get(name) ?? { files: [], folders: new Map<string, Draft>() };
    folder.folders.set(name, inner);
    folder = inner;
  }
  return folder;
}

function encodeDraft({ files, folders }: Draft, nodes: Map<BlobId, Uint8Array>): EncodedFolder {
  const inner = [...folders].map(([name, draft]): FolderEntry => {
    const { id, dagBytes } = encodeDraft(draft, nodes);
    return { name, id, dagBytes };
  });
  const encoded = encodeFolder([...files, ...inner]);
  nodes.set(encoded.id, encoded.bytes);
  return encoded;
}
