import { BlobError } from '../blob/errors.ts';
import type { BlobStore } from '../blob/interface.ts';
import {
  type FolderEntry,
  folderNodeBlob,
  MAX_FOLDER_DEPTH,
  MAX_FOLDER_NODE_BYTES,
  measureEntryFile,
  openFolder,
} from '../domain/blob-folder.ts';
import { isTreeId } from '../domain/blob-tree.ts';
import { DomainError } from '../domain/errors.ts';
import type { BlobId, PeerKey } from '../domain/ids.ts';
import type { AbortOptions } from '../lib/abort.ts';
import type { FolderContent, FolderRequest } from '../rpc/interface.ts';
import { TransferError } from '../scheduler/transfer/errors.ts';
import { NodeError } from './errors.ts';

/** Files and folders that a folder may have in it, at any depth; and characters of their paths, for one answer holds all. */
const MAX_ENTRIES = 100_000;
const MAX_PATH_CHARS = 16 * 1024 * 1024;
/** Entries that are looked at together: each may be a question to others. */
const ENTRIES_AT_ONCE = 16;

export interface FolderReaderModules {
  readonly blobs: Pick<BlobStore, 'stat' | 'get'>;
  /** Brings the node of a folder here. @throws TransferError TRANSFER_NO_SOURCE */
  readonly fetchNode: (node: BlobId, peers: readonly PeerKey[], options: AbortOptions) => Promise<unknown>;
}

interface PlacedEntry {
  readonly path: string;
  readonly entry: FolderEntry;
}

/** What is behind an id of a tree: the entries of a folder; `file` where its node is no folder's; null where it is unknown. */
type Opened = readonly FolderEntry[] | 'file' | null;

type Found =
  | { readonly kind: 'file'; readonly file: FolderContent['files'][number] }
  | { readonly kind: 'folder'; readonly node: BlobId; readonly entries: readonly FolderEntry[] };

/**
 * Lists what is in a folder, at all depths (docs/blobs.md section 5). Links to folders and to large files look the same: a
 * folder is what has a folder's node under its hash, here or at others; all else is a file of the size that its link gives.
 */
export class FolderReader {
  readonly #modules: FolderReaderModules;

  constructor(modules: FolderReaderModules) {
    this.#modules = modules;
  }

  /**
   * @throws NodeError NODE_NOT_A_FOLDER, NODE_BAD_FOLDER
   * @throws BlobError BLOB_NOT_FOUND if only what is here is asked for, and a node is not
   * @throws TransferError TRANSFER_NO_SOURCE
   */
  async read(request: FolderRequest, options: AbortOptions): Promise<FolderContent> {
    return await new FolderWalk(this.#modules, request, options).run();
  }
}

class FolderWalk {
  readonly #modules: FolderReaderModules;
  readonly #request: FolderRequest;
  readonly #options: AbortOptions;
  /** Equal folders are opened once. */
  readonly #opened = new Map<BlobId, Promise<Opened>>();
  readonly #folders: FolderContent['folders'][number][] = [];
  readonly #files: FolderContent['files'][number][] = [];
  #entries = 0;
  #pathChars = 0;

  constructor(modules: FolderReaderModules, request: FolderRequest, options: AbortOptions) {
    this.#modules = modules;
    this.#request = request;
    this.#options = options;
  }

