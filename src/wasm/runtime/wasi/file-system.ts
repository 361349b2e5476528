import { MAX_FOLDER_DEPTH, MAX_NODES, MAX_PATH_LENGTH } from '../constants.ts';
import type { ProgramFile } from '../program-context.ts';
import { ERRNO } from './wasi-constants.ts';

export interface FileNode {
  readonly kind: 'file';
  readonly inode: number;
  /** May be longer than the file; shared with the input until the first write. */
  buffer: Uint8Array;
  length: number;
  isShared: boolean;
  /** Grows with each change of its bytes; 0 is as it was made. */
  version: number;
}

export interface FolderNode {
  readonly kind: 'folder';
  readonly inode: number;
  readonly entries: Map<string, FileSystemNode>;
  /** Null for the root. */
  parent: FolderNode | null;
}

export type FileSystemNode = FileNode | FolderNode;

/** Where a path leads: its folder, its last name, and what is there. */
export interface Place {
  readonly folder: FolderNode;
  readonly name: string;
  readonly node: FileSystemNode | undefined;
}

export interface PlacedFile {
  readonly path: string;
  readonly node: FileNode;
}

/** Files in memory for one program. Inode numbers count up, folders list in order of creation: nothing is the host's. */
export class MemoryFileSystem {
  readonly root: FolderNode;
  private readonly maxBytes: number;
  private writtenBytes = 0;
  private nodes = 0;
  private lastInode = 0;

  /** `maxBytes` bounds all bytes that the program writes; inputs do not count. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    this.root = this.createFolder(null);
  }

  get isFull(): boolean {
    return this.nodes >= MAX_NODES;
  }

  createFolder(parent: FolderNode | null): FolderNode {
    this.nodes++;
    return { kind: 'folder', inode: ++this.lastInode, entries: new Map(), parent };
  }

  createFile(): FileNode {
    this.nodes++;
    return { kind: 'file', inode: ++this.lastInode, buffer: new Uint8Array(0), length: 0, isShared: false, version: 0 };
  }

  /** Puts a file at an absolute path, with the folders on the way. False if a file stands in the way. */
  addInput(path: string, bytes: Uint8Array): boolean {
    const file = this.addFile(path);
    if (file === null) return false;
    file.buffer = bytes;
    file.length = bytes.length;
    file.isShared = true;
    return true;
  }

  /** A file of zeros that counts as written by the program; null if there is no room or no place for it. */
  addWritten(path: string, sizeBytes: number): FileNode | null {
    if (this.isFull) return null;
    const file = this.addFile(path);
    if (file === null || !this.resize(file, sizeBytes)) return null;
    file.version = 0;
    return file;
  }

  private addFile(path: string): FileNode | null {
    const names = path.split('/').filter((name) => name !== '');
    const last = names.pop();
    if (last === undefined) return null;
    let folder = this.root;
    for (const name of names) {
      const next: FileSystemNode = folder.entries.get(name) ?? this.createFolder(folder);
      if (next.kind !== 'folder') return null;
      folder.entries.set(name, next);
      folder = next;
    }
    if (folder.entries.has(last)) return null;
    const file = this.createFile();
    folder.entries.set(last, file);
    return file;
  }

  /** Makes a folder of the root unless something of that name is there. */
  ensureFolder(path: string): void {
    const name = path.slice(1);
    if (!this.root.entries.has(name)) this.root.entries.set(name, this.createFolder(this.root));
  }

  /** Follows a relative path from `from`; an errno if it leads nowhere or out of the tree. */
  resolve(from: FolderNode, path: string): Place | number {
    if (path.startsWith('/')) return ERRNO.notcapable;
    if (path.length > MAX_PATH_LENGTH * 2) return ERRNO.nametoolong;
    if (path.includes('\0')) return ERRNO.inval;
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    const trail: FolderNode[] = [from];
    for (const [position, name] of names.entries()) {
      const folder = trail.at(-1) ?? from;
      if (name === '..') {
        if (trail.length === 1) return ERRNO.notcapable;
        trail.pop();
        continue;
      }
      const node = folder.entries.get(name);
      if (position === names.length - 1) return { folder, name, node };
      if (node === undefined) return ERRNO.noent;
      if (node.kind !== 'folder') return ERRNO.notdir;
      trail.push(node);
    }
    const folder = trail.at(-1) ?? from;
    return { folder, name: '.', node: folder };
  }

  /** False if there is no room. */
  resize(file: FileNode, length: number): boolean {
    const growth = length - (file.isShared ? 0 : file.length);
    if (this.writtenBytes + growth > this.maxBytes) return false;
    this.writtenBytes += growth;
    if (file.isShared || length > file.buffer.length) {
      const capacity = length > file.length ? Math.max(length, Math.min(file.length * 2, this.maxBytes)) : length;
      const buffer = new Uint8Array(capacity);
      buffer.set(file.buffer.subarray(0, Math.min(file.length, length)));
      file.buffer = buffer;
      file.isShared = false;
    } else if (length < file.length) file.buffer.fill(0, length, file.length);
    file.length = length;
    file.version++;
    return true;
  }

  /** Bytes written, or -1 if there is no room. */
  write(file: FileNode, offset: number, bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    const length = Math.max(file.length, offset + bytes.length);
    if ((length > file.length || file.isShared) && !this.resize(file, length)) return -1;
    file.buffer.set(bytes, offset);
    file.version++;
    return bytes.length;
  }

  read(file: FileNode, offset: number, length: number): Uint8Array {
    return file.buffer.subarray(Math.min(offset, file.length), Math.min(offset + length, file.length));
  }

  /** Bytes that a write up to `end` has to clear or copy besides its own. */
  costOfReaching(file: FileNode, end: number): number {
    return Math.max(0, end - file.length) + (file.isShared ? file.length : 0);
  }

  /** Gives back the room of what was removed. */
  release(node: FileSystemNode): void {
    this.nodes--;
    if (node.kind === 'file' && !node.isShared) this.writtenBytes -= node.length;
  }

  /** Every file under an absolute path, in ascending order of path by code unit. */
  list(path: string): ProgramFile[] {
    const files = this.listPlaced(path).map(({ path: at, node }) => ({
      path: at,
      bytes: node.buffer.subarray(0, node.length),
    }));
    return files.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Every file under an absolute path, in no order. */
  listPlaced(path: string): PlacedFile[] {
    const place = this.resolve(this.root, path.slice(1));
    if (typeof place === 'number' || place.node === undefined) return [];
    const files: PlacedFile[] = [];
    collect(path, place.node, files);
    return files;
  }
}

/** Depth is bounded by MAX_FOLDER_DEPTH, and by the longest path of an input. */
function collect(path: string, node: FileSystemNode, into: PlacedFile[]): void {
  if (node.kind === 'file') into.push({ path, node });
  else for (const [name, child] of node.entries) collect(`${path}/${name}`, child, into);
}

/** Folders from the root to `folder`. */
export function depthOf(folder: FolderNode): number {
  let depth = 0;
  for (let at = folder.parent; at !== null; at = at.parent) depth++;
  return depth;
}

export function canHoldFolder(folder: FolderNode): boolean {
  return depthOf(folder) < MAX_FOLDER_DEPTH;
}

export function isWithin(outer: FolderNode, inner: FolderNode): boolean {
  for (let at: FolderNode | null = inner; at !== null; at = at.parent) {
    if (at === outer) return true;
  }
  return false;
}
