import { MAX_PATH_LENGTH, PATH_FUEL_PER_BYTE } from '../constants.ts';
import type { HostFunctions } from '../host-functions.ts';
import { writeFileStat } from './descriptor-calls.ts';
import { fileTypeOf } from './descriptors.ts';
import { canHoldFolder, depthOf, type FileNode, type FolderNode, isWithin, type Place } from './file-system.ts';
import { ERRNO, FD_FLAG, OPEN_FLAG, RIGHT_READ, RIGHT_WRITE } from './wasi-constants.ts';
import type { WasiState } from './wasi-state.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

class PathCalls {
  private readonly state: WasiState;

  constructor(state: WasiState) {
    this.state = state;
  }

  private find(fd: number, pointer: number, length: number): Place | number {
    const folder = this.state.descriptors.getFolder(fd);
    if (typeof folder === 'number') return folder;
    this.state.context.charge(Math.min(length >>> 0, MAX_PATH_LENGTH * 4) * PATH_FUEL_PER_BYTE);
    if (length >>> 0 > MAX_PATH_LENGTH * 4) return ERRNO.nametoolong;
    try {
      return this.state.files.resolve(folder, UTF8.decode(this.state.context.memory.view(pointer, length)));
    } catch (error) {
      if (error instanceof TypeError) return ERRNO.inval;
      throw error;
    }
  }

  createFolder(fd: number, pointer: number, length: number): number {
    const place = this.find(fd, pointer, length);
    if (typeof place === 'number') return place;
    if (place.node !== undefined) return ERRNO.exist;
    if (this.state.files.isFull || !canHoldFolder(place.folder)) return ERRNO.nospc;
    place.folder.entries.set(place.name, this.state.files.createFolder(place.folder));
    return ERRNO.success;
  }

  filestat(fd: number, pointer: number, length: number, result: number): number {
    const place = this.find(fd, pointer, length);
    if (typeof place === 'number') return place;
    if (place.node === undefined) return ERRNO.noent;
    return writeFileStat(this.state, result, place.node, fileTypeOf(place.node.kind));
  }

  open(call: OpenCall): number {
    const place = this.find(call.fd, call.pointer, call.length);
    if (typeof place === 'number') return place;
    const { flags } = call;
    if (place.node === undefined) {
      if ((flags & OPEN_FLAG.create) === 0) return ERRNO.noent;
      if ((flags & OPEN_FLAG.directory) !== 0) return ERRNO.inval;
      if (this.state.files.isFull) return ERRNO.nospc;
      const created = this.state.files.createFile();
      place.folder.entries.set(place.name, created);
      return this.openFile(created, call);
    }
    if ((flags & OPEN_FLAG.create) !== 0 && (flags & OPEN_FLAG.exclusive) !== 0) return ERRNO.exist;
    if (place.node.kind === 'folder') {
      if ((flags & (OPEN_FLAG.truncate | OPEN_FLAG.create)) !== 0) return ERRNO.isdir;
      return this.give(this.state.descriptors.add({ kind: 'folder', node: place.node, isPreopen: false }), call);
    }
    if ((flags & OPEN_FLAG.directory) !== 0) return ERRNO.notdir;
    return this.openFile(place.node, call);
  }

  private openFile(node: FileNode, call: OpenCall): number {
    const canWrite = (call.rights & RIGHT_WRITE) !== 0n;
    if ((call.flags & OPEN_FLAG.truncate) !== 0 && !this.state.files.resize(node, 0)) return ERRNO.nospc;
    const fd = this.state.descriptors.add({
      kind: 'file',
      node,
      offset: 0,
      flags: call.descriptorFlags & FD_FLAG.append,
      canRead: (call.rights & RIGHT_READ) !== 0n,
      canWrite,
      hasWritten: false,
    });
    return this.give(fd, call);
  }

