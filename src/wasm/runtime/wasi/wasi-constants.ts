/** Numbers of WASI preview 1 (wasi_snapshot_preview1, typenames.witx). */
export const ERRNO = {
  success: 0,
  again: 6,
  badf: 8,
  exist: 20,
  inval: 28,
  isdir: 31,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nospc: 51,
  nosys: 52,
  notdir: 54,
  notempty: 55,
  notsup: 58,
  perm: 63,
  spipe: 70,
  notcapable: 76,
} as const;

export const FILE_TYPE = { characterDevice: 2, directory: 3, regularFile: 4 } as const;
export const OPEN_FLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const FD_FLAG = { append: 1 } as const;
export const WHENCE = { set: 0, current: 1, end: 2 } as const;
/** Rights: everything that a file or folder can be asked for. */
export const RIGHT_READ = 1n << 1n;
export const RIGHT_WRITE = 1n << 6n;
export const ALL_RIGHTS = (1n << 29n) - 1n;
export const EVENT_TYPE = { clock: 0, read: 1, write: 2 } as const;
export const SUBSCRIPTION_BYTES = 48;
export const EVENT_BYTES = 32;
/** Bit of a clock subscription: its timeout is a point in time, not a span. */
export const CLOCK_ABSOLUTE = 1;
export const DIRENT_BYTES = 24;
export const PREOPEN_FD = 3;