  async run(): Promise<FolderContent> {
    const { folder } = this.#request;
    let level = this.#enter('', { node: folderNodeBlob(folder), entries: await this.#openRoot(folder) });
    for (let depth = 1; level.length > 0; depth += 1) {
      const below: PlacedEntry[] = [];
      for (let first = 0; first < level.length; first += ENTRIES_AT_ONCE) {
        const some = level.slice(first, first + ENTRIES_AT_ONCE);
        const found = await Promise.all(some.map((placed) => this.#find(placed)));
        for (const [index, { path }] of some.entries()) {
          const each = found[index];
          if (each?.kind === 'file') this.#files.push(each.file);
          else if (each !== undefined) below.push(...this.#enter(path, each));
        }
      }
      if (below.length > 0 && depth >= MAX_FOLDER_DEPTH) {
        throw this.#refuse(below[0]?.path ?? '', `folders stand deeper than ${MAX_FOLDER_DEPTH}`);
      }
      level = below;
    }
    const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1);
    return { folder, folders: this.#folders.toSorted(byPath), files: this.#files.toSorted(byPath) };
  }

  async #openRoot(folder: BlobId): Promise<readonly FolderEntry[]> {
    if (!isTreeId(folder)) throw new NodeError({ code: 'NODE_NOT_A_FOLDER', blob: folder });
    const node = folderNodeBlob(folder);
    if (
      (await this.#modules.blobs.stat(node)) === undefined &&
      (await this.#modules.blobs.stat(folder)) !== undefined
    ) {
      throw new NodeError({ code: 'NODE_NOT_A_FOLDER', blob: folder });
    }
    const opened = await this.#open(folder, 'needed');
    if (opened === 'file' || opened === null) throw new NodeError({ code: 'NODE_NOT_A_FOLDER', blob: folder });
    return opened;
  }

  #enter(
    path: string,
    { node, entries }: { readonly node: BlobId; readonly entries: readonly FolderEntry[] },
  ): PlacedEntry[] {
    this.#folders.push({ path, blob: node });
    this.#entries += entries.length;
    if (this.#entries > MAX_ENTRIES) throw this.#refuse(path, `it has more than ${MAX_ENTRIES} files and folders`);
    return entries.map((entry) => {
      const inner = path === '' ? entry.name : `${path}/${entry.name}`;
      this.#pathChars += inner.length;
      if (this.#pathChars > MAX_PATH_CHARS) throw this.#refuse(path, 'its paths are too long together');
      return { path: inner, entry };
    });
  }

  async #find({ path, entry }: PlacedEntry): Promise<Found> {
    this.#options.signal?.throwIfAborted();
    const { id } = entry;
    const sizeBytes = measureEntryFile(entry);
    const held = await this.#modules.blobs.stat(id);
    if (held !== undefined && held.sizeBytes !== sizeBytes) {
      throw this.#refuse(path, `the size that it gives for that file is wrong: it has ${held.sizeBytes} bytes`);
    }
    if (held === undefined && isTreeId(id)) {
      const opened = await this.#open(id, sizeBytes === undefined ? 'needed' : 'possible');
      if (opened !== null && opened !== 'file') return { kind: 'folder', node: folderNodeBlob(id), entries: opened };
    }
    if (sizeBytes === undefined) throw this.#refuse(path, 'no file has the size that it gives, and it is no folder');
    return { kind: 'file', file: { path, blob: id, sizeBytes, isHere: held !== undefined } };
  }

  #open(folder: BlobId, how: 'needed' | 'possible'): Promise<Opened> {
    const known = this.#opened.get(folder);
    if (known !== undefined) return known;
    const opening = this.#openNode(folder, how);
    this.#opened.set(folder, opening);
    return opening;
  }

  async #openNode(folder: BlobId, how: 'needed' | 'possible'): Promise<Opened> {
    const node = folderNodeBlob(folder);
    const { blobs } = this.#modules;
    if ((await blobs.stat(node)) === undefined && !(await this.#bring(folder, how))) return null;
    const held = await blobs.stat(node);
    if (held === undefined || held.sizeBytes > MAX_FOLDER_NODE_BYTES) return 'file';
    const bytes = await blobs.get(node, MAX_FOLDER_NODE_BYTES);
    try {
      return openFolder(folder, bytes);
    } catch (error) {
      if (error instanceof DomainError) return 'file';
      throw error;
    }
  }

  /** False if it cannot be had and need not be a folder. */
  async #bring(folder: BlobId, how: 'needed' | 'possible'): Promise<boolean> {
    const { isLocal, peers } = this.#request;
    if (isLocal) {
      if (how === 'needed') throw new BlobError({ code: 'BLOB_NOT_FOUND', blob: folder });
      return false;
    }
    try {
      await this.#modules.fetchNode(folderNodeBlob(folder), peers, this.#options);
      return true;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof TransferError) || error.info.code !== 'TRANSFER_NO_SOURCE') throw error;
      if (how === 'possible') return false;
      const { reason } = error.info;
      throw new TransferError({ code: 'TRANSFER_NO_SOURCE', blob: folder, reason }, { cause: error });
    }
  }

  #refuse(path: string, reason: string): NodeError {
    return new NodeError({ code: 'NODE_BAD_FOLDER', folder: this.#request.folder, path: path.slice(0, 200), reason });
  }
}