  private give(fd: number, call: OpenCall): number {
    if (fd < 0) return ERRNO.mfile;
    this.state.context.memory.writeU32(call.result, fd);
    return ERRNO.success;
  }

  remove(path: PathArgument, kind: 'file' | 'folder'): number {
    const place = this.find(path.fd, path.pointer, path.length);
    if (typeof place === 'number') return place;
    if (place.node === undefined) return ERRNO.noent;
    if (place.node === place.folder) return ERRNO.inval;
    if (place.node.kind !== kind) return kind === 'file' ? ERRNO.isdir : ERRNO.notdir;
    if (place.node.kind === 'folder' && place.node.entries.size > 0) return ERRNO.notempty;
    this.state.files.release(place.node);
    place.folder.entries.delete(place.name);
    return ERRNO.success;
  }

  rename(from: PathArgument, to: PathArgument): number {
    const source = this.find(from.fd, from.pointer, from.length);
    if (typeof source === 'number') return source;
    const target = this.find(to.fd, to.pointer, to.length);
    if (typeof target === 'number') return target;
    if (source.node === undefined) return ERRNO.noent;
    if (source.node === source.folder || target.node === target.folder) return ERRNO.inval;
    if (source.node === target.node) return ERRNO.success;
    if (source.node.kind === 'folder') {
      const refused = refuseMove(source.node, source.folder, target.folder);
      if (refused !== ERRNO.success) return refused;
    }
    if (target.node !== undefined) {
      const removed = this.remove(to, source.node.kind);
      if (removed !== ERRNO.success) return removed;
    }
    source.folder.entries.delete(source.name);
    target.folder.entries.set(target.name, source.node);
    if (source.node.kind === 'folder') source.node.parent = target.folder;
    else this.state.rounds?.afterRename(source.node);
    return ERRNO.success;
  }
}

/** A folder with contents only moves to where it is no deeper, so that depth stays bounded without a walk. */
function refuseMove(folder: FolderNode, from: FolderNode, to: FolderNode): number {
  if (isWithin(folder, to)) return ERRNO.inval;
  if (depthOf(to) <= depthOf(from)) return ERRNO.success;
  return folder.entries.size === 0 && canHoldFolder(to) ? ERRNO.success : ERRNO.notsup;
}

interface PathArgument {
  readonly fd: number;
  readonly pointer: number;
  readonly length: number;
}

interface OpenCall extends PathArgument {
  readonly flags: number;
  readonly rights: bigint;
  readonly descriptorFlags: number;
  readonly result: number;
}

/** The `path_` functions. There are no links: making one is ENOTSUP, reading one EINVAL. */
export function createPathCalls(state: WasiState): HostFunctions {
  const calls = new PathCalls(state);
  return {
    path_create_directory: (fd: number, pointer: number, length: number) => calls.createFolder(fd, pointer, length),
    path_filestat_get: (fd: number, _flags: number, pointer: number, length: number, result: number) =>
      calls.filestat(fd, pointer, length, result),
    path_filestat_set_times: () => ERRNO.success,
    path_link: () => ERRNO.notsup,
    path_symlink: () => ERRNO.notsup,
    path_readlink: () => ERRNO.inval,
    path_open: (
      fd: number,
      _lookup: number,
      pointer: number,
      length: number,
      flags: number,
      rights: bigint,
      _inheriting: bigint,
      descriptorFlags: number,
      result: number,
    ) => calls.open({ fd, pointer, length, flags, rights, descriptorFlags, result }),
    path_remove_directory: (fd: number, pointer: number, length: number) =>
      calls.remove({ fd, pointer, length }, 'folder'),
    path_unlink_file: (fd: number, pointer: number, length: number) => calls.remove({ fd, pointer, length }, 'file'),
    path_rename: (fd: number, from: number, length: number, toFd: number, to: number, toLength: number) =>
      calls.rename({ fd, pointer: from, length }, { fd: toFd, pointer: to, length: toLength }),
  };
}
