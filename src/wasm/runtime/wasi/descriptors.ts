import { MAX_DESCRIPTORS } from '../constants.ts';
import type { FileNode, FolderNode } from './file-system.ts';
import { ERRNO, FILE_TYPE, PREOPEN_FD } from './wasi-constants.ts';

export type Descriptor =
  | { readonly kind: 'stdin' }
  | { readonly kind: 'output'; readonly stream: 'stdout' | 'stderr' }
  | {
      readonly kind: 'file';
      readonly node: FileNode;
      offset: number;
      flags: number;
      readonly canRead: boolean;
      readonly canWrite: boolean;
      /** Bytes were written through it. */
      hasWritten: boolean;
    }
  | { readonly kind: 'folder'; readonly node: FolderNode; readonly isPreopen: boolean };

/** Descriptors of one program; the lowest free number is given next, as POSIX has it. */
export class DescriptorTable {
  private readonly open: (Descriptor | null)[];

  constructor(root: FolderNode) {
    this.open = [
      { kind: 'stdin' },
      { kind: 'output', stream: 'stdout' },
      { kind: 'output', stream: 'stderr' },
      { kind: 'folder', node: root, isPreopen: true },
    ];
  }

  get(fd: number): Descriptor | null {
    return this.open[fd >>> 0] ?? null;
  }

  getFile(fd: number): Extract<Descriptor, { kind: 'file' }> | number {
    const descriptor = this.get(fd);
    if (descriptor === null) return ERRNO.badf;
    if (descriptor.kind === 'file') return descriptor;
    return descriptor.kind === 'folder' ? ERRNO.isdir : ERRNO.spipe;
  }

  getFolder(fd: number): FolderNode | number {
    const descriptor = this.get(fd);
    if (descriptor === null) return ERRNO.badf;
    return descriptor.kind === 'folder' ? descriptor.node : ERRNO.notdir;
  }

  /** The number given, or -1 if too many are open. */
  add(descriptor: Descriptor): number {
    const free = this.open.indexOf(null, PREOPEN_FD);
    const fd = free === -1 ? this.open.length : free;
    if (fd >= MAX_DESCRIPTORS) return -1;
    this.open[fd] = descriptor;
    return fd;
  }

  close(fd: number): number {
    if (this.get(fd) === null) return ERRNO.badf;
    this.open[fd >>> 0] = null;
    return ERRNO.success;
  }

  renumber(from: number, to: number): number {
    const descriptor = this.get(from);
    if (descriptor === null || this.get(to) === null) return ERRNO.badf;
    this.open[to >>> 0] = descriptor;
    if (from !== to) this.open[from >>> 0] = null;
    return ERRNO.success;
  }
}

export function fileTypeOf(kind: Descriptor['kind']): number {
  if (kind === 'file') return FILE_TYPE.regularFile;
  return kind === 'folder' ? FILE_TYPE.directory : FILE_TYPE.characterDevice;
}
