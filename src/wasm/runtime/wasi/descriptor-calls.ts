import type { HostFunctions } from '../host-functions.ts';
import { halt } from '../program-halt.ts';
import { type Descriptor, fileTypeOf } from './descriptors.ts';
import type { FileNode, FileSystemNode } from './file-system.ts';
import { ALL_RIGHTS, DIRENT_BYTES, ERRNO, FD_FLAG, WHENCE } from './wasi-constants.ts';
import type { WasiState } from './wasi-state.ts';

type FileDescriptor = Extract<Descriptor, { kind: 'file' }>;
const UTF8 = new TextEncoder();
/** Largest offset of a file: more would not fit any limit. */
const MAX_OFFSET = 2 ** 40;

/** Writes a `filestat`; times are always 0. */
export function writeFileStat(state: WasiState, pointer: number, node: FileSystemNode | null, type: number): number {
  const { memory } = state.context;
  memory.view(pointer, 64).fill(0);
  memory.writeU64(pointer + 8, BigInt(node?.inode ?? 0));
  memory.writeU8(pointer + 16, type);
  memory.writeU64(pointer + 24, 1n);
  memory.writeU64(pointer + 32, BigInt(node?.kind === 'file' ? node.length : 0));
  return ERRNO.success;
}

/** Calls `use` with each buffer of an iovec array until it takes less than offered; gives the bytes taken. */
function forEachBuffer(state: WasiState, iovs: number, count: number, use: (buffer: Uint8Array) => number): number {
  const { memory } = state.context;
  let total = 0;
  for (let index = 0; index < count >>> 0; index++) {
    state.context.charge(4);
    const at = (iovs >>> 0) + index * 8;
    const buffer = memory.view(memory.readU32(at), memory.readU32(at + 4));
    state.context.chargeCopy(buffer.length);
    const taken = use(buffer);
    total += taken;
    if (taken < buffer.length) break;
  }
  return total;
}

class DescriptorCalls {
  private readonly state: WasiState;

  constructor(state: WasiState) {
    this.state = state;
  }

  private get memory() {
    return this.state.context.memory;
  }

