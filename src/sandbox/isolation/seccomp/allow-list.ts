import { buildFilter, type FilterRules } from './bpf.ts';
import { findArchitecture, type Numbers, numberOf } from './numbers.ts';

/** What Node needs to start, to read its own files and to run WebAssembly; docs/sandbox.md lists it with reasons. */
const ALLOWED: Readonly<Record<string, Numbers>> = {
  read: [0, 63],
  write: [1, 64],
  readv: [19, 65],
  writev: [20, 66],
  pread64: [17, 67],
  close: [3, 57],
  fstat: [5, 80],
  newfstatat: [262, 79],
  stat: [4, null],
  lstat: [6, null],
  statx: [332, 291],
  lseek: [8, 62],
  open: [2, null],
  openat: [257, 56],
  access: [21, null],
  faccessat: [269, 48],
  faccessat2: [439, 439],
  readlink: [89, null],
  readlinkat: [267, 78],
  getdents64: [217, 61],
  getcwd: [79, 17],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  mremap: [25, 216],
  madvise: [28, 233],
  brk: [12, 214],
  membarrier: [324, 283],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  sigaltstack: [131, 132],
  tgkill: [234, 131],
  restart_syscall: [219, 128],
  futex: [202, 98],
  set_robust_list: [273, 99],
  set_tid_address: [218, 96],
  rseq: [334, 293],
  sched_yield: [24, 124],
  sched_getaffinity: [204, 123],
  exit: [60, 93],
  exit_group: [231, 94],
  execve: [59, 221],
  arch_prctl: [158, null],
  getpid: [39, 172],
  getppid: [110, 173],
  gettid: [186, 178],
  getuid: [102, 174],
  geteuid: [107, 175],
  getgid: [104, 176],
  getegid: [108, 177],
  capget: [125, 90],
  uname: [63, 160],
  sysinfo: [99, 179],
  getrlimit: [97, 163],
  getrusage: [98, 165],
  times: [100, 153],
  clock_gettime: [228, 113],
  clock_getres: [229, 114],
  clock_nanosleep: [230, 115],
  nanosleep: [35, 101],
  gettimeofday: [96, 169],
  getrandom: [318, 278],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_wait: [232, null],
  epoll_pwait: [281, 22],
  poll: [7, null],
  ppoll: [271, 73],
  eventfd2: [290, 19],
  pipe2: [293, 59],
  dup: [32, 23],
  dup2: [33, null],
  dup3: [292, 24],
  fcntl: [72, 25],
};

const CLONE: Numbers = [56, 220];
const CLONE3: Numbers = [435, 435];
const IOCTL: Numbers = [16, 29];
const PRCTL: Numbers = [157, 167];
const PRLIMIT64: Numbers = [302, 261];

/** linux/sched.h: a thread of this process, never a process. */
const CLONE_THREAD = 0x0001_0000;
/** asm-generic/ioctls.h: TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. */
const IOCTLS = [0x5401, 0x541b, 0x5421, 0x5450, 0x5451];
/** linux/prctl.h: PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names for threads and mappings. */
const PRCTLS = [15, 16, 0x5356_4d41];

/** The filter of a child, or null on an architecture without a table. */
export function createChildFilter(architecture: string): Uint8Array | null {
  const rules = createChildRules(architecture);
  return rules === null ? null : buildFilter(rules);
}

export function createChildRules(architecture: string): FilterRules | null {
  const known = findArchitecture(architecture);
  if (known === null) return null;
  const { column, audit } = known;
  const number = (numbers: Numbers): number => numberOf(numbers, column);
  return {
    architecture: audit,
    hasX32: architecture === 'x64',
    allowed: Object.values(ALLOWED).flatMap((numbers) => numbers[column] ?? []),
    unknown: [number(CLONE3)],
    ifArgument: [
      { number: number(IOCTL), argument: 1, values: IOCTLS },
      { number: number(PRCTL), argument: 0, values: PRCTLS },
      // prlimit64(pid, resource, new_limit, old_limit): with no new limit it only reads.
      { number: number(PRLIMIT64), argument: 2, values: [0] },
    ],
    unlessBits: [],
    ifBits: [{ number: number(CLONE), argument: 0, bits: CLONE_THREAD }],
  };
}

export const ALLOWED_CALL_NAMES: readonly string[] = Object.keys(ALLOWED);
