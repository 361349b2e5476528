import { BlobError } from '../blob/errors.ts';
import type { BlobStat, BlobStore } from '../blob/interface.ts';
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
import { type AbortOptions, raceSignal } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';
import type { FolderContent, FolderRequest } from '../rpc/interface.ts';
import { TransferError } from '../scheduler/transfer/errors.ts';
import { NodeError } from './errors.ts';

/** Files and folders that a folder may have in it, at any depth; and characters of their paths, for one answer holds all. */
const MAX_ENTRIES = 100_000;
const MAX_PATH_CHARS = 16 * 1024 * 1024;
/** Entries that are looked at together: each may be a question to others. */
const ENTRIES_AT_ONCE = 16;
/** Time for all of it: an unknown link is a question to others, and somebody else says how many of them there are. */
const FOLDER_TIMEOUT_MS = 15 * 60_000;
/** Links of which the DHT is asked who has them, in one folder. */
const MAX_SEARCHES = 256;

export interface FolderReaderModules {
  readonly blobs: Pick<BlobStore, 'stat' | 'get'>;
  readonly clock: Pick<Clock, 'schedule'>;
  /** Peers that the DHT names for the folder's node, which are those for the file of the same hash. */
  readonly findPeers: (folder: BlobId, options: AbortOptions) => Promise<readonly PeerKey[]>;
  /** Brings the node of a folder here, from these peers. @throws TransferError TRANSFER_NO_SOURCE */
  readonly fetchNode: (node: BlobId, peers: readonly PeerKey[], options: AbortOptions) => Promise<unknown>;
  /** True if one of these peers shows that it is a file. */
  readonly proveFile: (file: BlobStat, peers: readonly PeerKey[], options: AbortOptions) => Promise<boolean>;
}

/** Peers that are asked for what is in one folder. */
const MAX_SOURCES = 64;

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
 * Nobody is believed which of them it is: only bytes that have the hash decide, those of a folder's node or of a file's.
 */
export class FolderReader {
  readonly #modules: FolderReaderModules;

  constructor(modules: FolderReaderModules) {
    this.#modules = modules;
  }

  /**
   * @throws NodeError NODE_NOT_A_FOLDER, NODE_BAD_FOLDER, NODE_FOLDER_TIMEOUT
   * @throws BlobError BLOB_NOT_FOUND if only what is here is asked for, and a node is not
   * @throws TransferError TRANSFER_NO_SOURCE
   */
  async read(request: FolderRequest, options: AbortOptions): Promise<FolderContent> {
    options.signal?.throwIfAborted();
    const { folder } = request;
    const late = new AbortController();
    using _timer = this.#modules.clock.schedule(FOLDER_TIMEOUT_MS, () => {
      late.abort(new NodeError({ code: 'NODE_FOLDER_TIMEOUT', folder, timeoutMs: FOLDER_TIMEOUT_MS }));
    });
    const signal = options.signal === undefined ? late.signal : AbortSignal.any([options.signal, late.signal]);
    return await raceSignal(new FolderWalk(this.#modules, request, { signal }).run(), signal);
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
  #searches = 0;
  #pathChars = 0;
  #sources: Promise<readonly PeerKey[]> | undefined;

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
    const isWhole = this.#files.every(({ isHere }) => isHere);
    return {
      folder,
      folders: this.#folders.toSorted(byPath),
      files: this.#files.toSorted(byPath),
      sources: isWhole || this.#request.isLocal ? [] : await this.#findSources(),
    };
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
    const opened = await this.#open(folder, undefined);
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
      const opened = await this.#open(id, sizeBytes);
      if (opened !== null && opened !== 'file') return { kind: 'folder', node: folderNodeBlob(id), entries: opened };
    }
    if (sizeBytes === undefined) throw this.#refuse(path, 'no file has the size that it gives, and it is no folder');
    return { kind: 'file', file: { path, blob: id, sizeBytes, isHere: held !== undefined } };
  }

  /** `fileBytes`: what it has if it is a file; undefined if it can be none. */
  #open(folder: BlobId, fileBytes: number | undefined): Promise<Opened> {
    const known = this.#opened.get(folder);
    if (known !== undefined) return known;
    const opening = this.#openNode(folder, fileBytes);
    this.#opened.set(folder, opening);
    return opening;
  }

  async #openNode(folder: BlobId, fileBytes: number | undefined): Promise<Opened> {
    const node = folderNodeBlob(folder);
    const { blobs } = this.#modules;
    if ((await blobs.stat(node)) === undefined && !(await this.#bring(folder, fileBytes))) return null;
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

  /** Brings its node here. False if nobody gives it and it may be a file. */
  async #bring(folder: BlobId, fileBytes: number | undefined): Promise<boolean> {
    const options = this.#options;
    if (this.#request.isLocal) {
      if (fileBytes === undefined) throw new BlobError({ code: 'BLOB_NOT_FOUND', blob: folder });
      return false;
    }
    const sources = await this.#findSources();
    const refused = await this.#fetchFrom(folder, sources);
    if (refused === undefined) return true;
    if (fileBytes !== undefined) {
      const file = { blob: folder, sizeBytes: fileBytes };
      if (await this.#modules.proveFile(file, sources, options)) return false;
    }
    const others = folder === this.#request.folder ? [] : await this.#search(folder);
    const isNew = (peer: PeerKey): boolean => !sources.includes(peer);
    const refusedToo = others.some(isNew) ? await this.#fetchFrom(folder, others.filter(isNew)) : refused;
    if (refusedToo !== undefined && fileBytes === undefined) throw refusedToo;
    return refusedToo === undefined;
  }

  async #search(folder: BlobId): Promise<readonly PeerKey[]> {
    if (this.#searches >= MAX_SEARCHES) return [];
    this.#searches += 1;
    return await this.#modules.findPeers(folder, this.#options);
  }

  /** What it was refused with. */
  async #fetchFrom(folder: BlobId, peers: readonly PeerKey[]): Promise<TransferError | undefined> {
    try {
      await this.#modules.fetchNode(folderNodeBlob(folder), peers, this.#options);
      return undefined;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof TransferError) || error.info.code !== 'TRANSFER_NO_SOURCE') throw error;
      const { reason } = error.info;
      return new TransferError({ code: 'TRANSFER_NO_SOURCE', blob: folder, reason }, { cause: error });
    }
  }

  /** Who has the outermost list is asked for all that is in it; once, for the answer of the DHT takes its time. */
  #findSources(): Promise<readonly PeerKey[]> {
    this.#sources ??= this.#searchSources();
    return this.#sources;
  }

  async #searchSources(): Promise<readonly PeerKey[]> {
    const { folder, peers } = this.#request;
    const found = await this.#modules.findPeers(folder, this.#options);
    return [...new Set([...peers, ...found])].slice(0, MAX_SOURCES);
  }

  #refuse(path: string, reason: string): NodeError {
    return new NodeError({ code: 'NODE_BAD_FOLDER', folder: this.#request.folder, path: path.slice(0, 200), reason });
  }
}
