import { DaemonError, type ErrorTable } from '../../src/lib/errors.ts';

export type ProgramBuildErrorInfo =
  | { readonly code: 'PROGRAMS_TOOLCHAIN_MISSING'; readonly missing: readonly string[] }
  | { readonly code: 'PROGRAMS_UNKNOWN'; readonly name: string; readonly known: readonly string[] }
  | { readonly code: 'PROGRAMS_COMPILE'; readonly program: string; readonly output: string }
  | { readonly code: 'PROGRAMS_UNSUPPORTED'; readonly program: string; readonly where: string; readonly reason: string }
  | { readonly code: 'PROGRAMS_OBJECT'; readonly reason: string }
  | { readonly code: 'PROGRAMS_NO_ENTRYPOINT' }
  | { readonly code: 'PROGRAMS_WRITABLE_DATA'; readonly section: string }
  | { readonly code: 'PROGRAMS_RELOCATION'; readonly section: string; readonly offset: number; readonly reason: string }
  | { readonly code: 'PROGRAMS_UNKNOWN_SYMBOL'; readonly symbol: string; readonly section: string }
  | { readonly code: 'PROGRAMS_MEMORY_FUNCTION'; readonly symbol: string }
  | { readonly code: 'PROGRAMS_INSTRUCTION'; readonly index: number; readonly opcode: number; readonly reason: string }
  | { readonly code: 'PROGRAMS_IMAGE'; readonly reason: string }
  | { readonly code: 'PROGRAMS_MANIFEST'; readonly path: string; readonly reason: string }
  | { readonly code: 'PROGRAMS_STALE'; readonly program: string; readonly reason: string }
  | {
      readonly code: 'PROGRAMS_MISMATCH';
      readonly program: string;
      readonly committed: string;
      readonly rebuilt: string;
    };

const REBUILD = 'Run `npm run programs:build` and commit programs/artifacts.';
const REPORT =
  'This is a defect of scripts/programs or a newer LLVM than it knows: compare the versions in the manifest.';

const PROGRAM_BUILD_ERRORS: ErrorTable<ProgramBuildErrorInfo> = {
  PROGRAMS_TOOLCHAIN_MISSING: {
    retryable: false,
    message: (info) => `the toolchain for Solana programs is not here: ${info.missing.join(', ')}`,
    hint: () =>
      'Run scripts/setup-programs (Debian 12: apt-get install --no-install-recommends rustc-web cargo-web rust-web-src llvm-22).',
  },
  PROGRAMS_UNKNOWN: {
    retryable: false,
    message: (info) => `there is no program ${info.name}`,
    hint: (info) => (info.known.length > 0 ? `Name one of: ${info.known.join(', ')}.` : 'There is none to build.'),
  },
  PROGRAMS_COMPILE: {
    retryable: false,
    message: (info) => `${info.program} does not compile:\n${info.output}`,
    hint: () => 'Correct the source; if a crate could not be downloaded, look at the network.',
  },
  PROGRAMS_UNSUPPORTED: {
    retryable: false,
    message: (info) => `${info.program}: ${info.where} needs what the virtual machine has not: ${info.reason.trim()}`,
    hint: (info) => describeRemedy(info.reason),
  },
  PROGRAMS_OBJECT: {
    retryable: false,
    message: (info) => `the object file that llc wrote cannot be read: ${info.reason}`,
    hint: () => REPORT,
  },
  PROGRAMS_NO_ENTRYPOINT: {
    retryable: false,
    message: () => 'the program has no function `entrypoint`',
    hint: () => 'Declare it with `program_entrypoint!`, and do not hide it behind a feature.',
  },
  PROGRAMS_WRITABLE_DATA: {
    retryable: false,
    message: (info) => `the program has writable data (${info.section})`,
    hint: () => 'Programs have no writable memory of their own: remove `static mut` and cells in statics.',
  },
  PROGRAMS_RELOCATION: {
    retryable: false,
    message: (info) => `a relocation at ${info.section}+${info.offset} cannot be carried out: ${info.reason}`,
    hint: () => REPORT,
  },
  PROGRAMS_UNKNOWN_SYMBOL: {
    retryable: false,
    message: (info) => `${info.section} calls ${info.symbol}, which is neither in the program nor a known syscall`,
    hint: () =>
      'The loader would accept it and fail when it runs. If it is a syscall that is active on mainnet, add it to scripts/programs/syscalls.ts.',
  },
  PROGRAMS_MEMORY_FUNCTION: {
    retryable: false,
    message: (info) => `the program brings its own ${info.symbol}`,
    hint: () =>
      'Leave it out, the build adds it. If the program has none, compiler_builtins exports it again: see NO_MEMORY_FUNCTIONS in scripts/programs/compile.ts.',
  },
  PROGRAMS_INSTRUCTION: {
    retryable: false,
    message: (info) =>
      `instruction ${info.index} (opcode 0x${info.opcode.toString(16).padStart(2, '0')}): ${info.reason}`,
    hint: () => REPORT,
  },
  PROGRAMS_IMAGE: {
    retryable: false,
    message: (info) => `this is not a program in SBPF v3 format: ${info.reason}`,
    hint: () => REBUILD,
  },
  PROGRAMS_MANIFEST: {
    retryable: false,
    message: (info) => `${info.path} cannot be used: ${info.reason}`,
    hint: () => REBUILD,
  },
  PROGRAMS_STALE: {
    retryable: false,
    message: (info) => `the artefact of ${info.program} is not that of its source: ${info.reason}`,
    hint: () => REBUILD,
  },
  PROGRAMS_MISMATCH: {
    retryable: false,
    message: (info) =>
      `${info.program} was built with the same toolchain to other bytes: committed ${info.committed}, rebuilt ${info.rebuilt}`,
    hint: () => `Somebody changed the artefact, or the build is not deterministic. ${REBUILD}`,
  },
};

function describeRemedy(reason: string): string {
  if (reason.includes('__multi3')) {
    return 'This is a 128-bit multiply; `u64::checked_mul` and `*` with overflow checks are too. Bound the factors and use `wrapping_mul`, or multiply in 32-bit limbs.';
  }
  if (reason.includes('stack')) return 'A frame is 4,096 bytes: pass large values by reference, split the function.';
  if (/ti3|__(ashl|ashr|lshr)/.test(reason)) return 'Divide and shift 64-bit integers only.';
  if (reason.includes('too many arguments') || reason.includes('stack arg')) {
    return 'A function that is not inlined takes five arguments at most: pass a struct by reference.';
  }
  if (reason.includes('signed division')) return 'Divide unsigned integers.';
  return 'Neither 128-bit division, floats, atomics nor returned aggregates exist there: write it with 64-bit integers.';
}

export class ProgramBuildError extends DaemonError<ProgramBuildErrorInfo> {
  constructor(info: ProgramBuildErrorInfo, options?: ErrorOptions) {
    super(PROGRAM_BUILD_ERRORS, info, options);
  }
}