  read(fd: number, iovs: number, count: number, result: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor?.kind === 'stdin') {
      this.memory.writeU32(result, 0);
      return ERRNO.success;
    }
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    if (!file.canRead) return ERRNO.notcapable;
    const taken = this.readAt(file.node, file.offset, iovs, count);
    file.offset += taken;
    this.memory.writeU32(result, taken);
    return ERRNO.success;
  }

  pread(fd: number, iovs: number, count: number, offset: bigint, result: number): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    if (!file.canRead) return ERRNO.notcapable;
    this.memory.writeU32(result, this.readAt(file.node, toOffset(offset), iovs, count));
    return ERRNO.success;
  }

  private readAt(file: FileNode, start: number, iovs: number, count: number): number {
    let offset = start;
    return forEachBuffer(this.state, iovs, count, (buffer) => {
      const part = this.state.files.read(file, offset, buffer.length);
      buffer.set(part);
      offset += part.length;
      return part.length;
    });
  }

  write(fd: number, iovs: number, count: number, result: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor?.kind === 'output') {
      const lines = this.state[descriptor.stream];
      const taken = forEachBuffer(this.state, iovs, count, (buffer) => {
        lines.write(buffer);
        return buffer.length;
      });
      this.memory.writeU32(result, taken);
      return ERRNO.success;
    }
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    if ((file.flags & FD_FLAG.append) !== 0) file.offset = file.node.length;
    const taken = this.writeAt(file, file.offset, iovs, count);
    if (taken < 0) return -taken;
    file.offset += taken;
    this.memory.writeU32(result, taken);
    return ERRNO.success;
  }

  pwrite(fd: number, iovs: number, count: number, offset: bigint, result: number): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    const taken = this.writeAt(file, toOffset(offset), iovs, count);
    if (taken < 0) return -taken;
    this.memory.writeU32(result, taken);
    return ERRNO.success;
  }

  /** Bytes written, or a negative errno. */
  private writeAt(file: FileDescriptor, start: number, iovs: number, count: number): number {
    if (!file.canWrite) return -ERRNO.notcapable;
    let offset = start;
    let isFull = false;
    const total = forEachBuffer(this.state, iovs, count, (buffer) => {
      this.state.context.chargeCopy(this.state.files.costOfReaching(file.node, offset + buffer.length));
      const written = this.state.files.write(file.node, offset, buffer);
      if (written < 0) isFull = true;
      offset += Math.max(0, written);
      if (written > 0) file.hasWritten = true;
      return Math.max(0, written);
    });
    return isFull && total === 0 ? -ERRNO.nospc : total;
  }

  seek(fd: number, offset: bigint, whence: number, result: number): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    if (whence > WHENCE.end || whence < 0) return ERRNO.inval;
    const base = whence === WHENCE.set ? 0 : whence === WHENCE.current ? file.offset : file.node.length;
    const target = BigInt(base) + offset;
    if (target < 0n || target > BigInt(MAX_OFFSET)) return ERRNO.inval;
    file.offset = Number(target);
    this.memory.writeU64(result, target);
    return ERRNO.success;
  }

  fdstat(fd: number, pointer: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor === null) return ERRNO.badf;
    this.memory.view(pointer, 24).fill(0);
    this.memory.writeU8(pointer, fileTypeOf(descriptor.kind));
    this.memory.writeU16(pointer + 2, descriptor.kind === 'file' ? descriptor.flags : 0);
    this.memory.writeU64(pointer + 8, ALL_RIGHTS);
    this.memory.writeU64(pointer + 16, descriptor.kind === 'folder' ? ALL_RIGHTS : 0n);
    return ERRNO.success;
  }

  filestat(fd: number, pointer: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor === null) return ERRNO.badf;
    const node = descriptor.kind === 'file' || descriptor.kind === 'folder' ? descriptor.node : null;
    return writeFileStat(this.state, pointer, node, fileTypeOf(descriptor.kind));
  }

  setFlags(fd: number, flags: number): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file === ERRNO.badf ? file : ERRNO.success;
    file.flags = flags & FD_FLAG.append;
    return ERRNO.success;
  }

  resize(fd: number, size: bigint, mode: 'exact' | 'at-least'): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    if (!file.canWrite) return ERRNO.notcapable;
    const wanted = toOffset(size);
    const length = mode === 'exact' ? wanted : Math.max(wanted, file.node.length);
    this.state.context.chargeCopy(this.state.files.costOfReaching(file.node, length));
    return this.state.files.resize(file.node, length) ? ERRNO.success : ERRNO.nospc;
  }

  tell(fd: number, result: number): number {
    const file = this.state.descriptors.getFile(fd);
    if (typeof file === 'number') return file;
    this.memory.writeU64(result, BigInt(file.offset));
    return ERRNO.success;
  }

  readdir(fd: number, pointer: number, length: number, cookie: bigint, result: number): number {
    const folder = this.state.descriptors.getFolder(fd);
    if (typeof folder === 'number') return folder;
    const target = this.memory.view(pointer, length);
    const parent = folder.parent ?? folder;
    const names: [string, FileSystemNode][] = [['.', folder], ['..', parent], ...folder.entries];
    this.state.context.charge(names.length);
    let used = 0;
    for (let position = toOffset(cookie); position < names.length && used < target.length; position++) {
      const [name, node] = names[position] ?? halt('TRAP', 'folder changed');
      const entry = encodeEntry(position + 1, name, node);
      this.state.context.charge(entry.length);
      const part = entry.subarray(0, target.length - used);
      target.set(part, used);
      used += part.length;
    }
    this.memory.writeU32(result, used);
    return ERRNO.success;
  }

  prestat(fd: number, pointer: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor?.kind !== 'folder' || !descriptor.isPreopen) return ERRNO.badf;
    this.memory.writeU32(pointer, 0);
    this.memory.writeU32(pointer + 4, 1);
    return ERRNO.success;
  }

  prestatName(fd: number, pointer: number, length: number): number {
    const descriptor = this.state.descriptors.get(fd);
    if (descriptor?.kind !== 'folder' || !descriptor.isPreopen) return ERRNO.badf;
    if (length >>> 0 < 1) return ERRNO.nametoolong;
    this.memory.writeU8(pointer, 0x2f);
    return ERRNO.success;
  }

  close(fd: number): number {
    const { descriptors, rounds } = this.state;
    const closed = descriptors.get(fd);
    const errno = descriptors.close(fd);
    rounds?.afterClose(closed);
    return errno;
  }

  /** What `to` was is closed by it. */
  renumber(from: number, to: number): number {
    const { descriptors, rounds } = this.state;
    const closed = descriptors.get(to);
    const errno = descriptors.renumber(from, to);
    if (errno === ERRNO.success && from !== to) rounds?.afterClose(closed);
    return errno;
  }

  exists(fd: number): number {
    return this.state.descriptors.get(fd) === null ? ERRNO.badf : ERRNO.success;
  }
}

function encodeEntry(next: number, name: string, node: FileSystemNode): Uint8Array {
  const encoded = UTF8.encode(name);
  const entry = new Uint8Array(DIRENT_BYTES + encoded.length);
  const data = new DataView(entry.buffer);
  data.setBigUint64(0, BigInt(next), true);
  data.setBigUint64(8, BigInt(node.inode), true);
  data.setUint32(16, encoded.length, true);
  entry[20] = fileTypeOf(node.kind);
  entry.set(encoded, DIRENT_BYTES);
  return entry;
}

function toOffset(value: bigint): number {
  const offset = BigInt.asUintN(64, value);
  return offset > BigInt(MAX_OFFSET) ? MAX_OFFSET : Number(offset);
}

/** The `fd_` functions. */
export function createDescriptorCalls(state: WasiState): HostFunctions {
  const calls = new DescriptorCalls(state);
  return {
    fd_advise: (fd: number) => calls.exists(fd),
    fd_allocate: (fd: number, offset: bigint, length: bigint) => calls.resize(fd, offset + length, 'at-least'),
    fd_close: (fd: number) => calls.close(fd),
    fd_datasync: (fd: number) => calls.exists(fd),
    fd_sync: (fd: number) => calls.exists(fd),
    fd_fdstat_get: (fd: number, pointer: number) => calls.fdstat(fd, pointer),
    fd_fdstat_set_flags: (fd: number, flags: number) => calls.setFlags(fd, flags),
    fd_fdstat_set_rights: (fd: number) => calls.exists(fd),
    fd_filestat_get: (fd: number, pointer: number) => calls.filestat(fd, pointer),
    fd_filestat_set_size: (fd: number, size: bigint) => calls.resize(fd, size, 'exact'),
    fd_filestat_set_times: (fd: number) => calls.exists(fd),
    fd_pread: (fd: number, iovs: number, count: number, offset: bigint, result: number) =>
      calls.pread(fd, iovs, count, offset, result),
    fd_pwrite: (fd: number, iovs: number, count: number, offset: bigint, result: number) =>
      calls.pwrite(fd, iovs, count, offset, result),
    fd_read: (fd: number, iovs: number, count: number, result: number) => calls.read(fd, iovs, count, result),
    fd_write: (fd: number, iovs: number, count: number, result: number) => calls.write(fd, iovs, count, result),
    fd_prestat_get: (fd: number, pointer: number) => calls.prestat(fd, pointer),
    fd_prestat_dir_name: (fd: number, pointer: number, length: number) => calls.prestatName(fd, pointer, length),
    fd_readdir: (fd: number, pointer: number, length: number, cookie: bigint, result: number) =>
      calls.readdir(fd, pointer, length, cookie, result),
    fd_renumber: (from: number, to: number) => calls.renumber(from, to),
    fd_seek: (fd: number, offset: bigint, whence: number, result: number) => calls.seek(fd, offset, whence, result),
    fd_tell: (fd: number, result: number) => calls.tell(fd, result),
  };
}
